/**
 * Measures DySpec: tokens per forward pass beside trees of fixed shapes over the same draft, acceptance by the
 * draft's confidence, exactness, and time.
 */
import { createRandom } from "../../core/index.ts";
import { type LoadedModel, loadModel } from "../../model/index.ts";
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
  firstOf,
  lengthOf,
  lengthsByName,
  onTinyStories,
  type Requests,
  requestsOf,
  round,
  tasksOf,
  textsOf,
  together,
} from "../measure/reproduction-bench.ts";
import {
  draftingTimeClaim,
  identicalTextClaim,
  lengthRatioClaim,
  speedClaim,
  wideSpeedClaim,
} from "../measure/reproduction-claims.ts";
import { onWidened } from "../measure/reproduction-widened.ts";
import type { Drafter, DraftVerdict } from "../speculative/drafter.ts";
import { modelDraft } from "./draft-source.ts";
import { createDyspecDrafter, type DyspecOptions } from "./dyspec-drafter.ts";
import type { DynamicTree } from "./growing-tree.ts";
import { NgramModel } from "./ngram-draft.ts";
import { ConfidenceBins, PassCounter, rankCorrelation } from "./reproduction-confidence.ts";
import { measureDistribution } from "./reproduction-distribution.ts";
import { measureRanks, measureStatic, type StaticBench, watch } from "./reproduction-static.ts";
import { measureTime, measureWideTime } from "./reproduction-time.ts";

const speedup = {
  value: 9.1,
  unit: "times",
  compares: "effect",
  setting: "the highest: Llama2-70B that does not fit into memory",
} as const;
const above = { words: "above SpecInfer and Sequoia, over several pairs of models" };
const ours = { words: "not in the paper" };

const claims = [
  lengthRatioClaim(
    "beats-static-greedy",
    "Tokens per forward pass beside the best tree of a fixed shape (chain, four chains, binary, 4-2-2-1, Sequoia fitted on other requests), 16 nodes, greedy, jeton-nano and its draft on four kinds of requests",
    { paper: above, reproduced: 1.03, partly: 1.003 },
  ),
  lengthRatioClaim("beats-static-sampled", "The same at temperature 0.8", {
    paper: above,
    reproduced: 1.03,
    partly: 1.003,
  }),
  {
    id: "confidence",
    text: "The draft's probability of a token predicts whether it is accepted: rank correlation over ten bins, temperature 0.8",
    paper: { words: "the hypothesis that the method rests on" },
    units: "trees",
    control: "the same outcomes shuffled among the tested tokens",
    unit: "correlation",
    direction: "higher",
    effect: "value",
    noEffect: 0,
    reproduced: 0.9,
    partly: 0.7,
    quick: { reproduced: 0.5, partly: 0.2 },
  },
  lengthRatioClaim(
    "calibrated-greedy",
    "Ours: learned acceptance probabilities instead of the draft's own, greedy, 16 nodes",
    { paper: ours, reproduced: 1.1, partly: 1.005 },
  ),
  lengthRatioClaim("calibrated-sampled", "Ours: the same at temperature 0.8", {
    paper: ours,
    reproduced: 1.1,
    partly: 1.005,
  }),
  {
    id: "draft-passes",
    text: "Passes of the draft for a tree of 16 nodes, temperature 0.8: the second algorithm (by layer) beside one for each node",
    paper: { words: "one for each layer" },
    units: "requests",
    control: "a pass for each node",
    unit: "passes/tree",
    direction: "lower",
    effect: "ratio",
    reproduced: 2,
    partly: 1.3,
    quick: { reproduced: 2, partly: 1.3 },
  },
  lengthRatioClaim(
    "drawn-or-best",
    "Children sampled from the draft's distribution, beside its most probable tokens compared with the model's own sample, temperature 0.8",
    { paper: { words: "sampled; no comparison" }, reproduced: 1.03, partly: 1.003 },
  ),
  lengthRatioClaim(
    "tinystories",
    "As the first claim, on the tiny TinyStories model with a tri-gram model of its own text as the draft",
    { paper: above, reproduced: 1.03, partly: 1.003 },
  ),
  {
    id: "exact-distribution",
    text: "Sampled continuations have the model's distribution: G-tests against enumeration that do not reject it at 1 %, both algorithms, two temperatures, several models",
    paper: {
      value: 99,
      unit: "%",
      compares: "measured",
      setting: "lossless: one test in a hundred rejects",
    },
    units: "tests",
    control: "improbable children pruned after sampling",
    unit: "%",
    direction: "higher",
    effect: "value",
    noEffect: 0,
    reproduced: 80,
    partly: 60,
    quick: { reproduced: 80, partly: 60 },
  },
  {
    ...identicalTextClaim,
    text: "Greedy requests whose text is that of autoregressive decoding, token for token",
  },
  {
    ...draftingTimeClaim(
      "growing-time",
      "growing trees and learning (16 nodes), without the draft's passes,",
      { paper: { words: "negligible" }, partly: 10 },
    ),
    control: "the draft's passes counted as well",
  },
  wideSpeedClaim(
    speedup,
    "greedy, in turns, fp32, the draft of jeton-nano (the best of 8, 16 and 32 nodes)",
  ),
  speedClaim(
    speedup,
    "greedy, in turns, jeton-nano and its draft in fp32 (the best of 2, 3, 4, 8 and 16 nodes, calibrated or not)",
  ),
] as const;

