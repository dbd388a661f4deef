/** Measures gemfilter on the bundled model within its window, beside baselines of the same budget. */
import { createRandom } from "../../core/index.ts";
import { type ContextPolicy, type LoadedModel, loadModel } from "../../model/index.ts";
import {
  defineReproduction,
  meanOf,
  type Plot,
  type Reproduction,
  type ReproductionContext,
} from "../../reproduce/index.ts";
import { fullAttention, sinksWindow, snapKv, truncate } from "../policies/index.ts";
import {
  type PasskeyPrompt,
  passkeyAccuracy,
  passkeyPrompts,
  reportPairs,
  share,
  compared as shared,
} from "../policies/reproduction-recall.ts";
import { calibrateFilterLayer, type LayerCalibration } from "./calibrate.ts";
import { gemFilter } from "./gemfilter.ts";
import { bm25Prompt } from "./reproduction-bm25.ts";

const k = 96;
/** Further budgets, for the plot. */
const budgets = [32, 64, 192] as const;
const where = "passkeys in held-out prose (jeton-nano, 96 of 960 tokens)";

const compared = { ...shared, control: "as many random tokens of the prompt" } as const;

const claims = [
  {
    ...compared,
    id: "as-good-as-full",
    text: `No fewer found than by reading the whole prompt: ${where}`,
    paper: {
      value: 4.6,
      unit: "points",
      compares: "effect",
      setting: "needle score, Llama-3.1-8B to 120K, k 1,024: 0.887 and 0.841",
    },
    noWorse: true,
    reproduced: -5,
    partly: -20,
    quick: { reproduced: -20, partly: -40 },
  },
  {
    ...compared,
    id: "beats-snapkv",
    text: `More found than with SnapKV at the same budget: ${where}`,
    paper: {
      value: 13.8,
      unit: "points",
      compares: "effect",
      setting: "needle score, Llama-3.1-8B: 0.887 and 0.749",
    },
    reproduced: 10,
    partly: 2,
    quick: { reproduced: 5, partly: 1 },
  },
  {
    ...compared,
    id: "beats-window",
    text: `More found than with sinks and a window of the same budget: ${where}`,
    paper: { words: "the needle must be chosen" },
    reproduced: 30,
    partly: 10,
    quick: { reproduced: 15, partly: 5 },
  },
  {
    ...compared,
    id: "layer-matters",
    text: `More found with the calibrated filter layer than with the first layer: ${where}`,
    paper: {
      value: 11,
      unit: "points",
      compares: "effect",
      setting: "LongBench, Llama-3.1-8B, k 1,024: layer 13 34.50, layer 1 23.50",
    },
    reproduced: 10,
    partly: 2,
    quick: { reproduced: 5, partly: 1 },
  },
  {
    ...compared,
    id: "as-good-as-bm25",
    text: `No fewer found than from the sentences that BM25 ranks highest by the question, of the same budget: ${where}`,
    paper: { words: "not compared: selection by the model itself needs no retriever" },
    noWorse: true,
    reproduced: -5,
    partly: -20,
    quick: { reproduced: -20, partly: -40 },
  },
  {
    ...compared,
    id: "whole-needles",
    text: `Ours: with max pooling over 9 tokens and the last 24 tokens kept, more found than with the paper's average over 5: ${where}`,
    paper: { words: "the paper's prose says max pooling, its program averages; nothing is kept" },
    reproduced: 30,
    partly: 10,
    quick: { reproduced: 15, partly: 5 },
  },
  {
    id: "faster-prompt",
    text: "Time of the prompt beside reading all of it with all layers: 960 tokens (jeton-nano, fp32, in turns)",
    paper: {
      value: 2.4,
      unit: "times",
      compares: "effect",
      setting: "Llama-3.1-8B, 128K tokens, H100",
    },
    unit: "s",
    units: "questions",
    control: "the last layer as the filter layer",
    direction: "lower",
    effect: "ratio",
    reproduced: 1.5,
    partly: 1.1,
    quick: "full-only",
    speed: true,
  },
] as const;

