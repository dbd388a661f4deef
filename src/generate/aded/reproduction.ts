/**
 * Measures ADED: what the search, the adaptation and a corpus are worth in tokens a forward, and time.
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
import { type DecodingTaskKind, decodingTaskKinds } from "../testing/decoding-tasks.ts";
import {
  type DraftingMeasurement,
  measureDrafting,
  measureInTurns,
  type PlannedKinds,
  type PlannedTask,
  planKinds,
  sumMeasurements,
  tokensPerForward,
  tokensPerSecond,
} from "../testing/measure-drafting.ts";
import { createTokenRecycling } from "../token-recycling/index.ts";
import type { SamplingOptions } from "../types.ts";
import { type AdedOptions, createAdedDrafter } from "./aded-drafter.ts";

const claims = [
  {
    id: "accepted-length",
    text: "Tokens a forward, table of other requests' texts, adapting, 16 nodes, greedy, jeton-nano on four kinds of requests",
    paper: "speedups of 1.8 to 2.5 (7B to 33B)",
    unit: "tokens/forward",
    direction: "higher",
    effect: "value",
    reproduced: 1.8,
    partly: 1.3,
  },
  {
    id: "accepted-length-sampled",
    text: "The same at temperature 0.8",
    paper: "speedups of 1.8 to 2.5 (7B to 33B)",
    unit: "tokens/forward",
    direction: "higher",
    effect: "value",
    reproduced: 1.5,
    partly: 1.1,
  },
  {
    id: "accepted-length-tinystories",
    text: "The same as the first, on the tiny TinyStories model",
    paper: "speedups of 1.8 to 2.5 (7B to 33B)",
    unit: "tokens/forward",
    direction: "higher",
    effect: "value",
    reproduced: 1.8,
    partly: 1.3,
  },
  {
    id: "adaptation",
    text: "A table that adapts beside the same table left as it is, greedy",
    paper: "adapting lifts the accepted length",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.1,
    partly: 1.02,
  },
  {
    id: "learning-curve",
    text: "Tokens a forward on the second half of the requests of each kind beside the first, the table empty at first, greedy",
    paper: "faster the more it is used",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.05,
    partly: 1,
  },
  {
    id: "search-or-best-first",
    text: "Monte Carlo search beside a best-first tree from the same table, 16 nodes, greedy",
    paper: "the search beats greedy construction",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.03,
    partly: 0.97,
  },
  {
    id: "search-or-walks",
    text: "Monte Carlo search beside random walks over the same table, 16 nodes, greedy",
    paper: "the search beats random construction",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.03,
    partly: 0.97,
  },
  {
    id: "scoring",
    text: "Rollouts worth the weights of their steps, beside the sum that the authors' program computes",
    paper: "the program looks up the token before each step",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.02,
    partly: 0.98,
  },
  {
    id: "whole-prompt",
    text: "Learning from the whole prompt beside its last 16 tokens, on recall and on answers over a text, greedy",
    paper: "the last 16 tokens; the rest is ours",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.05,
    partly: 1,
  },
  {
    id: "beats-prompt-lookup",
    text: "Beside prompt lookup (16 guesses), all kinds, greedy",
    paper: "compared with REST and Lookahead decoding, which it beats",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.05,
    partly: 0.97,
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
    id: "drafting-time",
    text: "Time of searching and learning beside that of the forwards, 16 nodes, jeton-nano in fp32",
    paper: "small beside a forward (7B)",
    unit: "%",
    direction: "lower",
    effect: "value",
    reproduced: 5,
    partly: 15,
    fullOnly: true,
  },
  {
    id: "speed",
    text: "Tokens a second beside plain decoding, greedy, in turns, jeton-nano in fp32 (the better of 8 and 16 nodes)",
    paper: "1.85 to 2.13 times on MT-Bench (7B to 33B)",
    unit: "tokens/s",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.5,
    partly: 1.1,
    fullOnly: true,
  },
] as const;

type Context = ReproductionContext<(typeof claims)[number]["id"]>;

const sizes = [8, 16, 32, 64];
const nodes = 16;

export const reproduction: Reproduction = defineReproduction({
  system: "aded",
  claims,
  async run(context) {
    await context.part(() => measureTinyStories(context));
    return context.part(() => measureNano(context));
  },
});

/** The requests that are measured, and others of the same kinds whose texts fill a table. */
interface Requests {
  readonly measured: PlannedKinds;
  readonly others: PlannedKinds;
}

