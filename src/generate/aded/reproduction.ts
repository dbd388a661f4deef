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
  meanAcceptanceLength,
  measureDrafting,
  type PlannedKinds,
  sumMeasurements,
} from "../measure/reproduction-drafting.ts";
import { decodingTaskKinds } from "../measure/reproduction-tasks.ts";
import { createPromptLookupDrafter } from "../speculative/prompt-lookup.ts";
import { createTokenRecyclingDrafter } from "../token-recycling/index.ts";
import { type AdedOptions, createAdedDrafter } from "./aded-drafter.ts";

const speedups = "speedups of 1.8 to 2.5 (7B to 33B)";

const claims = [
  ...drafterClaims({
    setting: "table of other requests' texts, adapting, 16 nodes",
    paper: speedups,
    reproduced: 1.8,
    partly: 1.3,
    sampled: { paper: speedups, reproduced: 1.5, partly: 1.1 },
    draftingTime: {
      activity: "searching and learning",
      paper: "small beside a forward pass (7B)",
      partly: 15,
    },
    speed: "1.85 to 2.13 times on MT-Bench (7B to 33B)",
  }),
  lengthRatioClaim("adaptation", "A table that adapts beside the same table unchanged, greedy", {
    paper: "adapting lifts the acceptance length",
    reproduced: 1.1,
    partly: 1.02,
  }),
  lengthRatioClaim(
    "learning-curve",
    "Tokens per forward pass on the second half of the requests of each kind beside the first, the table empty at first, greedy",
    { paper: "faster the more it is used", reproduced: 1.05, partly: 1 },
  ),
  lengthRatioClaim(
    "search-or-best-first",
    "Monte Carlo search beside a best-first tree from the same table, 16 nodes, greedy",
    { paper: "the search beats greedy construction", reproduced: 1.03, partly: 0.97 },
  ),
  lengthRatioClaim(
    "search-or-walks",
    "Monte Carlo search beside random walks over the same table, 16 nodes, greedy",
    { paper: "the search beats random construction", reproduced: 1.03, partly: 0.97 },
  ),
  lengthRatioClaim(
    "scoring",
    "Rollouts scored by the weights of their steps, beside the sum that the authors' program computes",
    {
      paper: "the program looks up the token before each step",
      reproduced: 1.02,
      partly: 0.98,
    },
  ),
  lengthRatioClaim(
    "whole-prompt",
    "Learning from the whole prompt beside its last 16 tokens, on recall and on answers over a text, greedy",
    { paper: "the last 16 tokens; the rest is ours", reproduced: 1.05, partly: 1 },
  ),
  lengthRatioClaim(
    "beats-prompt-lookup",
    "Beside prompt lookup (16 draft tokens), all kinds, greedy",
    {
      paper: "compared with REST and Lookahead decoding, which it beats",
      reproduced: 1.05,
      partly: 0.97,
    },
  ),
] as const;

type Id = (typeof claims)[number]["id"];
type Context = ReproductionContext<Id>;

const sizes = [8, 16, 32, 64];
const nodes = 16;

export const reproduction: Reproduction = defineReproduction({
  system: "aded",
  claims,
  async run(context) {
    await context.part(() =>
      onTinyStories(context, settingsOf(context), async (bench, { measured, others }) => {
        const drafter = createAdedDrafter(bench.model, { corpus: textsOf(others) });
        const byKind = await bench.measure("TinyStories", drafter, nodes, measured);
        bench.reportLength("accepted-length-tinystories", byKind);
      }),
    );
    return context.part(() => measureNano(context));
  },
});

