/**
 * Measures Lookahead: how many tokens a forward brings on requests that repeat what was seen before and
 * on some that do not, beside prompt lookup, one branch, and branches that do not share their beginnings.
 */
import { type LoadedModel, loadModel } from "../../model/index.ts";
import {
  defineReproduction,
  type Plot,
  type Reproduction,
  type ReproductionContext,
} from "../../reproduce/index.ts";
import type { Drafter } from "../drafter.ts";
import { createPromptLookup } from "../prompt-lookup.ts";
import { decodingTaskKinds } from "../testing/decoding-tasks.ts";
import {
  type DraftingMeasurement,
  measureDrafting,
  measureInTurns,
  type PlannedKinds,
  planKinds,
  sumMeasurements,
  tasksPerPlanned,
  tokensPerForward,
  tokensPerSecond,
} from "../testing/measure-drafting.ts";
import type { SamplingOptions } from "../types.ts";
import { createLookahead, type LookaheadOptions } from "./lookahead.ts";

const claims = [
  {
    id: "answers-over-text",
    text: "Tokens a forward on Spec-Bench answers and summaries of a given text, 16 nodes, trie filled by other requests, greedy, jeton-nano",
    paper: "speedups of 4.36 to 5.36 in a private service of this kind (10B, 128 nodes)",
    unit: "tokens/forward",
    direction: "higher",
    effect: "value",
    reproduced: 1.5,
    partly: 1.25,
  },
  {
    id: "copies",
    text: "The same on recall and copies of passages and TypeScript",
    paper: "speedups of 3.2 on code completion (7B, 64 nodes)",
    unit: "tokens/forward",
    direction: "higher",
    effect: "value",
    reproduced: 2,
    partly: 1.5,
  },
  {
    id: "open-text",
    text: "The same on prose, where little comes again (negative control)",
    paper: "speedup of 2.06 on Dolly with a trie of its training split (7B)",
    unit: "tokens/forward",
    direction: "higher",
    effect: "value",
    reproduced: 1.3,
    partly: 1.1,
  },
  {
    id: "temperature",
    text: "Tokens a forward at temperature 0.8, all kinds",
    paper: "lossless there too, not reported alone",
    unit: "tokens/forward",
    direction: "higher",
    effect: "value",
    reproduced: 1.2,
    partly: 1.05,
  },
  {
    id: "several-branches",
    text: "A tree of the published kind beside its one most frequent branch, 16 nodes, all kinds",
    paper: "hierarchical above single branch",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.05,
    partly: 1,
  },
  {
    id: "shared-beginnings",
    text: "A tree of the published kind beside parallel branches that repeat their beginnings, 16 nodes, all kinds",
    paper: "hierarchical above parallel",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.02,
    partly: 1,
  },
  {
    id: "warm-trie",
    text: "A trie filled by other requests of the kinds brings more than an empty one, 16 nodes, all kinds",
    paper: "most of the effect in production, not reported alone",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.05,
    partly: 1,
  },
  {
    id: "beats-prompt-lookup",
    text: "Tokens a forward beside prompt lookup (3 tokens at most, 10 guesses), 16 nodes, all kinds",
    paper: "above prompt lookup",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.1,
    partly: 1,
  },
  {
    id: "learned-chances",
    text: "Branches chosen by learned chances beside the published choice by counts, 16 nodes, all kinds",
    paper: "not in the paper: ours",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.02,
    partly: 0.98,
    fullOnly: true,
  },
  {
    id: "identical-text",
    text: "Requests whose text is that of plain decoding, token for token, greedy and sampled",
    paper: "lossless",
    unit: "%",
    direction: "higher",
    effect: "value",
    reproduced: 100,
    partly: 99,
  },
  {
    id: "look-up-time",
    text: "Time of looking up and learning for one forward, 16 nodes",
    paper: "small beside a forward",
    unit: "ms",
    direction: "lower",
    effect: "value",
    reproduced: 1,
    partly: 3,
    fullOnly: true,
  },
  {
    id: "speed",
    text: "Tokens a second beside plain decoding on answers over a text and copies, greedy, in turns, jeton-nano in fp32 (the better of 8 and 16 nodes)",
    paper: "2.66 to 6.26 times in production",
    unit: "tokens/s",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.5,
    partly: 1.1,
    fullOnly: true,
  },
] as const;

