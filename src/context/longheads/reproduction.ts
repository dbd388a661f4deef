/**
 * Measures longheads on models of two layers that were trained to look numbers up within 180 tokens, on texts of up to eight
 * such windows, beside baselines of the same budget; and on the bundled model beyond its window.
 */
import { type ContextPolicy, type LoadedModel, loadModel } from "../../model/index.ts";
import {
  defineReproduction,
  meanOf,
  type Plot,
  type Reproduction,
  type ReproductionContext,
  type Sample,
} from "../../reproduce/index.ts";
import { loadTokenizer } from "../../tokenizer/index.ts";
import { askedKeys } from "../measure/reproduction-asked-keys.ts";
import { lastLosses, overSeeds } from "../measure/reproduction-last-losses.ts";
import { readTexts, type Texts, trainSmall, window } from "../measure/reproduction-small-models.ts";
import { fullAttention, ntkRope, sinksWindow } from "../policies/index.ts";
import {
  type ComparedPair,
  compared,
  comparePolicies,
  passkeyAccuracy,
  reportPairs,
  share,
} from "../policies/reproduction-recall.ts";
import { longHeads } from "./longheads.ts";
import { ablatedLongHeads } from "./reproduction-ablations.ts";
import { type ChunksRead, measureChunks } from "./reproduction-chunks.ts";

const tokenizerName = "models/tinystories-260k";

interface Sizes {
  readonly seeds: number;
  readonly steps: number;
  /** Training windows of a step. */
  readonly batch: number;
  /** Lengths of the texts in training windows, the judged one last, and questions of each. */
  readonly windows: readonly number[];
  readonly questions: number;
}
const fullSizes: Sizes = { seeds: 3, steps: 300, batch: 16, windows: [1, 2, 4, 8], questions: 20 };
/** A quick run. */
export const quickSizes: Sizes = { seeds: 1, steps: 60, batch: 8, windows: [4], questions: 4 };

/** Attended tokens of each head of a small model, in chunks of 8; it was trained on 180. */
const small = { chunk: 8, length: 128 };
/** The same of the bundled model, which was trained on 1,024. */
const bundled = { chunk: 8, length: 256 };

const where =
  "passkeys in held-out prose at eight trained windows (models of two layers, mean of three seeds; 128 of 1,440 tokens a head)";
const randomChunks = "as many random chunks of each head and token";
const chosen = { ...compared, control: randomChunks } as const;

const claims = [
  {
    ...chosen,
    id: "beats-full",
    text: `More found than with attention to all tokens: ${where}`,
    paper: {
      value: 94,
      unit: "points",
      compares: "effect",
      setting: "passkeys at 16K, Llama-2-7B (4K): about 0.94 and 0, read from a plot",
    },
    reproduced: 30,
    partly: 10,
    quick: { reproduced: 15, partly: 5 },
  },
  {
    ...chosen,
    id: "beats-window",
    text: `More found than with sinks and a window of the same budget: ${where}`,
    paper: { words: "better than other methods with restricted attention" },
    reproduced: 30,
    partly: 10,
    quick: { reproduced: 15, partly: 5 },
  },
  {
    ...chosen,
    id: "heads-choose",
    text: `More found where each head picks its own chunks than where the heads of a layer share theirs: ${where}`,
    paper: { words: "heads of one layer choose different chunks" },
    reproduced: 10,
    partly: 2,
    quick: "full-only",
  },
  {
    ...chosen,
    id: "weighted-vectors",
    text: `More found where a chunk's keys are mixed by what the chunk attends to than by their plain mean: ${where}`,
    paper: { words: "important tokens of a chunk count more in its vector" },
    reproduced: 10,
    partly: 2,
    quick: "full-only",
  },
  {
    ...chosen,
    id: "positions-in-chunk",
    text: `More found where positions count within a chunk while its vector is made than where keys are rotated at their places in the text: ${where}`,
    paper: { words: "keys of chunks are rotated within their chunk" },
    reproduced: 10,
    partly: 2,
    quick: "full-only",
  },
  {
    ...chosen,
    id: "heads-find-the-chunk",
    text: "Share of all heads that read the passkey's chunk at the last token of the question, beside random chunks (the same models and texts, 16 of 180 chunks)",
    paper: { words: "heads find the relevant chunk by themselves" },
    unit: "% of heads",
    control: "the chunk of another question's passkey",
    reproduced: 10,
    partly: 2,
    quick: "full-only",
  },
  {
    id: "keeps-loss",
    text: "Loss of the last tokens of held-out prose of four windows, no higher than with full attention to the last window (the same models)",
    paper: { words: "perplexity near that within the window, up to 32K with a window of 4K" },
    unit: "nats/token",
    units: "texts",
    direction: "lower",
    effect: "difference",
    control: randomChunks,
    noWorse: true,
    reproduced: -0.02,
    partly: -0.05,
    quick: "full-only",
  },
  {
    ...chosen,
    id: "bundled-model",
    text: "As the first claim on jeton-nano, which was not trained to look up beyond its wordings: passkeys in held-out prose at one and a half trained windows, 256 of 1,536 tokens a head",
    paper: { words: "works without training on any model" },
    reproduced: 30,
    partly: 10,
    quick: "full-only",
  },
] as const;