function settingsOf({ quick }: Context): BenchSettings {
  return quick ? { count: 2, maxTokens: 24 } : { count: 10, maxTokens: 64 };
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
  bench.reportLength("accepted-length", adapting, {
    emptyTable: lengthsOf(cold),
    corpusTokens: corpus.reduce((sum, ids) => sum + ids.length, 0),
  });
  const still = await measure("corpus alone", { corpus, adaptation: { rule: "none" } });
  const once = await measure("raised once", { corpus, adaptation: { rule: "once" } });
  const average = await measure("averaged", { corpus, adaptation: { rule: "average" } });
  bench.compare("adaptation", adapting, still, "the table left as it is", {
    details: { otherRules: lengthsByName({ once, average }) },
  });
  const bestFirst = await measure("best first", { corpus, construction: "best-first" });
  bench.compare("search-or-best-first", adapting, bestFirst, "best-first");
  const walks = await measure("random walks", { corpus, construction: "random-walks" });
  bench.compare("search-or-walks", adapting, walks, "24 random walks");
  const search = { scoring: "reference" } as const;
  const reference = await measure("the program's scoring", { corpus, search });
  bench.compare("scoring", adapting, reference, "the authors' program");
  const window = await measure("the prompt's end alone", { corpus, promptIncrement: 0 });
  bench.compare("whole-prompt", adapting, window, "the last 16 tokens of the prompt", {
    kinds: ["recall", "answer"],
  });

  const copying = createPromptLookupDrafter({ length: nodes });
  const lookup = await bench.measure("prompt lookup", copying, nodes, measured);
  const recycling = createTokenRecyclingDrafter(model);
  await bench.measure("token recycling, filling its table", recycling, nodes, others);
  const recycled = await bench.measure("token recycling", recycling, nodes, measured);
  bench.compare("beats-prompt-lookup", adapting, lookup, "prompt lookup", {
    details: { tokenRecycling: lengthsOf(recycled) },
  });
  const curve = await measureCurve(context, bench, measured);

  const sampled = await bench.plan({ temperature: 0.8 });
  const learned = createAdedDrafter(model, { corpus: textsOf(sampled.others) });
  const atTemperature = await bench.measure("temperature 0.8", learned, nodes, sampled.measured);
  bench.reportLength("accepted-length-sampled", atTemperature);
  const bySize = new Map([[nodes, { search: adapting, bestFirst }]]);
  for (const size of context.quick ? [] : sizes.filter((size) => size !== nodes)) {
    bySize.set(size, {
      search: await measure("search", { corpus }, size),
      bestFirst: await measure("best first", { corpus, construction: "best-first" }, size),
    });
  }
  bench.reportIdentity("identical-text");
  if (!context.quick) {
    const found = await bench.reportSpeed("speed", tasksOf(measured), {
      "8 nodes": { drafter: createAdedDrafter(model, { corpus }), maxDraft: 8 },
      "16 nodes": { drafter: createAdedDrafter(model, { corpus }), maxDraft: 16 },
    });
    bench.reportDraftingTime("drafting-time", found["16 nodes"]);
  }
  return plotOf(curve, bySize, { adapting, still, cold, lookup });
}

/** Tokens per forward pass over the index of the request: an empty table that learns, kind by kind. */
async function measureCurve(
  { progress, report, signal }: Context,
  { model }: DrafterBench<Id>,
  requests: PlannedKinds,
): Promise<{ x: number; y: number }[]> {
  const byIndex: DraftingMeasurement[][] = [];
  for (const kind of decodingTaskKinds) {
    progress(`learning curve: ${kind}`);
    // A fresh table for each kind: one kind's triples would help little with another.
    const options = { drafter: createAdedDrafter(model), maxDraft: nodes, signal };
    for (const [index, task] of requests[kind].entries()) {
      byIndex[index] ??= [];
      byIndex[index].push(await measureDrafting(model, [task], options));
    }
  }
  const half = Math.floor(byIndex.length / 2);
  const length = (from: number, to: number): number =>
    meanAcceptanceLength(sumMeasurements(byIndex.slice(from, to).flat()));
  const points = byIndex.map((_, index) => ({ x: index + 1, y: length(index, index + 1) }));
  report("learning-curve", {
    measured: length(byIndex.length - half, byIndex.length),
    baseline: length(0, half),
    baselineName: "the first half",
    details: { byRequest: points.map(({ y }) => round(y)) },
  });
  return points;
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