type Context = ReproductionContext<(typeof claims)[number]["id"]>;

/** What the paper does; the defaults differ where that measures better. */
const published = { order: "frequency", queryLength: 2 } satisfies LookaheadOptions;

export const reproduction: Reproduction = defineReproduction({
  system: "lookahead",
  claims,
  async run(context) {
    await using model = await loadModel(await context.model(), { format: "f32" });
    const greedy = await planRequests(context, model, { greedy: true });
    const bench = new Bench(context, model);

    const warm = await bench.warm({}, greedy);
    const tree = await bench.measure("learned chances", warm, 16, greedy.measured);
    reportKinds(context, tree);

    const cold = await bench.measure("empty trie", createLookahead(model), 16, greedy.measured);
    const lookup = await bench.measure(
      "prompt lookup",
      createPromptLookup({ length: 10 }),
      10,
      greedy.measured,
    );
    const byCounts = await bench.warm(published, greedy);
    const hierarchical = await bench.measure("by counts", byCounts, 16, greedy.measured);
    const single = await bench.measure(
      "one branch",
      await bench.warm({ ...published, branching: "single" }, greedy),
      16,
      greedy.measured,
    );
    const parallel = await bench.measure(
      "parallel branches",
      await bench.warm({ ...published, branching: "parallel" }, greedy),
      16,
      greedy.measured,
    );
    const compare = (
      id: Parameters<Context["report"]>[0],
      measured: ByKind,
      baseline: ByKind,
      baselineName: string,
    ): void =>
      context.report(id, {
        measured: lengthOf(measured),
        baseline: lengthOf(baseline),
        baselineName,
        details: { measured: lengthsOf(measured), baseline: lengthsOf(baseline) },
      });
    compare("warm-trie", tree, cold, "an empty trie");
    compare("beats-prompt-lookup", tree, lookup, "prompt lookup");
    compare("several-branches", hierarchical, single, "one branch");
    compare("shared-beginnings", hierarchical, parallel, "parallel branches");

    const sampled = await planRequests(context, model, { temperature: 0.8 });
    const drawn = await bench.measure(
      "temperature 0.8",
      await bench.warm({}, sampled),
      16,
      sampled.measured,
    );
    context.report("temperature", {
      measured: lengthOf(drawn),
      baseline: 1,
      baselineName: "plain decoding",
      details: { byKind: lengthsOf(drawn) },
    });
    const shown = { "prompt lookup": lookup, "one branch": single, "learned chances": tree };
    if (context.quick) {
      bench.reportIdentity();
      return plotOf(shown);
    }
    compare("learned-chances", tree, hierarchical, "counts");
    await measureSpeed(context, model, greedy, bench);
    bench.reportIdentity();
    return plotOf(shown);
  },
});

/** The requests that are measured, and others of the same kinds that fill a trie. */
interface Requests {
  readonly measured: PlannedKinds;
  readonly others: PlannedKinds;
}

async function planRequests(
  context: Context,
  model: LoadedModel,
  sampling: SamplingOptions,
): Promise<Requests> {
  const { quick, seed, signal } = context;
  const count = quick ? 2 : 10;
  const locate = (name: string): Promise<string> => context.data(name);
  const options = { sampling: { ...sampling, seed }, maxTokens: quick ? 24 : 96, signal };
  context.progress("plain decoding");
  return {
    measured: await planKinds(model, { count, seed, locate }, options),
    others: await planKinds(
      model,
      { count: quick ? 3 : 30, seed, skip: tasksPerPlanned * count, locate },
      { ...options, leastTokens: 1 },
    ),
  };
}

type ByKind = Readonly<Record<keyof PlannedKinds, DraftingMeasurement>>;

/** Runs drafters over requests, and remembers whether any text changed. */
class Bench {
  readonly #context: Context;
  readonly #model: LoadedModel;
  readonly #runs: DraftingMeasurement[] = [];

