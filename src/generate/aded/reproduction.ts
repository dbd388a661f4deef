/**
 * Measures ADED: the effect of the search, the adaptation and a corpus on tokens per forward pass, and time.
 */
import { loadModel } from "../../model/index.ts";
import {
  defineReproduction,
  type Plot,
  type Reproduction,
  type ReproductionContext,
} from "../../reproduce/index.ts";
import {
  type BenchSettings,
  type ByKind,
  DrafterBench,
  kindsPanel,
  lengthOf,
  lengthsByName,
  lengthsOf,
  onTinyStories,
  round,
  tasksOf,
  textsOf,
} from "../measure/reproduction-bench.ts";
import { drafterClaims, lengthRatioClaim } from "../measure/reproduction-claims.ts";
import {
  type DraftingMeasurement,
  measureDrafting,
  type PlannedKinds,
} from "../measure/reproduction-drafting.ts";
import { type DecodingTaskKind, decodingTaskKinds } from "../measure/reproduction-tasks.ts";
import { createPromptLookupDrafter } from "../speculative/prompt-lookup.ts";
import { createTokenRecyclingDrafter } from "../token-recycling/index.ts";
import { type AdedOptions, createAdedDrafter } from "./aded-drafter.ts";

const speedups = { value: 1.8, unit: "times faster", setting: "to 2.5; 7B to 33B" };

const claims = [
  ...drafterClaims({
    setting: "table of other requests' texts, adapting, 16 nodes",
    paper: speedups,
    reproduced: 1.8,
    partly: 1.5,
    sampled: { paper: speedups, reproduced: 1.5, partly: 1.3 },
    draftingTime: {
      activity: "searching and learning",
      paper: { words: "small beside a forward pass (7B)" },
      partly: 15,
    },
    speed: {
      value: 1.85,
      unit: "times",
      compares: "effect",
      setting: "to 2.13 on MT-Bench; 7B to 33B",
    },
    speedSetting: "greedy, in turns, jeton-nano in fp32, the best of 4, 8 and 16 nodes",
  }),
  lengthRatioClaim("adaptation", "A table that adapts beside the same table unchanged, greedy", {
    paper: { words: "adapting lifts the acceptance length" },
    reproduced: 1.1,
    partly: 1.02,
  }),
  lengthRatioClaim(
    "learning-curve",
    "The second half of the requests of each kind, the table empty at first: tokens per forward pass beside those of a table that never learns, greedy",
    { paper: { words: "faster the more it is used" }, reproduced: 1.05, partly: 1.005 },
  ),
  lengthRatioClaim(
    "search-or-best-first",
    "Monte Carlo search beside a best-first tree from the same table, 16 nodes, greedy",
    { paper: { words: "the search beats greedy construction" }, reproduced: 1.03, partly: 1.003 },
  ),
  lengthRatioClaim(
    "search-or-walks",
    "Monte Carlo search beside random walks over the same table, 16 nodes, greedy",
    { paper: { words: "the search beats random construction" }, reproduced: 1.03, partly: 1.003 },
  ),
  lengthRatioClaim(
    "scoring",
    "Rollouts scored by the weights of their steps, beside the sum that the authors' program computes",
    {
      paper: { words: "the program looks up the token before each step" },
      reproduced: 1.02,
      partly: 1.002,
    },
  ),
  lengthRatioClaim(
    "whole-prompt",
    "Learning from the whole prompt beside its last 16 tokens, on recall and on answers over a text, greedy",
    { paper: { words: "the last 16 tokens; the rest is ours" }, reproduced: 1.05, partly: 1.005 },
  ),
  lengthRatioClaim(
    "beats-prompt-lookup",
    "Beside prompt lookup (16 draft tokens), all kinds, greedy",
    {
      paper: { words: "compared with REST and Lookahead decoding, which it beats" },
      reproduced: 1.05,
      partly: 1.005,
    },
  ),
] as const;

type Id = (typeof claims)[number]["id"];
type Context = ReproductionContext<Id>;