async function planRequests(
  context: Context,
  model: LoadedModel,
  sampling: SamplingOptions,
  maximumCharacters: number,
): Promise<Requests> {
  const { quick, seed, signal } = context;
  const count = quick ? 2 : 10;
  const tasks = { count, seed, maximumCharacters, locate: (name: string) => context.data(name) };
  const options = { sampling: { ...sampling, seed }, maxTokens: quick ? 24 : 64, signal };
  return {
    measured: await planKinds(model, tasks, options),
    others: await planKinds(model, { ...tasks, skip: count }, options),
  };
}

/** What the model read and wrote: prompts and plain answers. */
function textsOf(kinds: PlannedKinds): number[][] {
  return decodingTaskKinds.flatMap((kind) =>
    kinds[kind].map(({ promptIds, plainIds }) => [...promptIds, ...plainIds]),
  );
}

type ByKind = Readonly<Record<DecodingTaskKind, DraftingMeasurement>>;

const together = (byKind: ByKind): DraftingMeasurement => sumMeasurements(Object.values(byKind));

const lengthOf = (byKind: ByKind): number => tokensPerForward(together(byKind));

/** Tokens a forward by kind, for records. */
function lengthsOf(byKind: ByKind): Record<string, number> {
  return Object.fromEntries(
    decodingTaskKinds
      .filter((kind) => byKind[kind].forwards > 0)
      .map((kind) => [kind, round(tokensPerForward(byKind[kind]))]),
  );
}

/** Decodes all requests with one drafter, kind by kind, which learns from one for the next. */
async function measureKinds(
  model: LoadedModel,
  requests: PlannedKinds,
  drafter: Drafter,
  maximumDraft: number,
  signal: AbortSignal,
): Promise<ByKind> {
  const byKind: Partial<Record<DecodingTaskKind, DraftingMeasurement>> = {};
  for (const kind of decodingTaskKinds) {
    byKind[kind] = await measureDrafting(model, requests[kind], { drafter, maximumDraft, signal });
  }
  return byKind as ByKind;
}

