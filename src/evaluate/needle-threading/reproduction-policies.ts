/**
 * Which context policies find a pass key, by length up to 32 trained windows and by depth, at one budget of attended tokens:
 * on models of two layers that were trained to look numbers up within 180 tokens.
 */
import {
  type CalibrationPrompt,
  calibrateFilterLayer,
  landmarkAttention,
  parseContextPolicy,
  policiesOfBudget,
} from "../../context/index.ts";
import { askedKeys } from "../../context/measure/reproduction-asked-keys.ts";
import {
  type Kind,
  readTexts,
  type Texts,
  trainSmall,
  window,
} from "../../context/measure/reproduction-small-models.ts";
import { randomTokens } from "../../context/policies/reproduction-random.ts";
import { passkeyAccuracy, share } from "../../context/policies/reproduction-recall.ts";
import { type ContextPolicy, type LoadedModel, loadModel } from "../../model/index.ts";
import {
  type Claim,
  meanOf,
  type Plot,
  type ReproductionContext,
  type Sample,
} from "../../reproduce/index.ts";
import { loadTokenizer } from "../../tokenizer/index.ts";
import { effectiveLimit } from "../long-context/index.ts";

const tokenizerName = "models/tinystories-260k";

/** Tokens that each token attends to, in a layer and head. */
const budget = 128;
/** Equal parts of a text in which keys stand equally often. */
const parts = 5;

interface Sizes {
  readonly seeds: number;
  readonly steps: number;
  /** Training windows of a step. */
  readonly batch: number;
  /** Lengths of the texts in training windows. */
  readonly windows: readonly number[];
  /** Questions of each length and model. */
  readonly questions: number;
}
const fullSizes: Sizes = {
  ...{ seeds: 3, steps: 300, batch: 16 },
  ...{ windows: [1, 2, 4, 8, 16, 32], questions: 70 },
};
/** A quick run. */
export const quickSizes: Sizes = {
  ...{ seeds: 1, steps: 60, batch: 8 },
  ...{ windows: [1, 4], questions: 40 },
};

const where =
  "pass keys at any depth of held-out prose (models of two layers, mean of three seeds, 70 questions each; 128 attended tokens a head)";
const compared = {
  unit: "% of questions",
  units: "fifths of the text, of each model",
  direction: "higher",
  effect: "difference",
  control: "as many random tokens in each layer",
} as const;

/** Names of the claims. */
export type PolicyClaimId =
  | "limit-by-policy"
  | "chosen-beat-recent"
  | "tokens-beat-blocks"
  | "landmarks-beat-recent"
  | "renumbered-beat-read-in-full";

/** Claims about policies by length. */
export const policyClaims: readonly Claim<PolicyClaimId>[] = [
  {
    ...compared,
    id: "limit-by-policy",
    text: `Trained windows up to which three of four keys are found by token-select, beside attention to all tokens: ${where}`,
    paper: { words: "a model trained on 8K tokens keeps its accuracy to 128K and beyond" },
    unit: "trained windows",
    reproduced: 8,
    partly: 2,
    quick: "full-only",
  },
  {
    ...compared,
    id: "chosen-beat-recent",
    text: `Keys that token-select finds at 32 trained windows, beside sinks and a window of as many tokens: ${where}`,
    paper: { words: "a window finds what stands in it: its size by the length" },
    reproduced: 40,
    partly: 10,
    quick: { reproduced: 20, partly: 5 },
  },
  {
    ...compared,
    id: "tokens-beat-blocks",
    text: `Keys that token-select finds at 32 trained windows, beside whole blocks by the mean of their keys: ${where}`,
    paper: { words: "single tokens are found where blocks of the same budget are not" },
    reproduced: 15,
    partly: 5,
    quick: "full-only",
  },
  {
    ...compared,
    id: "landmarks-beat-recent",
    text: `Keys that a model with landmarks finds at 32 trained windows with two opened blocks, beside sinks and a window: ${where}`,
    paper: { value: 98, unit: "%", compares: "measured", setting: "LLaMA-7B, 32,070 tokens" },
    reproduced: 40,
    partly: 10,
    quick: "full-only",
  },
  {
    ...compared,
    id: "renumbered-beat-read-in-full",
    text: `Keys that token-select finds at 32 trained windows, beside the best of gemfilter, SnapKV and H2O, whose first pass reads all tokens at true positions: ${where}`,
    paper: { words: "a first pass beyond the trained window runs out of range" },
    reproduced: 40,
    partly: 10,
    quick: "full-only",
  },
];

