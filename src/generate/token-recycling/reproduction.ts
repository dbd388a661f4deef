/**
 * Measures Token Recycling: how many tokens a forward brings on requests of four kinds, beside prompt
 * lookup, a chain, and itself with an empty table.
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
  type MeasureDraftingOptions,
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
import { createTemplate, type DraftTemplate, publishedTemplate } from "./draft-template.ts";
import { SuccessorTable } from "./successor-table.ts";
import { createTokenRecycling, type TokenRecycling } from "./token-recycling.ts";

const claims = [
  {
    id: "accepted-length",
    text: "Tokens a forward, published tree of 80 nodes, table filled by other requests, greedy, jeton-nano on four kinds of requests",
    paper: 2.7,
    unit: "tokens/forward",
    direction: "higher",
    effect: "value",
    reproduced: 2,
    partly: 1.5,
  },
  {
    id: "accepted-length-sampled",
    text: "The same at temperature 0.8",
    paper: "greedy only",
    unit: "tokens/forward",
    direction: "higher",
    effect: "value",
    reproduced: 1.6,
    partly: 1.3,
  },
  {
    id: "accepted-length-tinystories",
    text: "The same as the first, on the tiny TinyStories model",
    paper: 2.7,
    unit: "tokens/forward",
    direction: "higher",
    effect: "value",
    reproduced: 2,
    partly: 1.5,
  },
  {
    id: "beats-prompt-lookup",
    text: "Tokens a forward on prose and TypeScript, where the prompt does not hold the answer, beside prompt lookup (3 tokens at most, 10 guesses)",
    paper: "speedups of 2.03 and 1.53 over all categories (7B)",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.1,
    partly: 1,
  },
  {
    id: "warm-table",
    text: "A table filled by other requests brings more than an empty one",
    paper: "inherited between requests, not reported alone",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.05,
    partly: 1,
  },
  {
    id: "tree-beats-chain",
    text: "The tree brings more than its longest branch alone",
    paper: "part of the method, not reported alone",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.1,
    partly: 1,
  },
  {
    id: "shaped-tree",
    text: "A tree of 16 nodes shaped by the table's confidence, beside the first 16 nodes of the published one",
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
    id: "memory",
    text: "Table for a vocabulary of 32,000 tokens",
    paper: 1.95,
    unit: "MB",
    direction: "lower",
    effect: "value",
    reproduced: 1.95,
    partly: 3,
  },
  {
    id: "drafting-time",
    text: "Time of guessing and learning beside that of the forwards, 16 nodes, jeton-nano in fp32",
    paper: "negligible",
    unit: "%",
    direction: "lower",
    effect: "value",
    reproduced: 5,
    partly: 10,
    fullOnly: true,
  },
  {
    id: "speed",
    text: "Tokens a second beside plain decoding, greedy, in turns, jeton-nano in fp32 (the better of 8 and 16 nodes)",
    paper: "2.03 times (7B, A100)",
    unit: "tokens/s",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.5,
    partly: 1.1,
    fullOnly: true,
  },
] as const;

type Context = ReproductionContext<(typeof claims)[number]["id"]>;

/** Sizes of the tree, from what a busy processor affords to what the paper's accelerator does. */
const sizes = { quick: [16, 80], full: [8, 16, 32, 80] } as const;

export const reproduction: Reproduction = defineReproduction({
  system: "token-recycling",
  claims,
  async run(context) {
    context.report("memory", {
      measured: new SuccessorTable(32_000).bytes / 1e6,
      baseline: 1.95,
      baselineName: "the authors' table of 64-bit integers",
    });
    const plot = await context.part(() => measureNano(context));
    await context.part(() => measureTinyStories(context));
    return plot;
  },
});

/** The requests that are measured, and others of the same kinds that fill a table. */
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
  const options = { sampling: { ...sampling, seed }, maxTokens: quick ? 24 : 96, signal };
  return {
    measured: await planKinds(model, tasks, options),
    others: await planKinds(model, { ...tasks, skip: tasksPerPlanned * count }, options),
  };
}

type ByKind = Readonly<Record<keyof PlannedKinds, DraftingMeasurement>>;