async function measureNano(context: Context): Promise<Plot> {
  await using model = await loadModel(await context.model(), { format: "f32" });
  const { signal } = context;
  const requests = await planRequests(context, model, { greedy: true }, 1000);
  const corpus = textsOf(requests.others);
  const identical: DraftingMeasurement[] = [];
  const measureWith = async (
    name: string,
    drafter: Drafter,
    maximumDraft = nodes,
    { measured }: Requests = requests,
  ): Promise<ByKind> => {
    context.progress(`${name}, ${maximumDraft} nodes`);
    const byKind = await measureKinds(model, measured, drafter, maximumDraft, signal);
    identical.push(...Object.values(byKind));
    return byKind;
  };
  const measure = (name: string, options: AdedOptions, size = nodes): Promise<ByKind> =>
    measureWith(name, createAdedDrafter(model, options), size);

  const adapting = await measure("corpus and adaptation", { corpus });
  const cold = await measure("adaptation alone", {});
  context.report("accepted-length", {
    measured: lengthOf(adapting),
    baseline: 1,
    baselineName: "plain decoding",
    details: {
      byKind: lengthsOf(adapting),
      emptyTable: lengthsOf(cold),
      requests: together(adapting).tasks,
      tokens: together(adapting).tokens,
      corpusTokens: corpus.reduce((sum, ids) => sum + ids.length, 0),
    },
  });

  const still = await measure("corpus alone", { corpus, adaptation: { rule: "none" } });
  const rules: Record<string, number> = {};
  for (const rule of ["once", "average"] as const) {
    rules[rule] = round(
      lengthOf(await measure(`rule "${rule}"`, { corpus, adaptation: { rule } })),
    );
  }
  context.report("adaptation", {
    measured: lengthOf(adapting),
    baseline: lengthOf(still),
    baselineName: "the table left as it is",
    details: { adapting: lengthsOf(adapting), still: lengthsOf(still), otherRules: rules },
  });

  const bestFirst = await measure("best first", { corpus, construction: "best-first" });
  context.report("search-or-best-first", {
    measured: lengthOf(adapting),
    baseline: lengthOf(bestFirst),
    baselineName: "best-first",
    details: { search: lengthsOf(adapting), bestFirst: lengthsOf(bestFirst) },
  });
  const walks = await measure("random walks", { corpus, construction: "random-walks" });
  context.report("search-or-walks", {
    measured: lengthOf(adapting),
    baseline: lengthOf(walks),
    baselineName: "24 random walks",
    details: { walks: lengthsOf(walks) },
  });
  const reference = await measure("the program's scoring", {
    corpus,
    search: { scoring: "reference" },
  });
  context.report("scoring", {
    measured: lengthOf(adapting),
    baseline: lengthOf(reference),
    baselineName: "the authors' program",
  });
  const window = await measure("the prompt's end alone", { corpus, promptIncrement: 0 });
  const grounded = ({ recall, answer }: ByKind): number =>
    tokensPerForward(sumMeasurements([recall, answer]));
  context.report("whole-prompt", {
    measured: grounded(adapting),
    baseline: grounded(window),
    baselineName: "the last 16 tokens of the prompt",
    details: { whole: lengthsOf(adapting), window: lengthsOf(window) },
  });

  const lookup = await measureWith("prompt lookup", createPromptLookup({ length: nodes }));
  const recycling = createTokenRecycling(model);
  await measureKinds(model, requests.others, recycling, nodes, signal);
  const recycled = await measureWith("token recycling", recycling);
  context.report("beats-prompt-lookup", {
    measured: lengthOf(adapting),
    baseline: lengthOf(lookup),
    baselineName: "prompt lookup",
    details: { promptLookup: lengthsOf(lookup), tokenRecycling: lengthsOf(recycled) },
  });

  const curve = await measureCurve(context, model, requests.measured);

  const sampled = await planRequests(context, model, { temperature: 0.8 }, 1000);
  const drawn = await measureWith(
    "temperature 0.8",
    createAdedDrafter(model, { corpus: textsOf(sampled.others) }),
    nodes,
    sampled,
  );
  context.report("accepted-length-sampled", {
    measured: lengthOf(drawn),
    baseline: 1,
    baselineName: "plain decoding",
    details: { byKind: lengthsOf(drawn) },
  });
  const bySize = new Map<number, { search: ByKind; bestFirst: ByKind }>();
  for (const size of context.quick ? [nodes] : sizes) {
    bySize.set(size, {
      search: size === nodes ? adapting : await measure("search", { corpus }, size),
      bestFirst:
        size === nodes
          ? bestFirst
          : await measure("best first", { corpus, construction: "best-first" }, size),
    });
  }
  const all = sumMeasurements(identical);
  context.report("identical-text", {
    measured: (100 * all.identical) / all.tasks,
    details: { runs: all.tasks },
  });
  if (!context.quick) await measureSpeed(context, model, requests, corpus);
  return plotOf(curve, bySize, { adapting, still, cold, lookup });
}

/** Tokens a forward over the index of the request: an empty table that learns, kind by kind. */
async function measureCurve(
  context: Context,
  model: LoadedModel,
  requests: PlannedKinds,
): Promise<{ x: number; y: number }[]> {
  const byIndex: DraftingMeasurement[][] = [];
  for (const kind of decodingTaskKinds) {
    context.progress(`learning curve: ${kind}`);
    // A fresh table for each kind: what is learned of one would help little with another.
    const drafter = createAdedDrafter(model);
    for (const [index, task] of requests[kind].entries()) {
      byIndex[index] ??= [];
      byIndex[index].push(
        await measureDrafting(model, [task], {
          drafter,
          maximumDraft: nodes,
          signal: context.signal,
        }),
      );
    }
  }
  const half = Math.floor(byIndex.length / 2);
  const length = (from: number, to: number): number =>
    tokensPerForward(sumMeasurements(byIndex.slice(from, to).flat()));
  const points = byIndex.map((_, index) => ({ x: index + 1, y: length(index, index + 1) }));
  context.report("learning-curve", {
    measured: length(byIndex.length - half, byIndex.length),
    baseline: length(0, half),
    baselineName: "the first half",
    details: { byRequest: points.map(({ y }) => round(y)) },
  });
  return points;
}