type Id = (typeof claims)[number]["id"];
type Context = ReproductionContext<Id>;

/** The claims are about 16 nodes; the plot shows how two shapes and DySpec grow, on fewer requests. */
const sizes = [8, 16, 32];
const claimedSize = 16;
const plottedRequests = 16;
const plottedShapes = ["chain", "sequoia"] as const;

export const reproduction: Reproduction = defineReproduction({
  system: "dyspec",
  module: import.meta.url,
  models: ["jeton-nano"],
  claims,
  async run(context) {
    await measureDistribution(context);
    await context.part(() => onTinyStories(context, settingsOf(context), measureTinyStories));
    const plot = await context.part(() => measureNano(context));
    if (!context.quick && context.speed) {
      await context.part(async () => {
        await using draft = await loadDraft(await context.model());
        const settings = { count: 4, maxTokens: 48, others: { count: 1, minTokens: 8 } };
        await onWidened(context, settings, (bench, { measured }) =>
          context.timed(() => measureWideTime(bench, modelDraft(draft), tasksOf(measured))),
        );
      });
    }
    return plot;
  },
});

function settingsOf({ quick }: Context): BenchSettings {
  return quick
    ? { count: 1, maxTokens: 24 }
    : { count: 64, maxTokens: 48, others: { count: 8, minTokens: 8 } };
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
  begin?: () => void,
) => Promise<ByKind>;

async function measureNano(context: Context): Promise<Plot> {
  const { quick, report } = context;
  const folder = await context.model();
  // The methods verify whole trees.
  await using model = await loadModel(folder, { format: "f32", exact: false });
  await using draft = await loadDraft(folder);
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
    for (const nodes of quick ? [claimedSize] : sizes) {
      await measureSize(context, parts, { mode, nodes, ranks }, collected);
    }
    // Sampled trees keep the distribution of the text, not the text itself.
    if (mode === "greedy") bench.reportIdentity("identical-text");
    if (mode === "greedy" && !quick && context.speed) {
      await context.timed(() => measureTime(context, parts));
    }
  }
  const { greedy, sampled } = collected.bins;
  report("confidence", {
    measured: sampled.correlation(),
    control: sampled.shuffledCorrelation(createRandom(context.seed, "confidence")),
    details: {
      sampled: sampled.points().map(({ x, y }) => [x, round(y)]),
      greedy: greedy.points().map(({ x, y }) => [x, round(y)]),
      greedyCorrelation: round(rankCorrelation(greedy.points())),
    },
  });
  return plotOf(collected);
}