const sizes = [8, 16, 32, 64];
const nodes = 16;

export const reproduction: Reproduction = defineReproduction({
  system: "aded",
  module: import.meta.url,
  models: ["jeton-nano"],
  claims,
  async run(context) {
    await context.part(() =>
      onTinyStories(context, settingsOf(context), async (bench, { measured, others }) => {
        const drafter = createAdedDrafter(bench.model, { corpus: textsOf(others) });
        const byKind = await bench.measure("TinyStories", drafter, nodes, measured);
        const shuffled = await bench.measureShuffled(drafter, nodes, measured);
        bench.reportLength("accepted-length-tinystories", byKind, shuffled);
      }),
    );
    return context.part(() => measureNano(context));
  },
});

function settingsOf({ quick }: Context): BenchSettings {
  return quick
    ? { count: 2, maxTokens: 24 }
    : { count: 64, maxTokens: 64, others: { count: 12, minTokens: 8 } };
}

async function measureNano(context: Context): Promise<Plot> {
  // The method verifies whole trees.
  await using model = await loadModel(await context.model(), { format: "f32", exact: false });
  const bench = new DrafterBench(context, model, settingsOf(context));
  const { measured, others } = await bench.plan({ greedy: true });
  const corpus = textsOf(others);
  const measure = (name: string, options: AdedOptions, size = nodes): Promise<ByKind> =>
    bench.measure(name, createAdedDrafter(model, options), size, measured);

  const adapting = await measure("corpus and adaptation", { corpus });
  const cold = await measure("adaptation alone", {});
  const shuffled = await bench.measureShuffled(
    createAdedDrafter(model, { corpus }),
    nodes,
    measured,
  );
  bench.reportLength("accepted-length", adapting, shuffled, {
    details: {
      emptyTable: lengthsOf(cold),
      corpusTokens: corpus.reduce((sum, ids) => sum + ids.length, 0),
    },
  });
  const still = await measure("corpus alone", { corpus, adaptation: { rule: "none" } });
  const once = await measure("raised once", { corpus, adaptation: { rule: "once" } });
  const average = await measure("averaged", { corpus, adaptation: { rule: "average" } });
  bench.compare("adaptation", adapting, ["the table left as it is", still], shuffled, {
    details: { otherRules: lengthsByName({ once, average }) },
  });
  const bestFirst = await measure("best first", { corpus, construction: "best-first" });
  bench.compare("search-or-best-first", adapting, ["best-first", bestFirst], shuffled);
  const walks = await measure("random walks", { corpus, construction: "random-walks" });
  bench.compare("search-or-walks", adapting, ["24 random walks", walks], shuffled);
  const search = { scoring: "reference" } as const;
  const reference = await measure("the program's scoring", { corpus, search });
  bench.compare("scoring", adapting, ["the authors' program", reference], shuffled);
  const window = await measure("the prompt's end alone", { corpus, promptIncrement: 0 });
  bench.compare("whole-prompt", adapting, ["the prompt's last 16 tokens", window], shuffled, {
    kinds: ["recall", "answer"],
  });

  const copying = createPromptLookupDrafter({ length: nodes });
  const lookup = await bench.measure("prompt lookup", copying, nodes, measured);
  const recycling = createTokenRecyclingDrafter(model);
  await bench.measure("token recycling, filling its table", recycling, nodes, others);
  const recycled = await bench.measure("token recycling", recycling, nodes, measured);
  bench.compare("beats-prompt-lookup", adapting, ["prompt lookup", lookup], shuffled, {
    details: { tokenRecycling: lengthsOf(recycled) },
  });
  const curve = await measureCurve(bench, { measured, cold, shuffled });

  const sampled = await bench.plan({ temperature: 0.8 });
  const learned = createAdedDrafter(model, { corpus: textsOf(sampled.others) });
  const atTemperature = await bench.measure("temperature 0.8", learned, nodes, sampled.measured);
  const sampledControl = await bench.measureShuffled(learned, nodes, sampled.measured);
  bench.reportLength("accepted-length-sampled", atTemperature, sampledControl);
  const bySize = new Map([[nodes, { search: adapting, bestFirst }]]);
  for (const size of context.quick ? [] : sizes.filter((size) => size !== nodes)) {
    bySize.set(size, {
      search: await measure("search", { corpus }, size),
      bestFirst: await measure("best first", { corpus, construction: "best-first" }, size),
    });
  }
  bench.reportIdentity("identical-text");
  if (!context.quick && context.speed) {
    await context.timed(async () => {
      const found = await bench.reportSpeed("speed", tasksOf(measured), {
        "4 nodes": { drafter: createAdedDrafter(model, { corpus }), maxDraft: 4 },
        "8 nodes": { drafter: createAdedDrafter(model, { corpus }), maxDraft: 8 },
        "16 nodes": { drafter: createAdedDrafter(model, { corpus }), maxDraft: 16 },
      });
      bench.reportDraftingTime("drafting-time", found["16 nodes"]);
    });
  }
  return plotOf(curve, bySize, { adapting, still, cold, lookup });
}

