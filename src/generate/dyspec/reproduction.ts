/**
 * Measures DySpec: tokens a forward beside trees of fixed shapes over the same draft, what the draft's
 * confidence is worth, exactness, and time.
 */
import { type LoadedModel, loadModel } from "../../model/index.ts";
import {
  defineReproduction,
  type Plot,
  type Reproduction,
  type ReproductionContext,
} from "../../reproduce/index.ts";
import type { Drafter, DraftTree, DraftVerdict } from "../drafter.ts";
import { decodingTaskKinds } from "../testing/decoding-tasks.ts";
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
import type { SamplingOptions } from "../types.ts";
import { type DraftSource, modelDraft } from "./draft-source.ts";
import { createDyspecDrafter, createTreeDrafter, type DyspecOptions } from "./dyspec-drafter.ts";
import type { DynamicTree } from "./growing-tree.ts";
import { NgramModel } from "./ngram-draft.ts";
import { lawProbability, pruneAfterDrawing } from "./reproduction-law.ts";
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
    id: "identical-text",
    text: "Greedy requests whose text is that of plain decoding, token for token",
    paper: "lossless",
    unit: "%",
    direction: "higher",
    effect: "value",
    reproduced: 100,
    partly: 99,
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

type Context = ReproductionContext<(typeof claims)[number]["id"]>;

const sizes = [8, 16, 32];

export const reproduction: Reproduction = defineReproduction({
  system: "dyspec",
  claims,
  async run(context) {
    await measureLaw(context);
    await context.part(() => measureTinyStories(context));
    return context.part(() => measureNano(context));
  },
});

async function measureLaw(context: Context): Promise<void> {
  const { quick, seed, signal } = context;
  const open =
    (options: Omit<DyspecOptions, "draft">) =>
    (model: LoadedModel, draft: LoadedModel): Drafter =>
      createDyspecDrafter(model, { ...options, draft });
  const settings = {
    "best-first": open({}),
    "best-first, calibrated": open({ calibrate: true }),
    "by layer": open({ algorithm: "by-layer" }),
  };
  const pValues: Record<string, number> = {};
  for (const [name, drafter] of Object.entries(settings)) {
    for (const sampling of [{ temperature: 1 }, { temperature: 0.6, topP: 0.95 }]) {
      context.progress(`the law of drafted text: ${name}`);
      const options = { runs: quick ? 800 : 20_000, sampling, seed, signal };
      const key = `${name}, temperature ${sampling.temperature}`;
      pValues[key] = await lawProbability(drafter, options);
    }
  }
  const pruned = await lawProbability(
    (model, draft) => pruneAfterDrawing(open({})(model, draft), 0.15),
    { runs: quick ? 800 : 20_000, sampling: { temperature: 1 }, seed, signal },
  );
  context.report("exact-law", {
    measured: Math.min(...Object.values(pValues)),
    baseline: pruned,
    baselineName: "improbable children pruned after drawing",
    details: { pValues },
  });
}

/** The requests that are measured, and others of the same kinds to fit a shape or a draft on. */
interface Requests {
  readonly measured: readonly PlannedTask[];
  readonly others: readonly PlannedTask[];
}

async function planRequests(
  context: Context,
  model: LoadedModel,
  sampling: SamplingOptions,
  maximumCharacters: number,
): Promise<Requests> {
  const { quick, seed, signal } = context;
  const count = quick ? 1 : 6;
  const tasks = { count, seed, maximumCharacters, locate: (name: string) => context.data(name) };
  const options = { sampling: { ...sampling, seed }, maxTokens: quick ? 24 : 64, signal };
  const flat = (kinds: PlannedKinds): PlannedTask[] =>
    decodingTaskKinds.flatMap((kind) => kinds[kind]);
  return {
    measured: flat(await planKinds(model, tasks, options)),
    others: flat(await planKinds(model, { ...tasks, skip: count }, options)),
  };
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
    maximumNodes: shape.length,
    maximumDepth: shape.length,
    grow: (laws, limits) => fillShape(laws, shape, limits),
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
  context: Context,
  model: LoadedModel,
  source: DraftSource,
  tasks: readonly PlannedTask[],
): Promise<number[]> {
  const ranks = 8;
  const accepted = new Array<number>(ranks).fill(0);
  let trees = 0;
  const wide = staticDrafter("wide", source, branchingShape([ranks], ranks));
  const drafter = watch(wide, (_tree, verdict) => {
    trees++;
    if (verdict.accepted.length > 0) accepted[verdict.accepted[0]!]!++;
  });
  context.progress("fitting Sequoia's shape");
  await measureDrafting(model, tasks, { drafter, maximumDraft: ranks, signal: context.signal });
  return accepted.map((count) => count / Math.max(1, trees));
}

type Lengths = Record<string, DraftingMeasurement>;

const lengthsOf = (lengths: Lengths): Record<string, number> =>
  Object.fromEntries(
    Object.entries(lengths).map(([name, found]) => [name, round(tokensPerForward(found))]),
  );

