/**
 * Measures DySpec: tokens per forward pass beside trees of fixed shapes over the same draft, acceptance by the
 * draft's confidence, exactness, and time.
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
  lengthOf,
  lengthsByName,
  onTinyStories,
  type Requests,
  round,
  textsOf,
  together,
} from "../measure/reproduction-bench.ts";
import {
  draftingTimeClaim,
  identicalTextClaim,
  lengthRatioClaim,
  speedClaim,
} from "../measure/reproduction-claims.ts";
import type { Drafter, DraftVerdict } from "../speculative/drafter.ts";
import { modelDraft } from "./draft-source.ts";
import { createDyspecDrafter, type DyspecOptions } from "./dyspec-drafter.ts";
import type { DynamicTree } from "./growing-tree.ts";
import { NgramModel } from "./ngram-draft.ts";
import { ConfidenceBins, PassCounter, rankCorrelation } from "./reproduction-confidence.ts";
import { measureDistribution } from "./reproduction-distribution.ts";
import { measureRanks, measureStatic, type StaticBench, watch } from "./reproduction-static.ts";
import { measureTime } from "./reproduction-time.ts";

const claims = [
  lengthRatioClaim(
    "beats-static-greedy",
    "Tokens per forward pass beside the best tree of a fixed shape (chain, four chains, binary, 4-2-2-1, Sequoia fitted on other requests), 16 nodes, greedy, jeton-nano and its draft on four kinds of requests",
    { paper: "above SpecInfer and Sequoia", reproduced: 1.03, partly: 0.97 },
  ),
  lengthRatioClaim("beats-static-sampled", "The same at temperature 0.8", {
    paper: "above SpecInfer and Sequoia",
    reproduced: 1.03,
    partly: 0.97,
  }),
  {
    id: "confidence",
    text: "The draft's probability of a token predicts whether it is accepted: rank correlation over ten bins, temperature 0.8",
    paper: "the hypothesis that the method rests on",
    unit: "correlation",
    direction: "higher",
    effect: "value",
    reproduced: 0.9,
    partly: 0.7,
  },
  lengthRatioClaim(
    "calibrated-greedy",
    "Learned acceptance probabilities instead of the draft's own, greedy, 16 nodes",
    { paper: "not in the paper: ours", reproduced: 1.1, partly: 1 },
  ),
  lengthRatioClaim("calibrated-sampled", "The same at temperature 0.8", {
    paper: "not in the paper: ours",
    reproduced: 1.1,
    partly: 1,
  }),
  {
    id: "draft-passes",
    text: "Passes of the draft for a tree of 16 nodes, temperature 0.8: the second algorithm (by layer) beside one for each node",
    paper: "one for each layer",
    unit: "passes/tree",
    direction: "lower",
    effect: "ratio",
    reproduced: 2,
    partly: 1.3,
  },
  lengthRatioClaim(
    "drawn-or-best",
    "Children sampled from the draft's distribution, beside its most probable tokens compared with the model's own sample, temperature 0.8",
    { paper: "sampled; no comparison", reproduced: 1.03, partly: 0.97 },
  ),
  lengthRatioClaim(
    "tinystories",
    "As the first claim, on the tiny TinyStories model with a tri-gram model of its own text as the draft",
    { paper: "above SpecInfer and Sequoia", reproduced: 1.03, partly: 0.97 },
  ),
  {
    id: "exact-distribution",
    text: "Sampled continuations have the model's distribution: least p-value of G-tests against enumeration, both algorithms, two temperatures",
    paper: "lossless",
    unit: "p-value",
    direction: "higher",
    effect: "value",
    reproduced: 0.001,
    partly: 0.0001,
  },
  {
    ...identicalTextClaim,
    text: "Greedy requests whose text is that of autoregressive decoding, token for token",
  },
  draftingTimeClaim("growing-time", "growing trees and learning, without the draft's passes,", {
    paper: "negligible",
    partly: 10,
  }),
  speedClaim(
    "up to 9.1 times (Llama2-70B that does not fit into memory)",
    "greedy, in turns, jeton-nano and its draft in fp32 (the best of 8 and 16 nodes, calibrated or not)",
  ),
] as const;

type Id = (typeof claims)[number]["id"];
type Context = ReproductionContext<Id>;

const sizes = [8, 16, 32];

export const reproduction: Reproduction = defineReproduction({
  system: "dyspec",
  claims,
  async run(context) {
    await measureDistribution(context);
    await context.part(() => onTinyStories(context, settingsOf(context), measureTinyStories));
    return context.part(() => measureNano(context));
  },
});

function settingsOf({ quick }: Context): BenchSettings {
  return quick ? { count: 1, maxTokens: 24 } : { count: 4, maxTokens: 48 };
}

/** What the measurements on jeton-nano collect for plots and for the claim about confidence. */
interface Collected {
  readonly bins: Readonly<Record<Mode, ConfidenceBins>>;
  readonly curves: Record<string, { x: number; y: number }[]>;
}