/**
 * Tokens per forward pass over the index of the request, and the second half of each kind beside the same
 * requests with a table that never learns from requests, only from each prompt.
 */
async function measureCurve(
  bench: DrafterBench<Id>,
  {
    measured,
    cold,
    shuffled,
  }: Readonly<{ measured: PlannedKinds; cold: ByKind; shuffled: ByKind }>,
): Promise<{ x: number; y: number }[]> {
  const fresh: Partial<Record<DecodingTaskKind, DraftingMeasurement[]>> = {};
  for (const kind of decodingTaskKinds) {
    const found: DraftingMeasurement[] = [];
    for (const task of measured[kind]) {
      // An empty table for each request: nothing is learned from those before.
      const options = { drafter: createAdedDrafter(bench.model), maxDraft: nodes };
      found.push(await measureDrafting(bench.model, [task], options));
    }
    fresh[kind] = found;
  }
  const secondHalf = (byKind: ByKind): ByKind =>
    mapKinds((kind) => byKind[kind].slice(Math.floor(byKind[kind].length / 2)));
  const longest = Math.max(...decodingTaskKinds.map((kind) => cold[kind].length));
  const points = Array.from({ length: longest }, (_, at) => ({
    x: at + 1,
    y: lengthOf(mapKinds((kind) => cold[kind].slice(at, at + 1))),
  }));
  bench.compare(
    "learning-curve",
    secondHalf(cold),
    ["an empty table for each request", secondHalf(fresh as ByKind)],
    secondHalf(shuffled),
    { details: { byRequest: points.map(({ y }) => round(y)) } },
  );
  return points;
}

function mapKinds(select: (kind: DecodingTaskKind) => readonly DraftingMeasurement[]): ByKind {
  return Object.fromEntries(
    decodingTaskKinds.map((kind) => [kind, select(kind)]),
  ) as unknown as ByKind;
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
  const line = (construction: "search" | "bestFirst"): { x: number; y: number }[] =>
    [...bySize]
      .map(([x, found]) => ({ x, y: lengthOf(found[construction]) }))
      .sort((a, b) => a.x - b.x);
  return {
    title: "ADED on jeton-nano, greedy",
    panels: [
      kindsPanel("Where the table comes from", {
        "corpus, adapting": adapting,
        "corpus alone": still,
        "empty, adapting": cold,
        "prompt lookup": lookup,
      }),
      {
        title: "Learning from an empty table",
        kind: "line",
        x: { title: "request" },
        y: { title: "tokens per forward pass" },
        series: [{ name: "all kinds", points: curve }],
      },
      {
        title: "How drafts are made",
        kind: "line",
        x: { title: "nodes", scale: "log" },
        y: { title: "tokens per forward pass" },
        series: [
          { name: "search", points: line("search") },
          { name: "best first", points: line("bestFirst") },
        ],
      },
    ],
  };
}