/** The draft of the bundled model, which lies beside it. */
function loadDraft(folder: string): Promise<LoadedModel> {
  const path = `${folder.replace(/[\\/]+$/, "")}-draft`;
  return loadModel(path, { format: "f32", threads: 1, inline: true });
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
  const { bench, source } = parts;
  const isClaimed = nodes === claimedSize;
  const requests = isClaimed ? parts.requests : firstOf(parts.requests, plottedRequests);
  const measure: Measure = async (name, options = {}, look = () => {}, begin = () => {}) => {
    const own = createDyspecDrafter(bench.model, { maxDepth: nodes, ...options, draft: source });
    if (options.calibrate) await bench.measure(`${name}: learning`, own, nodes, requests.others);
    return bench.measure(`${mode}: ${name}`, watch(own, look, begin), nodes, requests.measured);
  };
  const shapes = isClaimed ? undefined : plottedShapes;
  const fixed = await measureStatic({ bench, source, requests }, nodes, ranks, shapes);
  const dyspec = await measure("dyspec", {}, bins[mode].look);
  const calibrated = await measure("dyspec, calibrated", { calibrate: true });
  for (const [name, found] of [
    ["dyspec", dyspec],
    ["calibrated", calibrated],
    ...plottedShapes.map((name) => [name, fixed.byShape[name]!] as const),
  ] as const) {
    curves[`${mode}: ${name}`] ??= [];
    curves[`${mode}: ${name}`]!.push({ x: nodes, y: lengthOf(found) });
  }
  if (!isClaimed) return;
  const plain = createDyspecDrafter(bench.model, { maxDepth: nodes, draft: source });
  const shuffled = await bench.measureShuffled(plain, nodes, requests.measured);
  const bestShape = [fixed.best, fixed.byShape[fixed.best]!] as const;
  bench.compare(`beats-static-${mode}`, dyspec, bestShape, shuffled, {
    details: {
      meanAcceptanceLength: lengthsByName({ ...fixed.byShape, dyspec, calibrated }),
      rankAcceptance: ranks.map(round),
      requests: together(dyspec).tasks,
    },
  });
  const uncalibrated = ["the draft's own probabilities", dyspec] as const;
  bench.compare(`calibrated-${mode}`, calibrated, uncalibrated, shuffled, {
    details: { bestShape: fixed.best },
  });
  if (mode === "sampled") await measureVariants(context, bench, measure, { dyspec, shuffled });
}

/** The second algorithm and children that are not sampled, beside the first algorithm. */
async function measureVariants(
  { report }: Context,
  bench: DrafterBench<Id>,
  measure: Measure,
  { dyspec, shuffled }: { readonly dyspec: ByKind; readonly shuffled: ByKind },
): Promise<void> {
  const layerPasses = new PassCounter();
  const byLayer = await measure(
    "by layer",
    { algorithm: "by-layer" },
    layerPasses.look,
    layerPasses.begin,
  );
  const nodesOf = (byKind: ByKind): Sample =>
    ratioOfSums(
      requestsOf(byKind).map(({ drafted, forwardPasses }) => ({
        sum: drafted,
        weight: forwardPasses,
      })),
    );
  report("draft-passes", {
    measured: layerPasses.sample(),
    baseline: nodesOf(dyspec),
    baselineName: "one for each node",
    control: nodesOf(byLayer),
    details: { meanAcceptanceLength: lengthsByName({ bestFirst: dyspec, byLayer }) },
  });
  const best = await measure("best children", { children: "best" });
  const { identical, tasks } = together(best);
  bench.compare("drawn-or-best", dyspec, ["the most probable tokens", best], shuffled, {
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
  const shuffled = await bench.measureShuffled(create(false), 16, measured);
  bench.compare("tinystories", dyspec, [fixed.best, fixed.byShape[fixed.best]!], shuffled, {
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
