/**
 * Measures Lookahead: tokens per forward pass on requests that repeat earlier text and on some that do not,
 * beside prompt lookup, a single branch, and branches that do not share their beginnings.
 */
import { loadModel } from "../../model/index.ts";
import {
  defineReproduction,
  type Plot,
  type Reproduction,
  type ReproductionContext,
  ratioOfSums,
  type Sample,
} from "../../reproduce/index.ts";
import {
  type BenchSettings,
  type ByKind,
  DrafterBench,
  kindsPanel,
  onTinyStories,
  round,
  tasksOf,
} from "../measure/reproduction-bench.ts";
import {
  identicalTextClaim,
  lengthClaim,
  lengthRatioClaim,
  speedClaim,
} from "../measure/reproduction-claims.ts";
import {
  type DraftingMeasurement,
  type PlannedKinds,
  sumMeasurements,
} from "../measure/reproduction-drafting.ts";
import { createPromptLookupDrafter } from "../speculative/prompt-lookup.ts";
import { createLookaheadDrafter, type Lookahead, type LookaheadOptions } from "./lookahead.ts";

const claims = [
  lengthClaim(
    "answers-over-text",
    "Tokens per forward pass on Spec-Bench answers and summaries of a given text, 16 nodes, trie filled by other requests, greedy, jeton-nano",
    {
      paper: {
        value: 4.36,
        unit: "times faster",
        setting: "to 5.36, in a private service of this kind, 10B, 128 nodes",
      },
      reproduced: 1.5,
      partly: 1.25,
    },
  ),
  lengthClaim("copies", "The same on recall and copies of passages and TypeScript", {
    paper: { value: 3.2, unit: "times faster", setting: "code completion, 7B, 64 nodes" },
    reproduced: 2,
    partly: 1.5,
  }),
  lengthClaim("open-text", "The same on prose, which repeats little", {
    paper: {
      value: 2.06,
      unit: "times faster",
      setting: "Dolly with a trie of its training split, 7B",
    },
    reproduced: 1.5,
    partly: 1.3,
  }),
  lengthClaim("temperature", "Tokens per forward pass at temperature 0.8, all kinds", {
    paper: { words: "lossless there too, not reported alone" },
    reproduced: 1.5,
    partly: 1.3,
  }),
  lengthClaim(
    "tinystories",
    "Tokens per forward pass on all kinds, 16 nodes, greedy, on the tiny TinyStories model, trie filled by other requests",
    { paper: { words: "not measured on such a model" }, reproduced: 1.5, partly: 1.3 },
  ),
  lengthRatioClaim(
    "several-branches",
    "A tree of the published kind beside its one most frequent branch, 16 nodes, all kinds",
    { paper: { words: "hierarchical above single branch" }, reproduced: 1.05, partly: 1.005 },
  ),
  lengthRatioClaim(
    "shared-beginnings",
    "A tree of the published kind beside parallel branches that repeat their beginnings, 16 nodes, all kinds",
    { paper: { words: "hierarchical above parallel" }, reproduced: 1.02, partly: 1.002 },
  ),
  lengthRatioClaim(
    "warm-trie",
    "A trie filled by other requests of the kinds beside an empty one, 16 nodes, all kinds",
    {
      paper: { words: "most of the effect in production, not reported alone" },
      reproduced: 1.05,
      partly: 1.005,
    },
  ),
  lengthRatioClaim(
    "beats-prompt-lookup",
    "Tokens per forward pass beside prompt lookup (matches of up to 3 tokens, 10 draft tokens), 16 nodes, all kinds",
    { paper: { words: "above prompt lookup" }, reproduced: 1.1, partly: 1.01 },
  ),
  lengthRatioClaim(
    "learned-chances",
    "Ours: branches chosen by learned acceptance probabilities beside the published choice by counts, 16 nodes, all kinds",
    { paper: { words: "not in the paper" }, reproduced: 1.02, partly: 1.002, fullOnly: true },
  ),
  identicalTextClaim,
  {
    id: "look-up-time",
    text: "Time of retrieval and learning for one forward pass, 16 nodes",
    paper: { words: "small beside a forward pass" },
    units: "requests",
    control: "a forward pass",
    unit: "ms",
    direction: "lower",
    effect: "value",
    noEffect: 10,
    speed: true,
    reproduced: 1,
    partly: 2,
    quick: "full-only",
  },
  speedClaim(
    { value: 2.66, unit: "times", compares: "effect", setting: "to 6.26, in production" },
    "on answers over a text and copies, greedy, in turns, jeton-nano in fp32 (the best of 4, 8 and 16 nodes)",
  ),
] as const;

type Id = (typeof claims)[number]["id"];
type Context = ReproductionContext<Id>;

/** The paper's settings; the defaults differ where others measured better. */
const published = { order: "frequency", queryLength: 2 } satisfies LookaheadOptions;

const nodes = 16;

export const reproduction: Reproduction = defineReproduction({
  system: "lookahead",
  module: import.meta.url,
  models: ["jeton-nano"],
  claims,
  async run(context) {
    await context.part(() =>
      onTinyStories(context, settingsOf(context), async (bench, { measured, others }) => {
        const drafter = await warm(bench, others);
        const byKind = await bench.measure("TinyStories", drafter, nodes, measured);
        const shuffled = await bench.measureShuffled(drafter, nodes, measured);
        bench.reportLength("tinystories", byKind, shuffled);
      }),
    );
    return context.part(() => measureNano(context));
  },
});