type Id = (typeof claims)[number]["id"];
type Context = ReproductionContext<Id>;

export const reproduction: Reproduction = defineReproduction({
  system: "gemfilter",
  module: import.meta.url,
  models: ["jeton-nano"],
  claims,
  run: (context) => context.part(() => measure(context)),
});

const tokens = 960;

async function measure(context: Context): Promise<Plot> {
  const { quick } = context;
  await using model = await loadModel(await context.model(), { format: "f32", threads: 1 });
  const asked = { tokens, margin: 110 };
  const sets = await Promise.all([
    passkeyPrompts(context, model, { ...asked, count: quick ? 3 : 16, purpose: "calibration" }),
    passkeyPrompts(context, model, { ...asked, count: quick ? 6 : 72, purpose: "measured" }),
  ]);
  const [calibration, prompts] = sets;
  const { layer, curve } = await calibrate(context, model, calibration);
  const policies: Record<string, ContextPolicy> = {
    gemfilter: gemFilter({ layer, k }),
    ours: gemFilter({ layer, k, pooling: "max", kernel: 9, keepLast: 24 }),
    "the whole prompt": fullAttention(),
    snapkv: snapKv({ k, window: 32 }),
    "sinks and window": sinksWindow({ sinks: 16, window: k - 16 }),
    "the last tokens": truncate({ k }),
    bm25: bm25Prompt(k),
    "the first layer": gemFilter({ layer: 0, k }),
    "random tokens": randomPrompt(context.seed, k),
  };
  const found = new Map<string, number[]>();
  for (const [name, policy] of Object.entries(policies)) {
    found.set(name, await passkeyAccuracy(context, model, prompts, { name, policy, tokens }));
  }
  const byBudget = await measureBudgets(context, model, prompts.slice(0, 36), { layer, found });
  const pairs = [
    ["as-good-as-full", "gemfilter", "the whole prompt"],
    ["beats-snapkv", "gemfilter", "snapkv"],
    ["beats-window", "gemfilter", "sinks and window"],
    ["layer-matters", "gemfilter", "the first layer"],
    ["as-good-as-bm25", "gemfilter", "bm25"],
  ] as const;
  const details = { filterLayer: layer, distances: distancesOf(curve), byBudget };
  reportPairs(context, found, pairs, details);
  const pooling = [["whole-needles", "ours", "gemfilter", "the paper's pooling"]] as const;
  reportPairs(context, found, pooling, { filterLayer: layer });
  if (!quick && context.speed) {
    await context.timed(() => measureTime(context, model, prompts.slice(0, 20), layer));
  }
  return plotOf(found, curve, byBudget);
}

/** Percent found by budget, of the methods that read the chosen tokens as a prompt. */
async function measureBudgets(
  context: Context,
  model: LoadedModel,
  prompts: readonly PasskeyPrompt[],
  { layer, found }: { readonly layer: number; readonly found: ReadonlyMap<string, number[]> },
): Promise<Record<string, [number, number][]>> {
  const ways = {
    gemfilter: (own: number) => gemFilter({ layer, k: own }),
    ours: (own: number) => gemFilter({ layer, k: own, pooling: "max", kernel: 9, keepLast: 24 }),
    bm25: bm25Prompt,
    "random tokens": (own: number) => randomPrompt(context.seed, own),
  };
  const byBudget: Record<string, [number, number][]> = {};
  for (const [name, make] of Object.entries(ways)) {
    const points: [number, number][] = [[k, share(found.get(name)!.slice(0, prompts.length))]];
    for (const own of context.quick ? [] : budgets) {
      const run = { name: `${name}, ${own} kept`, policy: make(own), tokens };
      points.push([own, share(await passkeyAccuracy(context, model, prompts, run))]);
    }
    byBudget[name] = points.sort(([a], [b]) => a - b);
  }
  return byBudget;
}