/** Decodes all requests with one drafter, which learns from one for the next. */
async function measureKinds(
  model: LoadedModel,
  requests: PlannedKinds,
  options: MeasureDraftingOptions,
): Promise<ByKind> {
  const byKind: Partial<Record<keyof PlannedKinds, DraftingMeasurement>> = {};
  for (const kind of decodingTaskKinds) {
    byKind[kind] = await measureDrafting(model, requests[kind], options);
  }
  return byKind as ByKind;
}

const together = (byKind: ByKind): DraftingMeasurement => sumMeasurements(Object.values(byKind));

/** Tokens a forward by kind, for records. */
function lengthsOf(byKind: ByKind): Record<string, number> {
  return Object.fromEntries(
    decodingTaskKinds.map((kind) => [kind, round(tokensPerForward(byKind[kind]))]),
  );
}

/** The tree's longest branch: always the most probable successor. */
const chain: DraftTemplate = createTemplate(
  Array.from({ length: 6 }, (_, depth) => new Array<number>(depth + 1).fill(0)),
);

async function measureNano(context: Context): Promise<Plot> {
  await using model = await loadModel(await context.model(), { format: "f32" });
  const { signal } = context;
  const greedy = await planRequests(context, model, { greedy: true }, 1000);
  const identical: DraftingMeasurement[] = [];
  const measure = async (
    name: string,
    drafter: Drafter,
    maximumDraft: number,
    requests: PlannedKinds,
  ): Promise<ByKind> => {
    context.progress(`${name}, ${maximumDraft} nodes`);
    const byKind = await measureKinds(model, requests, { drafter, maximumDraft, signal });
    identical.push(...Object.values(byKind));
    return byKind;
  };
  /** A drafter whose table other requests have filled. */
  const warm = async (
    options: Parameters<typeof createTokenRecycling>[1],
    { others }: Requests = greedy,
  ): Promise<TokenRecycling> => {
    const drafter = createTokenRecycling(model, options);
    await measure("filling the table", drafter, 80, others);
    return drafter;
  };
  const published = { tree: "template", template: publishedTemplate } as const;

  const cold = await measure(
    "empty table",
    createTokenRecycling(model, published),
    80,
    greedy.measured,
  );
  const state = (await warm(published)).save();
  /** The same table for every setting: none learns from the requests of another. */
  const fromState = (options: Parameters<typeof createTokenRecycling>[1]): Drafter => {
    const drafter = createTokenRecycling(model, options);
    drafter.load(state);
    return drafter;
  };
  const bySize = new Map<number, ByKind>();
  for (const size of context.quick ? sizes.quick : sizes.full) {
    bySize.set(size, await measure("published tree", fromState(published), size, greedy.measured));
  }
  const hot = bySize.get(80)!;
  context.report("accepted-length", {
    measured: tokensPerForward(together(hot)),
    baseline: 1,
    baselineName: "plain decoding",
    details: {
      byKind: lengthsOf(hot),
      byNodes: Object.fromEntries(
        [...bySize].map(([size, byKind]) => [size, round(tokensPerForward(together(byKind)))]),
      ),
      requests: together(hot).tasks,
      tokens: together(hot).tokens,
    },
  });
  context.report("warm-table", {
    measured: tokensPerForward(together(hot)),
    baseline: tokensPerForward(together(cold)),
    baselineName: "an empty table",
    details: { byKind: lengthsOf(cold) },
  });

  const lookup = await measure(
    "prompt lookup",
    createPromptLookup({ length: 10 }),
    10,
    greedy.measured,
  );
  const open = ({ prose, code }: ByKind): number =>
    tokensPerForward(sumMeasurements([prose, code]));
  context.report("beats-prompt-lookup", {
    measured: open(hot),
    baseline: open(lookup),
    baselineName: "prompt lookup",
    details: { lookup: lengthsOf(lookup), tokenRecycling: lengthsOf(hot) },
  });
  const straight = await measure(
    "chain",
    fromState({ ...published, template: chain }),
    80,
    greedy.measured,
  );
  context.report("tree-beats-chain", {
    measured: tokensPerForward(together(hot)),
    baseline: tokensPerForward(together(straight)),
    baselineName: "a chain of six",
  });
  if (!context.quick) {
    const drafter = await warm({ tree: "confidence" });
    const shaped = await measure("shaped tree", drafter, 16, greedy.measured);
    context.report("shaped-tree", {
      measured: tokensPerForward(together(shaped)),
      baseline: tokensPerForward(together(bySize.get(16)!)),
      baselineName: "16 nodes of the published tree",
      details: { byKind: lengthsOf(shaped) },
    });
  }

  const sampled = await planRequests(context, model, { temperature: 0.8 }, 1000);
  const drawn = await measure(
    "temperature 0.8",
    await warm(published, sampled),
    80,
    sampled.measured,
  );
  context.report("accepted-length-sampled", {
    measured: tokensPerForward(together(drawn)),
    baseline: 1,
    baselineName: "plain decoding",
    details: { byKind: lengthsOf(drawn) },
  });
  const all = sumMeasurements(identical);
  context.report("identical-text", {
    measured: (100 * all.identical) / all.tasks,
    details: { runs: all.tasks },
  });
  if (!context.quick) await measureSpeed(context, model, greedy, () => warm({}));
  return plotOf(bySize, lookup);
}