type Mode = "greedy" | "sampled";
type Measure = (
  name: string,
  options?: Omit<DyspecOptions, "draft">,
  look?: (tree: DynamicTree, verdict: DraftVerdict) => void,
) => Promise<ByKind>;

async function measureNano(context: Context): Promise<Plot> {
  const { quick, report } = context;
  const folder = await context.model();
  // The methods verify whole trees.
  await using model = await loadModel(folder, { format: "f32", exact: false });
  await using draft = await loadModel(`${folder.replace(/[\\/]+$/, "")}-draft`, {
    format: "f32",
    threads: 1,
    inline: true,
  });
  const source = modelDraft(draft);
  const collected: Collected = {
    bins: { greedy: new ConfidenceBins(), sampled: new ConfidenceBins() },
    curves: {},
  };
  for (const mode of ["greedy", "sampled"] as const) {
    const bench = new DrafterBench(context, model, settingsOf(context));
    const requests = await bench.plan(mode === "greedy" ? { greedy: true } : { temperature: 0.8 });
    const parts = { bench, source, requests };
    const ranks = await measureRanks(parts);
    for (const nodes of quick ? [16] : sizes) {
      await measureSize(context, parts, { mode, nodes, ranks }, collected);
    }
    // Sampled trees keep the distribution of the text, not the text itself.
    if (mode === "greedy") bench.reportIdentity("identical-text");
    if (mode === "greedy" && !quick) await measureTime(context, parts);
  }
  const { greedy, sampled } = collected.bins;
  report("confidence", {
    measured: rankCorrelation(sampled.points()),
    details: {
      sampled: sampled.points().map(({ x, y }) => [x, round(y)]),
      greedy: greedy.points().map(({ x, y }) => [x, round(y)]),
      greedyCorrelation: round(rankCorrelation(greedy.points())),
    },
  });
  return plotOf(collected);
}

/** One size of trees: DySpec, calibrated and not, beside the fixed shapes; at 16 nodes the claims. */
async function measureSize(
  context: Context,
  parts: StaticBench<Id>,
  {
    mode,
    nodes,
    ranks,
  }: { readonly mode: Mode; readonly nodes: number; readonly ranks: readonly number[] },
  { bins, curves }: Collected,
): Promise<void> {
  const { bench, source, requests } = parts;
  const measure: Measure = async (name, options = {}, look = () => {}) => {
    const own = createDyspecDrafter(bench.model, { maxDepth: nodes, ...options, draft: source });
    if (options.calibrate) await bench.measure(`${name}: learning`, own, nodes, requests.others);
    return bench.measure(`${mode}: ${name}`, watch(own, look), nodes, requests.measured);
  };
  const fixed = await measureStatic(parts, nodes, ranks);
  const passes = new PassCounter();
  const dyspec = await measure("dyspec", {}, (tree, verdict) => {
    bins[mode].look(tree, verdict);
    passes.look(tree);
  });
  const calibrated = await measure("dyspec, calibrated", { calibrate: true });
  for (const [name, found] of [
    ["dyspec", dyspec],
    ["calibrated", calibrated],
    ["sequoia", fixed.byShape["sequoia"]!],
    ["chain", fixed.byShape["chain"]!],
  ] as const) {
    curves[`${mode}: ${name}`] ??= [];
    curves[`${mode}: ${name}`]!.push({ x: nodes, y: lengthOf(found) });
  }
  if (nodes !== 16) return;
  bench.compare(`beats-static-${mode}`, dyspec, fixed.byShape[fixed.best]!, fixed.best, {
    details: {
      meanAcceptanceLength: lengthsByName({ ...fixed.byShape, dyspec, calibrated }),
      rankAcceptance: ranks.map(round),
      requests: together(dyspec).tasks,
    },
  });
  bench.compare(`calibrated-${mode}`, calibrated, dyspec, "the draft's own probabilities", {
    details: { bestShape: fixed.best },
  });
  if (mode === "sampled") await measureVariants(context, bench, measure, { dyspec, passes });
}

