/**
 * Measures landmark attention on models of two layers, trained from nothing on windows of 180 tokens, on texts
 * of up to eight windows.
 */
import { type ContextPolicy, type LoadedModel, loadModel } from "../../model/index.ts";
import {
  defineReproduction,
  meanOf,
  type Reproduction,
  type ReproductionContext,
} from "../../reproduce/index.ts";
import { loadTokenizer } from "../../tokenizer/index.ts";
import { askedKeys } from "../measure/reproduction-asked-keys.ts";
import { lastLosses, overSeeds } from "../measure/reproduction-last-losses.ts";
import { type Kind, readTexts, trainSmall, window } from "../measure/reproduction-small-models.ts";
import { fullAttention, sinksWindow } from "../policies/index.ts";
import { passkeyAccuracy } from "../policies/reproduction-recall.ts";
import { landmarkAttention } from "./landmark-attention.ts";
import { randomBlocks } from "./reproduction-random.ts";

const tokenizerName = "models/tinystories-260k";
/** Retrieved blocks, and prompt tokens that see each other. */
const retrieved = { blocks: 2, chunk: 150 };
/** What the plain model sees with a window: as many tokens as it was trained on. */
const attended = { sinks: 4, window: window - 4 };

const passkeys = {
  unit: "% of questions",
  units: "questions",
  direction: "higher",
  effect: "difference",
  control: "as many random blocks",
} as const;
const losses = {
  unit: "nats/token",
  units: "texts",
  direction: "lower",
  effect: "difference",
} as const;
/** A plain model read in four windows is no control: a small one bears positions beyond its training. */
const alike = "every token equally probable";
const trained = "models of two layers, mean of three seeds";
interface Sizes {
  readonly seeds: number;
  readonly steps: number;
  /** Windows of a step. */
  readonly batch: number;
  /** Tokens of a question. */
  readonly tokens: number;
  readonly questions: number;
  readonly texts: number;
}
const fullSizes: Sizes = {
  ...{ seeds: 3, steps: 300, batch: 16 },
  ...{ tokens: 8 * window, questions: 16, texts: 20 },
};
/** A quick run. */
export const quickSizes: Sizes = {
  ...{ seeds: 1, steps: 60, batch: 8 },
  ...{ tokens: 4 * window, questions: 4, texts: 4 },
};

const claims = [
  {
    ...passkeys,
    id: "passkey-beats-plain",
    text: `More passkeys found at eight training windows, two blocks retrieved, than by a plain model of the same size and training that attends to all tokens (${trained})`,
    paper: {
      value: 98,
      unit: "%",
      compares: "measured",
      setting: "LLaMA-7B, 32,070 tokens; the base model fails beyond about 2,000",
    },
    reproduced: 40,
    partly: 10,
    quick: { reproduced: 20, partly: 2 },
  },
  {
    ...passkeys,
    id: "passkey-beats-window",
    text: `More found than by the plain model with sinks and a window of the trained length (${trained})`,
    paper: { words: "a window does not hold the passkey" },
    reproduced: 40,
    partly: 10,
    quick: { reproduced: 20, partly: 2 },
  },
  {
    ...passkeys,
    id: "passkey-beats-all-blocks",
    text: `More found than by the same landmark model attending to all blocks at true positions (${trained})`,
    paper: { words: "positions beyond those of training are never used" },
    reproduced: 20,
    partly: 5,
    quick: "full-only",
  },
  {
    ...losses,
    id: "retrieval-lowers-loss",
    control: "as many random blocks",
    text: `Loss of the last tokens of held-out prose of four windows with two retrieved blocks, beside none and the same chunk (${trained})`,
    paper: {
      value: 0.104,
      unit: "nats/token",
      compares: "effect",
      setting: "PG19, 2,048 tokens: perplexity 15.14 with k = 2 and 16.80 of a baseline of 360",
    },
    reproduced: 0.02,
    partly: 0.002,
    quick: { reproduced: 0.005, partly: 0.0005 },
  },
  {
    ...losses,
    id: "longer-is-no-worse",
    control: alike,
    text: `Loss of the same last tokens read in four windows of text, beside one (${trained})`,
    paper: {
      value: 0.07,
      unit: "nats/token",
      compares: "effect",
      setting: "PG19: perplexity 16.24 at 512, 15.14 at 2,048",
    },
    noWorse: true,
    reproduced: -0.01,
    partly: -0.05,
    quick: { reproduced: -0.05, partly: -0.2 },
  },
  {
    ...losses,
    id: "sharing-costs-little",
    control: alike,
    text: `Loss where the tokens of a chunk retrieve together, beside each token and head for itself (${trained})`,
    paper: {
      value: -0.022,
      unit: "nats/token",
      compares: "effect",
      setting: "PG19, 2,048 tokens, k = 2: perplexity 15.48 and 15.14",
    },
    noWorse: true,
    reproduced: -0.02,
    partly: -0.05,
    quick: "full-only",
  },
] as const;

type Id = (typeof claims)[number]["id"];
type Context = ReproductionContext<Id>;

export const reproduction: Reproduction = defineReproduction({
  system: "landmark-attention",
  module: import.meta.url,
  claims,
  run: (context) => context.part(() => measure(context)),
});