/** Times of plain decoding and of two sizes of trees, request by request in turns. */
async function measureSpeed(
  context: Context,
  model: LoadedModel,
  { measured }: Requests,
  create: () => Promise<Drafter>,
): Promise<void> {
  context.progress("speed");
  const { signal } = context;
  const tasks = decodingTaskKinds.flatMap((kind) => measured[kind]);
  const [plain, few, many] = await measureInTurns(model, tasks, [
    { signal },
    { drafter: await create(), maximumDraft: 8, signal },
    { drafter: await create(), maximumDraft: 16, signal },
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
    details: {
      with8: round(tokensPerSecond(few!)),
      with16: round(tokensPerSecond(many!)),
      costOf9Rows: round(few!.seconds / few!.forwards / (plain!.seconds / plain!.forwards)),
      costOf17Rows: round(many!.seconds / many!.forwards / (plain!.seconds / plain!.forwards)),
    },
  });
}

async function measureTinyStories(context: Context): Promise<void> {
  const folder = await context.data("models/tinystories-260k");
  await using model = await loadModel(folder, { format: "f32" });
  context.progress("the TinyStories model");
  const { measured, others } = await planRequests(context, model, { greedy: true }, 400);
  const options = {
    drafter: createTokenRecycling(model, { tree: "template" }),
    maximumDraft: 80,
    signal: context.signal,
  };
  await measureKinds(model, others, options);
  const byKind = await measureKinds(model, measured, options);
  context.report("accepted-length-tinystories", {
    measured: tokensPerForward(together(byKind)),
    baseline: 1,
    baselineName: "plain decoding",
    details: { byKind: lengthsOf(byKind) },
  });
}

function plotOf(bySize: ReadonlyMap<number, ByKind>, lookup: ByKind): Plot {
  return {
    title: "Token Recycling on jeton-nano, greedy",
    panels: [
      {
        title: "Tokens a forward by the size of the tree",
        kind: "line",
        x: { title: "nodes", scale: "log" },
        y: { title: "tokens a forward" },
        series: decodingTaskKinds.map((kind) => ({
          name: kind,
          points: [...bySize].map(([size, byKind]) => ({
            x: size,
            y: tokensPerForward(byKind[kind]),
          })),
        })),
      },
      {
        title: "Beside prompt lookup (10 guesses)",
        kind: "bar",
        x: { title: "kind of request", scale: "category" },
        y: { title: "tokens a forward" },
        series: [
          { name: "prompt lookup", points: barsOf(lookup) },
          { name: "token recycling, 16 nodes", points: barsOf(bySize.get(16)!) },
          { name: "token recycling, 80 nodes", points: barsOf(bySize.get(80)!) },
        ],
      },
    ],
  };
}

function barsOf(byKind: ByKind): { x: string; y: number }[] {
  return Object.entries(lengthsOf(byKind)).map(([x, y]) => ({ x, y }));
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