function calibrate(
  context: Context,
  model: LoadedModel,
  prompts: readonly PasskeyPrompt[],
): Promise<Awaited<ReturnType<typeof calibrateFilterLayer>>> {
  const placed = prompts.map(({ ids, distance }) => ({ ids, needle: ids.length - distance }));
  return context.remember("filter layer", { k, tokens, count: prompts.length }, () =>
    calibrateFilterLayer(model, placed, {
      k,
      onProgress: (at, layers) => context.progress("filter layer", at, layers),
    }),
  );
}

/** The control: tokens of the prompt that are chosen without a look at them. */
function randomPrompt(seed: number, k: number): ContextPolicy {
  const policy = gemFilter({ layer: 0, k });
  return {
    ...policy,
    name: "random-prompt",
    choosePrompt: async (_model, ids) => {
      const random = createRandom(seed, "random prompt", ids.length, ids[ids.length >> 1]!);
      const places = random.shuffle(Array.from(ids, (_, at) => at));
      return places.slice(0, k).sort((a, b) => a - b);
    },
  };
}

/** Seconds of the prompt of each question, in turns. */
async function measureTime(
  context: Context,
  model: LoadedModel,
  prompts: readonly PasskeyPrompt[],
  layer: number,
): Promise<void> {
  const { complete } = await import("../../generate/index.ts");
  const ways = {
    filtered: gemFilter({ layer, k }),
    whole: fullAttention(),
    last: gemFilter({ layer: model.config.layers.length - 1, k }),
  };
  const seconds: Record<keyof typeof ways, number[]> = { filtered: [], whole: [], last: [] };
  for (const [at, { ids }] of prompts.entries()) {
    context.progress("timing", at, prompts.length);
    for (const [name, contextPolicy] of Object.entries(ways)) {
      // Another first token, so that no row of an earlier prompt is taken over.
      const fresh = [ids[(at % 50) + 1]!, ...ids.slice(1)];
      const result = await complete(model, fresh, { contextPolicy, greedy: true, maxTokens: 1 });
      seconds[name as keyof typeof ways].push(result.prefillSeconds);
    }
  }
  context.report("faster-prompt", {
    measured: meanOf(seconds.filtered.slice(1)),
    baseline: meanOf(seconds.whole.slice(1)),
    baselineName: "all layers on all tokens",
    control: meanOf(seconds.last.slice(1)),
    details: { filterLayer: layer, tokens, k },
  });
}

function distancesOf(curve: readonly LayerCalibration[]): Record<string, number> {
  const median = (values: readonly number[]): number =>
    [...values].sort((a, b) => a - b)[values.length >> 1]!;
  return Object.fromEntries(curve.map(({ layer, distances }) => [layer, median(distances)]));
}

function plotOf(
  found: ReadonlyMap<string, number[]>,
  curve: readonly LayerCalibration[],
  byBudget: Readonly<Record<string, readonly (readonly [number, number])[]>>,
): Plot {
  const bars = [...found].map(([name, own]) => ({ x: name, y: share(own) }));
  const line = Object.entries(distancesOf(curve)).map(([x, y]) => ({ x: Number(x), y }));
  return {
    title: "Passkeys found with 96 of 960 tokens, and how near each layer comes",
    panels: [
      {
        title: "found",
        kind: "bar",
        x: { title: "", scale: "category" },
        y: { title: "%", zero: true },
        series: [{ name: "found", points: bars }],
      },
      {
        title: "needle to the nearest chosen token",
        kind: "line",
        x: { title: "filter layer" },
        y: { title: "tokens, median", zero: true },
        series: [{ name: "distance", points: line }],
      },
      {
        title: "found by budget",
        kind: "line",
        x: { title: "tokens kept", scale: "log" },
        y: { title: "%", zero: true },
        series: Object.entries(byBudget).map(([name, points]) => ({
          name,
          points: points.map(([x, y]) => ({ x, y })),
        })),
      },
    ],
  };
}