  constructor(context: Context, model: LoadedModel) {
    this.#context = context;
    this.#model = model;
  }

  async measure(
    name: string,
    drafter: Drafter,
    maximumDraft: number,
    requests: PlannedKinds,
  ): Promise<ByKind> {
    const { signal } = this.#context;
    const byKind: Partial<Record<keyof PlannedKinds, DraftingMeasurement>> = {};
    for (const kind of decodingTaskKinds) {
      this.#context.progress(`${name}: ${kind}`);
      const options = { drafter, maximumDraft, signal };
      byKind[kind] = await measureDrafting(this.#model, requests[kind], options);
      this.#runs.push(byKind[kind]);
    }
    return byKind as ByKind;
  }

  /**
   * A drafter whose trie holds the answers to other requests. A few of them are decoded with it, so
   * that it knows what its guesses are worth.
   */
  async warm(options: LookaheadOptions, { others }: Requests): Promise<Drafter> {
    const drafter = createLookahead(this.#model, options);
    for (const { plainIds } of Object.values(others).flatMap((tasks) => tasks.slice(2))) {
      drafter.remember(plainIds);
    }
    const few = Object.fromEntries(
      decodingTaskKinds.map((kind) => [kind, others[kind].slice(0, 2)]),
    ) as unknown as PlannedKinds;
    await this.measure("warming", drafter, 16, few);
    return drafter;
  }

  reportIdentity(): void {
    const all = sumMeasurements(this.#runs);
    this.#context.report("identical-text", {
      measured: (100 * all.identical) / all.tasks,
      details: { runs: all.tasks },
    });
  }
}

function lengthOf(byKind: ByKind): number {
  return tokensPerForward(sumMeasurements(Object.values(byKind)));
}

/** Tokens a forward by kind, for records. */
function lengthsOf(byKind: ByKind): Record<string, number> {
  return Object.fromEntries(
    decodingTaskKinds.map((kind) => [kind, round(tokensPerForward(byKind[kind]))]),
  );
}

function reportKinds(context: Context, byKind: ByKind): void {
  for (const [id, kind] of [
    ["answers-over-text", "answer"],
    ["copies", "recall"],
    ["open-text", "prose"],
  ] as const) {
    const { tasks, tokens, forwards, drafted } = byKind[kind];
    context.report(id, {
      measured: tokensPerForward(byKind[kind]),
      baseline: 1,
      baselineName: "plain decoding",
      details: { requests: tasks, tokens, nodesPerForward: round(drafted / forwards) },
    });
  }
}

/** Times of plain decoding and of two sizes of trees, request by request in turns. */
async function measureSpeed(
  context: Context,
  model: LoadedModel,
  requests: Requests,
  bench: Bench,
): Promise<void> {
  context.progress("speed");
  const { signal } = context;
  const tasks = [...requests.measured.answer, ...requests.measured.recall];
  const [plain, few, many] = await measureInTurns(model, tasks, [
    { signal },
    { drafter: await bench.warm({}, requests), maximumDraft: 8, signal },
    { drafter: await bench.warm({}, requests), maximumDraft: 16, signal },
  ]);
  context.report("look-up-time", { measured: (1000 * many!.draftSeconds) / many!.forwards });
  const best = tokensPerSecond(few!) > tokensPerSecond(many!) ? few! : many!;
  context.report("speed", {
    measured: tokensPerSecond(best),
    baseline: tokensPerSecond(plain!),
    baselineName: "plain decoding",
    details: { with8: round(tokensPerSecond(few!)), with16: round(tokensPerSecond(many!)) },
  });
}

function plotOf(measured: Readonly<Record<string, ByKind>>): Plot {
  return {
    title: "Lookahead on jeton-nano, greedy",
    panels: [
      {
        title: "Tokens a forward, at most 16 guesses",
        kind: "bar",
        x: { title: "kind of request", scale: "category" },
        y: { title: "tokens a forward" },
        series: Object.entries(measured).map(([name, byKind]) => ({
          name,
          points: Object.entries(lengthsOf(byKind)).map(([x, y]) => ({ x, y })),
        })),
      },
    ],
  };
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
