/**
 * Measures DySpec: tokens a forward beside trees of fixed shapes over the same draft, what the draft's
 * confidence is worth, exactness, and time.
 */
import { loadModel } from "../../model/index.ts";
import {
  defineReproduction,
  type Plot,
  type Reproduction,
  type ReproductionContext,
} from "../../reproduce/index.ts";
import { createDistributionModel } from "../measure/distribution-model.ts";
import { testDraftedDistribution } from "../measure/drafted-distribution.ts";
import {
  type BenchSettings,
  type ByKind,
  DrafterBench,
  identicalTextClaim,
  lengthOf,
  lengthsByName,
  onTinyStories,
  type Requests,
  round,
  tasksOf,
  textsOf,
  together,
} from "../measure/reproduction-bench.ts";
import type { Drafter, DraftTree, DraftVerdict } from "../speculative/drafter.ts";
import { type DraftSource, modelDraft } from "./draft-source.ts";
import { createDyspecDrafter, createTreeDrafter, type DyspecOptions } from "./dyspec-drafter.ts";
import type { DynamicTree } from "./growing-tree.ts";
import { NgramModel } from "./ngram-draft.ts";
import { pruneAfterSampling } from "./reproduction-pruned.ts";
import {
  branchingShape,
  chainShape,
  fillShape,
  sequoiaShape,
  type TreeShape,
} from "./static-tree.ts";