type Context = ReproductionContext<(typeof claims)[number]["id"]>;
type Pair = ComparedPair<(typeof claims)[number]["id"]>;
type Policies = Readonly<Record<string, ContextPolicy>>;

/** The method, the baselines of its budget, and the control. */
const policiesOf = (budget: typeof small): Policies => ({
  longheads: longHeads(budget),
  "all tokens": fullAttention(),
  "sinks and window": sinksWindow({ sinks: 8, window: budget.length - 8 }),
  "random chunks": ablatedLongHeads("random", budget),
});
const parts: Policies = {
  "one choice for all heads": longHeads({ ...small, perHead: false }),
  "mean keys": ablatedLongHeads("meanKey", small),
  "rotated keys": ablatedLongHeads("rotatedKeys", small),
  "all tokens, NTK-scaled": ntkRope({ scale: 8 }),
};

const beyondTheWindow: readonly Pair[] = [
  ["beats-full", "longheads", "all tokens"],
  ["beats-window", "longheads", "sinks and window"],
];
const partsOfTheMethod: readonly Pair[] = [
  ["heads-choose", "longheads", "one choice for all heads"],
  ["weighted-vectors", "longheads", "mean keys"],
  ["positions-in-chunk", "longheads", "rotated keys"],
];

export const reproduction: Reproduction = defineReproduction({
  system: "longheads",
  module: import.meta.url,
  models: ["jeton-nano"],
  claims,
  async run(context) {
    const plot = await context.part(() => measureSmall(context));
    if (!context.quick) await context.part(() => measureBundled(context));
    return plot;
  },
});

/** What the small models found and lost, by name and seed. */
interface Found {
  /** 1 or 0 by question, by windows of the text. */
  readonly keys: Map<number, Record<string, number[][]>>;
  readonly losses: Record<string, number[][]>;
  readonly chunks: Record<string, ChunksRead[][]>;
}

async function measureSmall(context: Context): Promise<Plot> {
  const { quick, seed } = context;
  const { seeds, steps, batch } = quick ? quickSizes : fullSizes;
  const folder = await context.data(tokenizerName);
  const texts = await readTexts(context, await loadTokenizer(folder));
  const found: Found = { keys: new Map(), losses: {}, chunks: {} };
  for (let own = seed; own < seed + seeds; own++) {
    const training = { kind: "plain", steps, batch, seed: own, texts, tokenizer: folder } as const;
    const trained = await trainSmall(context, training);
    await using model = await loadModel(trained, { format: "f32", threads: 1 });
    await measureSeed(context, model, texts, { own, found });
  }
  return reportSmall(context, found);
}