/** Times of plain decoding and of two sizes of trees, request by request in turns. */
async function measureSpeed(
  context: Context,
  model: LoadedModel,
  { measured }: Requests,
  corpus: readonly number[][],
): Promise<void> {
  context.progress("speed");
  const { signal } = context;
  const tasks: PlannedTask[] = decodingTaskKinds.flatMap((kind) => measured[kind]);
  const [plain, few, many] = await measureInTurns(model, tasks, [
    { signal },
    { drafter: createAdedDrafter(model, { corpus }), maximumDraft: 8, signal },
    { drafter: createAdedDrafter(model, { corpus }), maximumDraft: nodes, signal },
  ]);
  context.report("drafting-time", {
    measured: (100 * many!.draftSeconds) / (many!.seconds - many!.draftSeconds),
    details: { microsecondsPerForward: round((1e6 * many!.draftSeconds) / many!.forwards) },
  });
  const best = tokensPerSecond(few!) > tokensPerSecond(many!) ? few! : many!;
  context.report("speed", {
    measured: tokensPerSecond(best),
    baseline: tokensPerSecond(plain!),
    baselineName: "plain decoding",
    details: { with8: round(tokensPerSecond(few!)), with16: round(tokensPerSecond(many!)) },
  });
}

async function measureTinyStories(context: Context): Promise<void> {
  const folder = await context.data("models/tinystories-260k");
  await using model = await loadModel(folder, { format: "f32" });
  context.progress("the TinyStories model");
  const requests = await planRequests(context, model, { greedy: true }, 400);
  const drafter = createAdedDrafter(model, { corpus: textsOf(requests.others) });
  const byKind = await measureKinds(model, requests.measured, drafter, nodes, context.signal);
  context.report("accepted-length-tinystories", {
    measured: lengthOf(byKind),
    baseline: 1,
    baselineName: "plain decoding",
    details: { byKind: lengthsOf(byKind) },
  });
}

function plotOf(
  curve: readonly { x: number; y: number }[],
  bySize: ReadonlyMap<number, { search: ByKind; bestFirst: ByKind }>,
  {
    adapting,
    still,
    cold,
    lookup,
  }: Readonly<Record<"adapting" | "still" | "cold" | "lookup", ByKind>>,
): Plot {
  const bars = (byKind: ByKind): { x: string; y: number }[] =>
    Object.entries(lengthsOf(byKind)).map(([x, y]) => ({ x, y }));
  const line = (construction: "search" | "bestFirst"): { x: number; y: number }[] =>
    [...bySize].map(([x, found]) => ({ x, y: lengthOf(found[construction]) }));
  return {
    title: "ADED on jeton-nano, greedy",
    panels: [
      {
        title: "Where the table comes from",
        kind: "bar",
        x: { title: "kind of request", scale: "category" },
        y: { title: "tokens a forward" },
        series: [
          { name: "corpus, adapting", points: bars(adapting) },
          { name: "corpus alone", points: bars(still) },
          { name: "empty, adapting", points: bars(cold) },
          { name: "prompt lookup", points: bars(lookup) },
        ],
      },
      {
        title: "Learning from an empty table",
        kind: "line",
        x: { title: "request" },
        y: { title: "tokens a forward" },
        series: [{ name: "all kinds", points: curve }],
      },
      {
        title: "How drafts are made",
        kind: "line",
        x: { title: "nodes", scale: "log" },
        y: { title: "tokens a forward" },
        series: [
          { name: "search", points: line("search") },
          { name: "best first", points: line("bestFirst") },
        ],
      },
    ],
  };
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