/** Every fixed shape of a size on the same requests, and the best of them. */
async function measureStatic(
  context: Context,
  model: LoadedModel,
  source: DraftSource,
  { measured }: Requests,
  nodes: number,
  rankAcceptance: readonly number[],
): Promise<{ readonly best: string; readonly lengths: Lengths }> {
  const lengths: Lengths = {};
  for (const [name, shape] of Object.entries(staticShapes(nodes, rankAcceptance))) {
    context.progress(`${name}, ${nodes} nodes`);
    lengths[name] = await measureDrafting(model, measured, {
      drafter: staticDrafter(name, source, shape),
      maximumDraft: nodes,
      signal: context.signal,
    });
  }
  const names = Object.keys(lengths);
  const length = (name: string): number => tokensPerForward(lengths[name]!);
  const best = names.reduce((a, b) => (length(b) > length(a) ? b : a));
  return { best, lengths };
}

/** Bins of the draft's probability: tested and accepted tokens. */
class ConfidenceBins {
  readonly tested: number[] = new Array<number>(10).fill(0);
  readonly accepted: number[] = new Array<number>(10).fill(0);

  readonly look = ({ chances }: DynamicTree, { accepted, refused }: DraftVerdict): void => {
    const binOf = (node: number): number => Math.min(9, Math.floor(chances[node]! * 10));
    for (const node of [...accepted, ...refused]) this.tested[binOf(node)]!++;
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

async function measureNano(context: Context): Promise<Plot> {
  const { signal, quick } = context;
  const folder = await context.model();
  await using model = await loadModel(folder, { format: "f32" });
  await using draft = await loadModel(`${folder.replace(/[\\/]+$/, "")}-draft`, {
    format: "f32",
    threads: 1,
    inline: true,
  });
  const source = modelDraft(draft);
  const identical: DraftingMeasurement[] = [];
  const bins = { greedy: new ConfidenceBins(), sampled: new ConfidenceBins() };
  const curves: Record<string, { x: number; y: number }[]> = {};
  const note = (name: string, nodes: number, found: DraftingMeasurement): void => {
    curves[name] ??= [];
    curves[name].push({ x: nodes, y: tokensPerForward(found) });
  };

  for (const mode of ["greedy", "sampled"] as const) {
    const sampling = mode === "greedy" ? { greedy: true } : { temperature: 0.8 };
    const requests = await planRequests(context, model, sampling, 1000);
    const ranks = await measureRanks(context, model, source, requests.others);
    const measure = async (
      name: string,
      nodes: number,
      options: Omit<DyspecOptions, "draft">,
      look: (tree: DynamicTree, verdict: DraftVerdict) => void = () => {},
    ): Promise<DraftingMeasurement> => {
      context.progress(`${mode}: ${name}, ${nodes} nodes`);
      const drafter = createDyspecDrafter(model, {
        maximumDepth: nodes,
        ...options,
        draft: source,
      });
      if (options.calibrate) {
        await measureDrafting(model, requests.others, { drafter, maximumDraft: nodes, signal });
      }
      const found = await measureDrafting(model, requests.measured, {
        drafter: watch(drafter, look),
        maximumDraft: nodes,
        signal,
      });
      if (mode === "greedy") identical.push(found);
      return found;
    };
    for (const nodes of quick ? [16] : sizes) {
      const fixed = await measureStatic(context, model, source, requests, nodes, ranks);
      let passes = 0;
      let trees = 0;
      const dyspec = await measure("dyspec", nodes, {}, (tree, verdict) => {
        bins[mode].look(tree, verdict);
        passes += tree.draftCalls;
        trees++;
      });
      const calibrated = await measure("dyspec, calibrated", nodes, { calibrate: true });
      note(`${mode}: dyspec`, nodes, dyspec);
      note(`${mode}: calibrated`, nodes, calibrated);
      note(`${mode}: sequoia`, nodes, fixed.lengths["sequoia"]!);
      note(`${mode}: chain`, nodes, fixed.lengths["chain"]!);
      if (nodes !== 16) continue;
      context.report(`beats-static-${mode}`, {
        measured: tokensPerForward(dyspec),
        baseline: tokensPerForward(fixed.lengths[fixed.best]!),
        baselineName: fixed.best,
        details: {
          ...lengthsOf({ ...fixed.lengths, dyspec, calibrated }),
          rankAcceptance: ranks.map(round),
          requests: dyspec.tasks,
        },
      });
      context.report(`calibrated-${mode}`, {
        measured: tokensPerForward(calibrated),
        baseline: tokensPerForward(dyspec),
        baselineName: "the draft's own probabilities",
        details: { best: fixed.best, ...lengthsOf(fixed.lengths) },
      });
      if (mode === "greedy") continue;
      let layerPasses = 0;
      let layerTrees = 0;
      const layered = await measure("by layer", nodes, { algorithm: "by-layer" }, (tree) => {
        layerPasses += tree.draftCalls;
        layerTrees++;
      });
      context.report("draft-passes", {
        measured: layerPasses / layerTrees,
        baseline: dyspec.drafted / dyspec.forwards,
        baselineName: "one for each node",
        details: {
          firstAlgorithmHere: round(passes / trees),
          ...lengthsOf({ bestFirst: dyspec, byLayer: layered }),
        },
      });
      const best = await measure("best children", nodes, { children: "best" });
      context.report("drawn-or-best", {
        measured: tokensPerForward(dyspec),
        baseline: tokensPerForward(best),
        baselineName: "the most probable tokens",
        details: { identicalToPlain: best.identical, requests: best.tasks },
      });
    }
    if (mode === "greedy" && !quick) await measureTime(context, model, source, requests);
  }

  context.report("confidence", {
    measured: rankCorrelation(bins.sampled.points()),
    details: {
      sampled: bins.sampled.points().map(({ x, y }) => [x, round(y)]),
      greedy: bins.greedy.points().map(({ x, y }) => [x, round(y)]),
      greedyCorrelation: round(rankCorrelation(bins.greedy.points())),
    },
  });
  const all = sumMeasurements(identical);
  context.report("identical-text", {
    measured: (100 * all.identical) / all.tasks,
    details: { runs: all.tasks },
  });
  return plotOf(curves, bins);
}

async function measureTime(
  context: Context,
  model: LoadedModel,
  source: DraftSource,
  { measured, others }: Requests,
): Promise<void> {
  context.progress("speed");
  const { signal } = context;
  let passSeconds = 0;
  const timed: DraftSource = {
    name: source.name,
    begin(request, sampling) {
      const sequence = source.begin(request, sampling);
      return {
        lawsBelow(ids) {
          const laws = sequence.lawsBelow(ids);
          return {
            async after(nodes, tree) {
              const begin = performance.now();
              const found = await laws.after(nodes, tree);
              passSeconds += (performance.now() - begin) / 1000;
              return found;
            },
          };
        },
        end: () => sequence.end(),
      };
    },
  };
  const warm = async (nodes: number): Promise<Drafter> => {
    const drafter = createDyspecDrafter(model, { draft: source, calibrate: true });
    await measureDrafting(model, others, { drafter, maximumDraft: nodes, signal });
    return drafter;
  };
  const settings: Record<string, { drafter: Drafter; maximumDraft: number }> = {
    "8 nodes": { drafter: createDyspecDrafter(model, { draft: source }), maximumDraft: 8 },
    "16 nodes": { drafter: createDyspecDrafter(model, { draft: timed }), maximumDraft: 16 },
    "8 nodes, calibrated": { drafter: await warm(8), maximumDraft: 8 },
    "16 nodes, calibrated": { drafter: await warm(16), maximumDraft: 16 },
  };
  const [plain, ...found] = await measureInTurns(model, measured, [
    { signal },
    ...Object.values(settings).map((setting) => ({ ...setting, signal })),
  ]);
  const speeds = found.map(tokensPerSecond);
  const best = Math.max(...speeds);
  context.report("speed", {
    measured: best,
    baseline: tokensPerSecond(plain!),
    baselineName: "plain decoding",
    details: {
      best: Object.keys(settings)[speeds.indexOf(best)]!,
      ...Object.fromEntries(
        Object.keys(settings).map((name, at) => [
          name,
          {
            tokensPerSecond: round(speeds[at]!),
            draftMilliseconds: round((1000 * found[at]!.draftSeconds) / found[at]!.forwards),
            forwardMilliseconds: round(
              (1000 * (found[at]!.seconds - found[at]!.draftSeconds)) / found[at]!.forwards,
            ),
          },
        ]),
      ),
    },
  });
  const watched = found[1]!;
  const growing = watched.draftSeconds - passSeconds;
  context.report("growing-time", {
    measured: (100 * growing) / (watched.seconds - watched.draftSeconds),
    details: {
      growingMicroseconds: round((1e6 * growing) / watched.forwards),
      draftPassesMicroseconds: round((1e6 * passSeconds) / watched.forwards),
    },
  });
}

async function measureTinyStories(context: Context): Promise<void> {
  const folder = await context.data("models/tinystories-260k");
  await using model = await loadModel(folder, { format: "f32" });
  const { signal } = context;
  const requests = await planRequests(context, model, { greedy: true }, 400);
  const source = new NgramModel();
  for (const { promptIds, plainIds } of requests.others) source.learn([...promptIds, ...plainIds]);
  const ranks = await measureRanks(context, model, source, requests.others);
  const fixed = await measureStatic(context, model, source, requests, 16, ranks);
  const lengths: Lengths = { ...fixed.lengths };
  for (const calibrate of [false, true]) {
    const name = calibrate ? "calibrated" : "dyspec";
    context.progress(`the TinyStories model: ${name}`);
    const drafter = createDyspecDrafter(model, { draft: source, calibrate, maximumDepth: 16 });
    const options = { drafter, maximumDraft: 16, signal };
    if (calibrate) await measureDrafting(model, requests.others, options);
    lengths[name] = await measureDrafting(model, requests.measured, options);
  }
  context.report("tinystories", {
    measured: tokensPerForward(lengths["dyspec"]!),
    baseline: tokensPerForward(fixed.lengths[fixed.best]!),
    baselineName: fixed.best,
    details: { ...lengthsOf(lengths), requests: requests.measured.length },
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

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