const claims = [
  {
    id: "beats-static-greedy",
    text: "Tokens a forward beside the best tree of a fixed shape (chain, four chains, binary, 4-2-2-1, Sequoia fitted on other requests), 16 nodes, greedy, jeton-nano and its draft on four kinds of requests",
    paper: "above SpecInfer and Sequoia",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.03,
    partly: 0.97,
  },
  {
    id: "beats-static-sampled",
    text: "The same at temperature 0.8",
    paper: "above SpecInfer and Sequoia",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.03,
    partly: 0.97,
  },
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
  {
    id: "calibrated-greedy",
    text: "Learned chances of acceptance instead of the draft's own, greedy, 16 nodes",
    paper: "not in the paper: ours",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.1,
    partly: 1,
  },
  {
    id: "calibrated-sampled",
    text: "The same at temperature 0.8",
    paper: "not in the paper: ours",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.1,
    partly: 1,
  },
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
  {
    id: "drawn-or-best",
    text: "Children drawn from the draft's law, beside its most probable tokens compared with the model's own draw, temperature 0.8",
    paper: "drawn; no comparison",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.03,
    partly: 0.97,
  },
  {
    id: "tinystories",
    text: "As the first claim, on the tiny TinyStories model with a tri-gram model of its own text as the draft",
    paper: "above SpecInfer and Sequoia",
    unit: "tokens/forward",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.03,
    partly: 0.97,
  },
  {
    id: "exact-law",
    text: "Sampled continuations have the model's law: least p-value of G-tests against enumeration, both algorithms, two temperatures",
    paper: "lossless",
    unit: "p-value",
    direction: "higher",
    effect: "value",
    reproduced: 0.001,
    partly: 0.0001,
  },
  {
    ...identicalTextClaim,
    text: "Greedy requests whose text is that of plain decoding, token for token",
  },
  {
    id: "growing-time",
    text: "Time of growing trees and learning, the draft's passes apart, beside that of jeton-nano's forwards, 16 nodes",
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
    text: "Tokens a second beside plain decoding, greedy, in turns, jeton-nano and its draft in fp32 (the best of 8 and 16 nodes, calibrated or not)",
    paper: "up to 9.1 times (Llama2-70B that does not fit into memory)",
    unit: "tokens/s",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.5,
    partly: 1.1,
    fullOnly: true,
  },
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

/** Whether drafted text has the model's law, and whether a mistake would have been seen. */
async function measureDistribution({
  quick,
  seed,
  signal,
  progress,
  report,
}: Context): Promise<void> {
  const model = createDistributionModel({ seed });
  const draft = createDistributionModel({ seed, mixed: { seed: seed + 1, share: 0.4 } });
  const options = { prompt: [1, 2], runs: quick ? 800 : 20_000, signal };
  const settings: Readonly<Record<string, Omit<DyspecOptions, "draft">>> = {
    "best-first": {},
    "best-first, calibrated": { calibrate: true },
    "by layer": { algorithm: "by-layer" },
  };
  const pValues: Record<string, number> = {};
  for (const [name, setting] of Object.entries(settings)) {
    for (const sampling of [{ temperature: 1 }, { temperature: 0.6, topP: 0.95 }]) {
      progress(`the law of drafted text: ${name}, temperature ${sampling.temperature}`);
      const drafter = createDyspecDrafter(model, { ...setting, draft });
      const { pValue } = await testDraftedDistribution(model, drafter, { ...options, sampling });
      pValues[`${name}, temperature ${sampling.temperature}`] = pValue;
    }
  }
  progress("the law of text whose trees are pruned after drawing");
  const pruned = pruneAfterSampling(createDyspecDrafter(model, { draft }), 0.15);
  const sampling = { temperature: 1 };
  const { pValue } = await testDraftedDistribution(model, pruned, { ...options, sampling });
  report("exact-law", {
    measured: Math.min(...Object.values(pValues)),
    baseline: pValue,
    baselineName: "improbable children pruned after drawing",
    details: { pValues },
  });
}

/** Shapes that people pick by hand, and Sequoia's, which is fitted. */
function staticShapes(nodes: number, rankAcceptance: readonly number[]): Record<string, TreeShape> {
  return {
    chain: chainShape(nodes),
    "four chains": branchingShape([4, 1], nodes),
    binary: branchingShape([2], nodes),
    "4-2-2-1": branchingShape([4, 2, 2, 1], nodes),
    sequoia: sequoiaShape(rankAcceptance, nodes, Math.min(nodes, 16)),
  };
}

function staticDrafter(name: string, source: DraftSource, shape: TreeShape): Drafter {
  return createTreeDrafter({
    name,
    source,
    children: "drawn",
    draftTemperature: 1,
    maxNodes: shape.length,
    maxDepth: shape.length,
    grow: (distributions, limits) => fillShape(distributions, shape, limits),
  });
}

/** A drafter whose trees and verdicts are looked at. */
function watch(
  drafter: Drafter,
  look: (tree: DynamicTree, verdict: DraftVerdict) => void,
): Drafter {
  return {
    ...drafter,
    begin(request) {
      const sequence = drafter.begin(request);
      let last: DraftTree | undefined;
      return {
        async propose(context) {
          last = await sequence.propose(context);
          return last;
        },
        observe(outcome) {
          sequence.observe(outcome);
          const { verdict } = outcome;
          if (verdict && last && verdict.tree === last) look(last as DynamicTree, verdict);
        },
        end: () => sequence.end(),
      };
    },
  };
}

/** How often the first, second, ... child of the root is the accepted one. */
async function measureRanks(
  bench: DrafterBench<Id>,
  source: DraftSource,
  { others }: Requests,
): Promise<number[]> {
  const ranks = 8;
  const accepted = new Array<number>(ranks).fill(0);
  let trees = 0;
  const wide = staticDrafter("wide", source, branchingShape([ranks], ranks));
  const drafter = watch(wide, (_tree, verdict) => {
    trees++;
    if (verdict.accepted.length > 0) accepted[verdict.accepted[0]!]!++;
  });
  await bench.measure("fitting Sequoia's shape", drafter, ranks, others);
  return accepted.map((count) => count / Math.max(1, trees));
}

/** Every fixed shape of a size on the same requests, and the name of the best. */
async function measureStatic(
  bench: DrafterBench<Id>,
  source: DraftSource,
  { measured }: Requests,
  nodes: number,
  rankAcceptance: readonly number[],
): Promise<{ readonly best: string; readonly byShape: Readonly<Record<string, ByKind>> }> {
  const byShape: Record<string, ByKind> = {};
  for (const [name, shape] of Object.entries(staticShapes(nodes, rankAcceptance))) {
    const drafter = staticDrafter(name, source, shape);
    byShape[name] = await bench.measure(name, drafter, nodes, measured);
  }
  const best = Object.keys(byShape).reduce((a, b) =>
    lengthOf(byShape[b]!) > lengthOf(byShape[a]!) ? b : a,
  );
  return { best, byShape };
}

/** Bins of the draft's probability: tested and accepted tokens. */
class ConfidenceBins {
  readonly tested: number[] = new Array<number>(10).fill(0);
  readonly accepted: number[] = new Array<number>(10).fill(0);

  readonly look = ({ chances }: DynamicTree, { accepted, rejected }: DraftVerdict): void => {
    const binOf = (node: number): number => Math.min(9, Math.floor(chances[node]! * 10));
    for (const node of [...accepted, ...rejected]) this.tested[binOf(node)]!++;
    for (const node of accepted) this.accepted[binOf(node)]!++;
  };

  /** Bins that hold enough, as points of a plot. */
  points(): { x: number; y: number }[] {
    return this.tested.flatMap((tested, bin) =>
      tested < 5 ? [] : [{ x: (bin + 0.5) / 10, y: this.accepted[bin]! / tested }],
    );
  }
}

/** Spearman's correlation of points in ascending order of x with their y. */
function rankCorrelation(points: readonly { readonly y: number }[]): number {
  const n = points.length;
  if (n < 2) return 0;
  const rankOf = (y: number): number => {
    const below = points.filter((point) => point.y < y).length;
    const equal = points.filter((point) => point.y === y).length;
    return below + (equal - 1) / 2;
  };
  const mean = (n - 1) / 2;
  let product = 0;
  let squaresOfX = 0;
  let squaresOfY = 0;
  for (const [at, { y }] of points.entries()) {
    product += (at - mean) * (rankOf(y) - mean);
    squaresOfX += (at - mean) ** 2;
    squaresOfY += (rankOf(y) - mean) ** 2;
  }
  return squaresOfY === 0 ? 0 : product / Math.sqrt(squaresOfX * squaresOfY);
}

type Look = (tree: DynamicTree, verdict: DraftVerdict) => void;

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
  const bins = { greedy: new ConfidenceBins(), sampled: new ConfidenceBins() };
  const curves: Record<string, { x: number; y: number }[]> = {};
  const note = (name: string, nodes: number, found: ByKind): void => {
    curves[name] ??= [];
    curves[name].push({ x: nodes, y: lengthOf(found) });
  };

  for (const mode of ["greedy", "sampled"] as const) {
    const bench = new DrafterBench(context, model, settingsOf(context));
    const requests = await bench.plan(mode === "greedy" ? { greedy: true } : { temperature: 0.8 });
    const ranks = await measureRanks(bench, source, requests);
    const measure = async (
      name: string,
      nodes: number,
      options: Omit<DyspecOptions, "draft"> = {},
      look: Look = () => {},
    ): Promise<ByKind> => {
      const own = createDyspecDrafter(model, { maxDepth: nodes, ...options, draft: source });
      if (options.calibrate) await bench.measure(`${name}: learning`, own, nodes, requests.others);
      return bench.measure(`${mode}: ${name}`, watch(own, look), nodes, requests.measured);
    };
    for (const nodes of quick ? [16] : sizes) {
      const fixed = await measureStatic(bench, source, requests, nodes, ranks);
      const passes = new PassCounter();
      const dyspec = await measure("dyspec", nodes, {}, (tree, verdict) => {
        bins[mode].look(tree, verdict);
        passes.look(tree);
      });
      const calibrated = await measure("dyspec, calibrated", nodes, { calibrate: true });
      note(`${mode}: dyspec`, nodes, dyspec);
      note(`${mode}: calibrated`, nodes, calibrated);
      note(`${mode}: sequoia`, nodes, fixed.byShape["sequoia"]!);
      note(`${mode}: chain`, nodes, fixed.byShape["chain"]!);
      if (nodes !== 16) continue;
      const details = {
        meanAcceptanceLength: lengthsByName({ ...fixed.byShape, dyspec, calibrated }),
        rankAcceptance: ranks.map(round),
        requests: together(dyspec).tasks,
      };
      bench.compare(`beats-static-${mode}`, dyspec, fixed.byShape[fixed.best]!, fixed.best, {
        details,
      });
      bench.compare(`calibrated-${mode}`, calibrated, dyspec, "the draft's own probabilities", {
        details: { bestShape: fixed.best },
      });
      if (mode === "greedy") continue;
      const layerPasses = new PassCounter();
      const byLayer = await measure("by layer", nodes, { algorithm: "by-layer" }, layerPasses.look);
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
      const best = await measure("best children", nodes, { children: "best" });
      const { identical, tasks } = together(best);
      bench.compare("drawn-or-best", dyspec, best, "the most probable tokens", {
        details: { identicalToAutoregressive: identical, requests: tasks },
      });
    }
    // Drawn trees keep the law of the text, and not the text itself.
    if (mode === "greedy") bench.reportIdentity("identical-text");
    if (mode === "greedy" && !quick) await measureTime(context, bench, source, requests);
  }

  report("confidence", {
    measured: rankCorrelation(bins.sampled.points()),
    details: {
      sampled: bins.sampled.points().map(({ x, y }) => [x, round(y)]),
      greedy: bins.greedy.points().map(({ x, y }) => [x, round(y)]),
      greedyCorrelation: round(rankCorrelation(bins.greedy.points())),
    },
  });
  return plotOf(curves, bins);
}