/** A way to read: which model, under which policy. */
interface Way {
  readonly kind: Kind;
  readonly policy: ContextPolicy;
}

const ways = {
  landmark: { kind: "landmark", policy: landmarkAttention(retrieved) },
  "all tokens": { kind: "plain", policy: fullAttention() },
  "sinks and window": { kind: "plain", policy: sinksWindow(attended) },
  "all blocks": {
    kind: "landmark",
    // The tokens of a chunk retrieve together: that all of them open all blocks takes no gather for each.
    policy: landmarkAttention({ blocks: 1000, chunk: retrieved.chunk, mode: "maxOverTokens" }),
  },
  "no blocks": { kind: "landmark", policy: landmarkAttention({ ...retrieved, blocks: 0 }) },
  together: {
    kind: "landmark",
    policy: landmarkAttention({ ...retrieved, mode: "maxOverTokens" }),
  },
  "random blocks": { kind: "landmark", policy: randomBlocks(retrieved) },
} as const satisfies Record<string, Way>;
type WayName = keyof typeof ways;

async function measure(context: Context): Promise<void> {
  const { quick, seed } = context;
  const folder = await context.data(tokenizerName);
  const texts = await readTexts(context, await loadTokenizer(folder));
  const found = new Map<WayName, number[][]>();
  const lost = new Map<string, number[][]>();
  const sizes = quick ? quickSizes : fullSizes;
  const { seeds, steps, batch, tokens, questions: count, texts: scored } = sizes;
  const questions = askedKeys(texts, { seed, tokens, count });
  for (let own = seed; own < seed + seeds; own++) {
    const models = {} as Record<Kind, LoadedModel>;
    for (const kind of ["landmark", "plain"] as const) {
      const training = { kind, steps, batch, seed: own, texts, tokenizer: folder };
      const trainedFolder = await trainSmall(context, training);
      models[kind] = await loadModel(trainedFolder, { format: "f32", threads: 1 });
    }
    try {
      for (const name of passkeyWays(quick)) {
        const { kind, policy } = ways[name];
        const run = { name: `${name}, seed ${own}`, policy, tokens };
        add(found, name, await passkeyAccuracy(context, models[kind], questions, run));
      }
      const read = (name: WayName, windows: number): Promise<number[]> => {
        const { kind, policy } = ways[name];
        const title = `loss of ${windows} windows, ${name}, seed ${own}`;
        return lastLosses(context, models[kind], texts, { title, policy, windows, count: scored });
      };
      for (const name of lossWays(quick)) add(lost, name, await read(name, 4));
      add(lost, "one window", await read("landmark", 1));
    } finally {
      for (const model of Object.values(models)) await model.close();
    }
  }
  add(lost, alike, new Array<number>(scored).fill(Math.log(texts.tokenizer.vocabSize)));
  reportKeys(context, found, tokens);
  reportLosses(context, lost);
}

const passkeyWays = (quick: boolean): WayName[] =>
  quick
    ? ["landmark", "all tokens", "sinks and window", "random blocks"]
    : ["landmark", "all tokens", "sinks and window", "all blocks", "no blocks", "random blocks"];
const lossWays = (quick: boolean): WayName[] =>
  quick
    ? ["landmark", "no blocks", "random blocks", "all tokens"]
    : ["landmark", "no blocks", "random blocks", "together", "all tokens", "sinks and window"];

function add<Name>(into: Map<Name, number[][]>, name: Name, values: number[]): void {
  into.set(name, [...(into.get(name) ?? []), values]);
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

function reportKeys(context: Context, found: Map<WayName, number[][]>, tokens: number): void {
  const sample = (name: WayName) => meanOf(overSeeds(found.get(name)!).map((value) => 100 * value));
  const details = {
    tokens,
    found: Object.fromEntries([...found].map(([name, bySeed]) => [name, bySeed.map(mean)])),
  };
  const pairs: readonly (readonly [Id, WayName])[] = [
    ["passkey-beats-plain", "all tokens"],
    ["passkey-beats-window", "sinks and window"],
    ...(context.quick ? [] : ([["passkey-beats-all-blocks", "all blocks"]] as const)),
  ];
  for (const [id, baseline] of pairs) {
    context.report(id, {
      measured: sample("landmark"),
      baseline: sample(baseline),
      baselineName: baseline,
      control: sample("random blocks"),
      details,
    });
  }
}

function reportLosses(context: Context, lost: Map<string, number[][]>): void {
  const sample = (name: string) => meanOf(overSeeds(lost.get(name)!));
  const details = {
    losses: Object.fromEntries([...lost].map(([name, bySeed]) => [name, bySeed.map(mean)])),
  };
  const pairs: readonly (readonly [Id, string, string, string])[] = [
    ["retrieval-lowers-loss", "landmark", "no blocks", "random blocks"],
    ["longer-is-no-worse", "landmark", "one window", alike],
    ...(context.quick ? [] : ([["sharing-costs-little", "together", "landmark", alike]] as const)),
  ];
  for (const [id, measured, baselineName, control] of pairs) {
    context.report(id, {
      measured: sample(measured),
      baseline: sample(baselineName),
      baselineName,
      control: sample(control),
      details,
    });
  }
}