/** The second algorithm and children that are not sampled, beside the first algorithm. */
async function measureVariants(
  { report }: Context,
  bench: DrafterBench<Id>,
  measure: Measure,
  { dyspec, passes }: { readonly dyspec: ByKind; readonly passes: PassCounter },
): Promise<void> {
  const layerPasses = new PassCounter();
  const byLayer = await measure("by layer", { algorithm: "by-layer" }, layerPasses.look);
  const { drafted, forwardPasses } = together(dyspec);
  report("draft-passes", {
    measured: layerPasses.mean,
    baseline: drafted / forwardPasses,
    baselineName: "one for each node",
    details: {
      firstAlgorithmHere: round(passes.mean),
      meanAcceptanceLength: lengthsByName({ bestFirst: dyspec, byLayer }),
    },
  });
  const best = await measure("best children", { children: "best" });
  const { identical, tasks } = together(best);
  bench.compare("drawn-or-best", dyspec, best, "the most probable tokens", {
    details: { identicalToAutoregressive: identical, requests: tasks },
  });
}

async function measureTinyStories(bench: DrafterBench<Id>, requests: Requests): Promise<void> {
  const { measured, others } = requests;
  const source = new NgramModel();
  for (const text of textsOf(others)) source.learn(text);
  const parts = { bench, source, requests };
  const fixed = await measureStatic(parts, 16, await measureRanks(parts));
  const create = (calibrate: boolean): Drafter =>
    createDyspecDrafter(bench.model, { draft: source, calibrate, maxDepth: 16 });
  const dyspec = await bench.measure("dyspec", create(false), 16, measured);
  const learned = create(true);
  await bench.measure("dyspec, calibrated: learning", learned, 16, others);
  const calibrated = await bench.measure("dyspec, calibrated", learned, 16, measured);
  bench.compare("tinystories", dyspec, fixed.byShape[fixed.best]!, fixed.best, {
    details: { meanAcceptanceLength: lengthsByName({ ...fixed.byShape, dyspec, calibrated }) },
  });
}

function plotOf({ curves, bins }: Collected): Plot {
  const panel = (mode: string): Plot["panels"][number] => ({
    title: mode === "greedy" ? "Greedy" : "Temperature 0.8",
    kind: "line",
    x: { title: "nodes of the tree", scale: "log" },
    y: { title: "tokens per forward pass" },
    series: Object.entries(curves)
      .filter(([name]) => name.startsWith(mode))
      .map(([name, points]) => ({ name: name.slice(mode.length + 2), points })),
  });
  return {
    title: "DySpec on jeton-nano with its draft",
    panels: [
      panel("greedy"),
      panel("sampled"),
      {
        title: "Acceptance by confidence",
        kind: "line",
        x: { title: "the draft's probability" },
        y: { title: "accepted" },
        series: [
          { name: "greedy", points: bins.greedy.points() },
          { name: "temperature 0.8", points: bins.sampled.points() },
          {
            name: "equal to the probability",
            dashed: true,
            points: [
              { x: 0, y: 0 },
              { x: 1, y: 1 },
            ],
          },
        ],
      },
    ],
  };
}