/** Passes of the draft for each tree. */
class PassCounter {
  #passes = 0;
  #trees = 0;

  readonly look = ({ draftCalls }: DynamicTree): void => {
    this.#passes += draftCalls;
    this.#trees++;
  };

  get mean(): number {
    return this.#passes / this.#trees;
  }
}

async function measureTime(
  { report }: Context,
  bench: DrafterBench<Id>,
  source: DraftSource,
  { measured, others }: Requests,
): Promise<void> {
  const timed = timeSource(source);
  const create = (draft: DraftSource, calibrate = false): Drafter =>
    createDyspecDrafter(bench.model, { draft, calibrate });
  const warm = async (nodes: number): Promise<Drafter> => {
    const drafter = create(source, true);
    await bench.measure("dyspec, calibrated: learning", drafter, nodes, others);
    return drafter;
  };
  const found = await bench.reportSpeed("speed", tasksOf(measured), {
    "8 nodes": { drafter: create(source), maxDraft: 8 },
    "16 nodes": { drafter: create(timed.source), maxDraft: 16 },
    "8 nodes, calibrated": { drafter: await warm(8), maxDraft: 8 },
    "16 nodes, calibrated": { drafter: await warm(16), maxDraft: 16 },
  });
  const { seconds, draftSeconds, forwardPasses } = found["16 nodes"];
  const growing = draftSeconds - timed.seconds();
  report("growing-time", {
    measured: (100 * growing) / (seconds - draftSeconds),
    details: {
      growingMicroseconds: round((1e6 * growing) / forwardPasses),
      draftPassesMicroseconds: round((1e6 * timed.seconds()) / forwardPasses),
    },
  });
}