type Context = ReproductionContext<PolicyClaimId>;
/** 1 or 0 by question of each model, by windows of the text and policy. */
type Found = Map<number, Map<string, number[][]>>;

/** Measures all policies and reports the claims. @returns accuracy by length */
export async function measurePolicies(context: Context): Promise<Plot["panels"][number]> {
  const { quick, seed } = context;
  const { seeds, steps, batch } = quick ? quickSizes : fullSizes;
  const tokenizer = await context.data(tokenizerName);
  const texts = await readTexts(context, await loadTokenizer(tokenizer));
  const found: Found = new Map();
  for (let own = seed; own < seed + seeds; own++) {
    for (const kind of quick ? (["plain"] as const) : (["plain", "landmark"] as const)) {
      const training = { kind, steps, batch, seed: own, texts, tokenizer };
      const trained = await trainSmall(context, training);
      await using model = await loadModel(trained, { format: "f32", threads: 1 });
      await askModel(context, model, texts, { kind, own, found });
    }
  }
  return reportPolicies(context, found);
}

interface Asked {
  readonly kind: Kind;
  readonly own: number;
  readonly found: Found;
}

async function askModel(
  context: Context,
  model: LoadedModel,
  texts: Texts,
  { kind, own, found }: Asked,
): Promise<void> {
  const { windows, questions: count } = context.quick ? quickSizes : fullSizes;
  const policies = await policiesFor(context, model, texts, { kind, own });
  for (const many of windows) {
    const tokens = many * window;
    const depth = (at: number, uniform: number): number => ((at % parts) + uniform) / parts;
    const asked = askedKeys(texts, { seed: own, tokens, count, depth });
    const byPolicy = found.get(many) ?? new Map<string, number[][]>();
    found.set(many, byPolicy);
    for (const [name, policy] of Object.entries(policies)) {
      const run = { name: `${name}, seed ${own}`, policy, tokens };
      const answers = await passkeyAccuracy(context, model, asked, run);
      byPolicy.set(name, [...(byPolicy.get(name) ?? []), answers]);
    }
  }
}

const random = "random tokens";
const quickPolicies = ["full", "sinks-window", "token-select", random];

/** All policies of the budget; gemfilter with the layer that finds keys of questions of their own. */
async function policiesFor(
  context: Context,
  model: LoadedModel,
  texts: Texts,
  { kind, own }: Pick<Asked, "kind" | "own">,
): Promise<Record<string, ContextPolicy>> {
  if (kind === "landmark") return { landmark: landmarkAttention({ blocks: 2, chunk: 90 }) };
  const layer = context.quick ? 0 : await calibrate(context, model, texts, own);
  const lines = policiesOfBudget(budget);
  const named = lines.map((line): [string, ContextPolicy] => [
    line.split(":")[0]!,
    parseContextPolicy(line.startsWith("gemfilter") ? `${line},layer=${layer}` : line),
  ]);
  // As many tokens as token-select has, between the same first and latest ones.
  const policies: Record<string, ContextPolicy> = Object.fromEntries(named);
  const { init, local, k } = policies["token-select"]!.options;
  policies[random] = randomTokens({ init, local, k } as Parameters<typeof randomTokens>[0]);
  if (!context.quick) return policies;
  return Object.fromEntries(quickPolicies.map((name) => [name, policies[name]!]));
}