function settingsOf({ quick }: Context): BenchSettings {
  return quick
    ? { count: 2, maxTokens: 24, others: { count: 3, minTokens: 1 } }
    : { count: 64, maxTokens: 96, others: { count: 16, minTokens: 1 } };
}

/**
 * A drafter whose trie holds the answers to other requests. A few of them are decoded with it, so that its
 * acceptance probabilities are learned.
 */
async function warm(
  bench: DrafterBench<Id>,
  { prose, code, recall, answer }: PlannedKinds,
  options: LookaheadOptions = {},
): Promise<Lookahead> {
  const drafter = createLookaheadDrafter(bench.model, options);
  for (const { autoregressiveIds } of [prose, code, recall, answer].flatMap((tasks) =>
    tasks.slice(2),
  )) {
    drafter.remember(autoregressiveIds);
  }
  await bench.measure("warming", drafter, nodes, {
    prose: prose.slice(0, 2),
    code: code.slice(0, 2),
    recall: recall.slice(0, 2),
    answer: answer.slice(0, 2),
  });
  return drafter;
}

async function measureNano(context: Context): Promise<Plot> {
  const { quick } = context;
  // The method verifies whole trees.
  await using model = await loadModel(await context.model(), { format: "f32", exact: false });
  const bench = new DrafterBench(context, model, settingsOf(context));
  const { measured, others } = await bench.plan({ greedy: true });

  const tree = await bench.measure("learned chances", await warm(bench, others), nodes, measured);
  const shuffled = await bench.measureShuffled(await warm(bench, others), nodes, measured);
  for (const [id, kind] of [
    ["answers-over-text", "answer"],
    ["copies", "recall"],
    ["open-text", "prose"],
  ] as const) {
    const { drafted, forwardPasses } = sumMeasurements(tree[kind]);
    const details = { nodesPerForward: round(drafted / forwardPasses) };
    bench.reportLength(id, tree, shuffled, { kinds: [kind], details });
  }
  const cold = await bench.measure("empty trie", createLookaheadDrafter(model), nodes, measured);
  bench.compare("warm-trie", tree, ["an empty trie", cold], shuffled);
  const copying = createPromptLookupDrafter({ length: 10 });
  const lookup = await bench.measure("prompt lookup", copying, 10, measured);
  bench.compare("beats-prompt-lookup", tree, ["prompt lookup", lookup], shuffled);
  /** Branches by counts, as the paper chooses them. */
  const byCounts = async (name: string, options: LookaheadOptions = {}): Promise<ByKind> => {
    const drafter = await warm(bench, others, { ...published, ...options });
    return bench.measure(name, drafter, nodes, measured);
  };
  const hierarchical = await byCounts("by counts");
  const single = await byCounts("one branch", { branching: "single" });
  bench.compare("several-branches", hierarchical, ["one branch", single], shuffled);
  const parallel = await byCounts("parallel branches", { branching: "parallel" });
  bench.compare("shared-beginnings", hierarchical, ["parallel branches", parallel], shuffled);

  const sampled = await bench.plan({ temperature: 0.8 });
  const drafter = await warm(bench, sampled.others);
  const atTemperature = await bench.measure("temperature 0.8", drafter, nodes, sampled.measured);
  const sampledControl = await bench.measureShuffled(drafter, nodes, sampled.measured);
  bench.reportLength("temperature", atTemperature, sampledControl);
  bench.reportIdentity("identical-text");
  if (!quick) bench.compare("learned-chances", tree, ["counts", hierarchical], shuffled);
  if (!quick && context.speed) {
    const warmed = (): ReturnType<typeof warm> => warm(bench, others);
    await context.timed(() => measureTime(context, bench, measured, warmed));
  }
  return {
    title: "Lookahead on jeton-nano, greedy",
    panels: [
      kindsPanel("Tokens per forward pass, at most 16 draft tokens", {
        "prompt lookup": lookup,
        "one branch": single,
        "learned chances": tree,
      }),
    ],
  };
}

/** Speed, and the time of retrieval and learning. */
async function measureTime(
  { report }: Context,
  bench: DrafterBench<Id>,
  measured: PlannedKinds,
  create: () => Promise<Lookahead>,
): Promise<void> {
  const found = await bench.reportSpeed("speed", tasksOf(measured, ["answer", "recall"]), {
    "4 nodes": { drafter: await create(), maxDraft: 4 },
    "8 nodes": { drafter: await create(), maxDraft: 8 },
    "16 nodes": { drafter: await create(), maxDraft: 16 },
  });
  const millisecondsOf = (seconds: (one: DraftingMeasurement) => number): Sample =>
    ratioOfSums(
      found["16 nodes"].map((one) => ({ sum: 1000 * seconds(one), weight: one.forwardPasses })),
    );
  report("look-up-time", {
    measured: millisecondsOf(({ draftSeconds }) => draftSeconds),
    control: millisecondsOf(({ seconds, draftSeconds }) => seconds - draftSeconds),
  });
}