/** Everything about one model. */
async function measureSeed(
  context: Context,
  model: LoadedModel,
  texts: Texts,
  { own, found }: { readonly own: number; readonly found: Found },
): Promise<void> {
  const { quick, seed } = context;
  const { windows, questions: count } = quick ? quickSizes : fullSizes;
  const policies: Policies = { ...policiesOf(small), ...(quick ? {} : parts) };
  const add = <Value>(into: Record<string, Value[]>, name: string, value: Value): void => {
    into[name] ??= [];
    into[name].push(value);
  };
  for (const many of windows) {
    const tokens = many * window;
    const asked = askedKeys(texts, { seed, tokens, count });
    const byName = found.keys.get(many) ?? {};
    found.keys.set(many, byName);
    for (const [name, policy] of Object.entries(policies)) {
      const run = { name: `${name}, seed ${own}`, policy, tokens };
      add(byName, name, await passkeyAccuracy(context, model, asked, run));
    }
    if (quick || many !== windows.at(-1)) continue;
    for (const name of ["longheads", "random chunks"]) {
      const run = { name: `${name}, seed ${own}`, policy: policies[name]!, chunk: small.chunk };
      add(found.chunks, name, await measureChunks(context, model, asked, run));
    }
  }
  if (quick) return;
  for (const [name, many] of [
    ["longheads", 4],
    ["all tokens", 4],
    ["sinks and window", 4],
    ["random chunks", 4],
    ["all tokens", 1],
  ] as const) {
    const title = `loss of ${many} windows, ${name}, seed ${own}`;
    const read = { title, policy: policies[name]!, windows: many, count: 20 };
    add(found.losses, many === 1 ? oneWindow : name, await lastLosses(context, model, texts, read));
  }
}

const oneWindow = "full attention to the last window";

const percent = (bySeed: readonly (readonly number[])[]): number => share(bySeed.flat());

function reportSmall(context: Context, { keys, losses, chunks }: Found): Plot {
  const [windows, last] = [...keys].at(-1)!;
  const found = new Map(Object.entries(last).map(([name, bySeed]) => [name, overSeeds(bySeed)]));
  const byLength: Record<string, [number, number][]> = {};
  for (const [many, byName] of keys) {
    for (const [name, bySeed] of Object.entries(byName)) {
      byLength[name] ??= [];
      byLength[name].push([many * window, percent(bySeed)]);
    }
  }
  const bySeed = Object.fromEntries(
    Object.entries(last).map(([name, own]) => [name, own.map((one) => percent([one]))]),
  );
  const details = { control: "random chunks", tokens: windows * window, byLength, bySeed };
  const pairs = context.quick ? beyondTheWindow : [...beyondTheWindow, ...partsOfTheMethod];
  reportPairs(context, found, pairs, details);
  if (!context.quick) {
    reportChunks(context, chunks);
    reportLoss(context, losses);
  }
  const series = Object.entries(byLength).map(([name, points]) => ({
    name,
    points: points.map(([x, y]) => ({ x, y })),
  }));
  const x = { title: "tokens of the text", scale: "log" } as const;
  const y = { title: "found, %", zero: true };
  const title = `Passkeys found by length; the models were trained on ${window} tokens`;
  return { title, panels: [{ title: "", kind: "line", x, y, series }] };
}

/** Who reads the chunk of the passkey, and how much of the text is read by any head. */
function reportChunks(context: Context, chunks: Found["chunks"]): void {
  const sample = (name: string, key: keyof ChunksRead): Sample =>
    meanOf(overSeeds(chunks[name]!.map((own) => own.map((unit) => 100 * unit[key]))));
  const coverage = (name: string): number =>
    share(chunks[name]!.flatMap((own) => own.map((unit) => unit.coverage)));
  context.report("heads-find-the-chunk", {
    measured: sample("longheads", "own"),
    baseline: sample("random chunks", "own"),
    baselineName: "random chunks",
    control: sample("longheads", "other"),
    details: { coverage: coverage("longheads"), coverageOfRandom: coverage("random chunks") },
  });
}

/** Loss of held-out prose beyond the window, and within it. */
function reportLoss(context: Context, losses: Found["losses"]): void {
  const sample = (name: string): Sample => meanOf(overSeeds(losses[name]!));
  const mean = (values: readonly number[]): number =>
    values.reduce((a, b) => a + b, 0) / values.length;
  context.report("keeps-loss", {
    measured: sample("longheads"),
    baseline: sample(oneWindow),
    baselineName: oneWindow,
    control: sample("random chunks"),
    details: {
      losses: Object.fromEntries(
        Object.entries(losses).map(([name, bySeed]) => [name, bySeed.map(mean)]),
      ),
    },
  });
}

/** The bundled model, whose heads were not trained for it. */
async function measureBundled(context: Context): Promise<void> {
  const lengths = { shorter: [], judged: 1536, counts: [0, 20], control: "random chunks" } as const;
  const pair: Pair = ["bundled-model", "longheads", "all tokens"];
  await comparePolicies(context, policiesOf(bundled), lengths, [pair]);
}