function calibrate(
  context: Context,
  model: LoadedModel,
  texts: Texts,
  own: number,
): Promise<number> {
  const title = `gemfilter's layer, seed ${own}`;
  return context.remember(title, { budget }, async () => {
    const asked = askedKeys(texts, { seed: own + 1000, tokens: 4 * window, count: 12 });
    const prompts = asked.map(({ ids, distance }): CalibrationPrompt => {
      return { ids, needle: ids.length - distance };
    });
    return (await calibrateFilterLayer(model, prompts, { k: budget })).layer;
  });
}

/** Percent found in each fifth of the text, of each model. */
function byPart(bySeed: readonly (readonly number[])[]): number[] {
  return bySeed.flatMap((answers) =>
    Array.from({ length: parts }, (_, part) => {
      const own = answers.filter((_, at) => at % parts === part);
      return (100 * own.reduce((sum, value) => sum + value, 0)) / own.length;
    }),
  );
}

function reportPolicies(context: Context, found: Found): Plot["panels"][number] {
  const lengths = [...found.keys()];
  const names = [...found.get(lengths[0]!)!.keys()];
  const longest = lengths.at(-1)!;
  const partsOf = (name: string, many = longest): number[] => byPart(found.get(many)!.get(name)!);
  const sample = (name: string): Sample => meanOf(partsOf(name));
  const table = Object.fromEntries(
    names.map((name) => [name, lengths.map((many) => tableCell(found.get(many)!.get(name)!))]),
  );
  const details = { windows: lengths, tokensOfWindow: window, byPolicy: table };
  const compare = (id: PolicyClaimId, name: string, other: string): void =>
    context.report(id, {
      measured: sample(name),
      baseline: sample(other),
      baselineName: other,
      control: sample(random),
      details,
    });
  compare("chosen-beat-recent", "token-select", "sinks-window");
  if (!context.quick) {
    const mean = (name: string): number => share(found.get(longest)!.get(name)!.flat());
    const inFull = ["gemfilter", "snapkv", "h2o"].reduce((a, b) => (mean(b) > mean(a) ? b : a));
    compare("tokens-beat-blocks", "token-select", "block-selection");
    compare("landmarks-beat-recent", "landmark", "sinks-window");
    compare("renumbered-beat-read-in-full", "token-select", inFull);
    const limits = (name: string): Sample =>
      meanOf(
        partsOf(name).map((_, part) => {
          const points = lengths.map((many) => ({
            characters: many,
            accuracy: partsOf(name, many)[part]! / 100,
          }));
          return effectiveLimit(points)!.characters;
        }),
      );
    context.report("limit-by-policy", {
      measured: limits("token-select"),
      baseline: limits("full"),
      baselineName: "all tokens",
      control: limits(random),
      details: {
        ...details,
        limits: Object.fromEntries(names.map((name) => [name, limitOf(found, name)])),
      },
    });
  }
  return {
    title: `pass keys by context policy, ${budget} attended tokens`,
    kind: "line",
    x: { title: `trained windows of ${window} tokens`, scale: "log" },
    y: { title: "found, %", zero: true },
    series: names.map((name) => ({
      name,
      points: lengths.map((x) => ({ x, y: share(found.get(x)!.get(name)!.flat()) })),
    })),
  };
}

/** Percent found of all questions, and in each fifth of the text. */
function tableCell(bySeed: readonly (readonly number[])[]): {
  readonly found: number;
  readonly fifths: readonly number[];
} {
  const fifths = Array.from({ length: parts }, (_, part) =>
    share(bySeed.flatMap((answers) => answers.filter((_, at) => at % parts === part))),
  );
  return { found: share(bySeed.flat()), fifths };
}

/** The longest text, in windows, of which three of four keys are found, over all depths and models. */
function limitOf(found: Found, name: string): number {
  const points = [...found].map(([many, byPolicy]) => ({
    characters: many,
    accuracy: share(byPolicy.get(name)!.flat()) / 100,
  }));
  return Math.round(10 * effectiveLimit(points)!.characters) / 10;
}