/** A source, and the seconds that its passes took. */
function timeSource(source: DraftSource): { readonly source: DraftSource; seconds(): number } {
  let total = 0;
  const timed: DraftSource = {
    name: source.name,
    begin(request, sampling) {
      const sequence = source.begin(request, sampling);
      return {
        distributionsBelow(ids) {
          const distributions = sequence.distributionsBelow(ids);
          return {
            async after(nodes, tree) {
              const begin = performance.now();
              const found = await distributions.after(nodes, tree);
              total += (performance.now() - begin) / 1000;
              return found;
            },
          };
        },
        end: () => sequence.end(),
      };
    },
  };
  return { source: timed, seconds: () => total };
}

async function measureTinyStories(bench: DrafterBench<Id>, requests: Requests): Promise<void> {
  const { measured, others } = requests;
  const source = new NgramModel();
  for (const text of textsOf(others)) source.learn(text);
  const ranks = await measureRanks(bench, source, requests);
  const fixed = await measureStatic(bench, source, requests, 16, ranks);
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

function plotOf(
  curves: Readonly<Record<string, { x: number; y: number }[]>>,
  bins: Readonly<Record<"greedy" | "sampled", ConfidenceBins>>,
): Plot {
  const panel = (mode: string): Plot["panels"][number] => ({
    title: mode === "greedy" ? "Greedy" : "Temperature 0.8",
    kind: "line",
    x: { title: "nodes of the tree", scale: "log" },
    y: { title: "tokens a forward" },
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
        title: "Does confidence come true?",
        kind: "line",
        x: { title: "the draft's probability" },
        y: { title: "accepted" },
        series: [
          { name: "greedy", points: bins.greedy.points() },
          { name: "temperature 0.8", points: bins.sampled.points() },
          {
            name: "as probable",
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
