/**
 * Measures trans-tokenization: an English model under German and French tokenizers, before any
 * training and after a fixed budget of it, beside the ways that do without translations.
 */
import { createHash } from "node:crypto";
import {
  defineReproduction,
  halfOf,
  type Plot,
  type RatioParts,
  type Reproduction,
  type ReproductionContext,
  ratioOfSums,
  type Sample,
  wholeValue,
} from "../../reproduce/index.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import { lexicalOverlap, meanOfSubtokens, mixtureMethod, randomRows } from "../baselines.ts";
import { nearestTokens } from "../nearest-tokens.ts";
import { readParallelText, type SentencePair } from "../read-text.ts";
import { adaptAndMeasure, fingerprint, groupLines } from "../reproduction-measure.ts";
import { readTokenForms } from "../token-forms.ts";
import { predictTables, type TransferMethod } from "../transfer.ts";
import { type ModelFiles, readModelFiles, withTables } from "../whole-model.ts";
import { measureHydra, shufflePairs, trainTarget } from "./reproduction-hydra.ts";
import { transTokenization } from "./trans-tokenization.ts";

const setting =
  "jeton-nano (English) under a tokenizer of 3,000 tokens, held-out Multi30k captions, bits per byte";
const without =
  "best of random rows, shared tokens, means of sub-tokens and the mean row everywhere";
const shuffledPairs = "the same method with the sentence pairs shuffled";

const bits = {
  unit: "bits/byte",
  direction: "lower",
  units: "texts of five captions",
  control: shuffledPairs,
} as const;
const far = { reproduced: 1.05, partly: 1.01 };
const untrained = {
  paper: { words: "starts far below random or overlap-only rows; no number at this scale" },
  ...bits,
  effect: "ratio",
  ...far,
  quick: halfOf(far, 1),
} as const;

const claims = [
  {
    id: "german-untrained",
    text: `German, before any training: ${setting}; against the ${without}`,
    ...untrained,
  },
  {
    id: "french-untrained",
    text: `French, before any training: ${setting}; against the ${without}`,
    ...untrained,
  },
  {
    id: "german-against-nearest",
    text: `German, before any training, against averages of nearest tokens in the manner of WECHSEL, tuned on other captions, which see the same parallel text: ${setting}`,
    paper: { words: "better than methods of static vectors; no number at this scale" },
    ...bits,
    effect: "ratio",
    reproduced: 1.01,
    partly: 1.001,
    quick: { reproduced: 1.01, partly: 1.001 },
  },
  {
    id: "german-trained",
    text: `German, after 80 steps of training all weights, 40 captions a step: ${setting}; against the ${without}`,
    paper: { words: "adapts faster; no number at this scale" },
    ...bits,
    effect: "ratio",
    reproduced: 1.02,
    partly: 1.005,
    quick: "full-only",
  },
  {
    id: "hydra-translates",
    text: "Hydra, zero-shot: bits of a German caption after the English one that it translates, against after another English caption (body of jeton-nano, both vocabularies in one model, no training)",
    paper: {
      words: "English to Tatar near commercial systems, with a body trained for translation",
    },
    ...bits,
    units: "captions",
    effect: "ratio",
    reproduced: 1.05,
    partly: 1.01,
    quick: "full-only",
  },
  {
    id: "more-parallel-text",
    text: "German, before any training: all sentence pairs against a tenth of them",
    paper: { words: "the quality of the alignment drives the result" },
    ...bits,
    effect: "difference",
    reproduced: 0.02,
    partly: 0.002,
    quick: "full-only",
  },
] as const;

type Context = ReproductionContext<(typeof claims)[number]["id"]>;

/** What differs between a full and a quick run. */
interface Scale {
  readonly pairs: number;
  /** Captions that are measured. */
  readonly heldOut: number;
  /** Steps after which is measured. */
  readonly measureAt: readonly number[];
}

const full: Scale = { pairs: 28000, heldOut: 400, measureAt: [0, 20, 80] };
const quick: Scale = { pairs: 4000, heldOut: 60, measureAt: [0] };

/** Captions that are read as one text. */
const groupSize = 5;

/** Text in English and one other language: the last captions are held out. */
interface Language {
  readonly code: "de" | "fr";
  readonly pairs: readonly SentencePair[];
  readonly texts: readonly string[];
  readonly heldOut: readonly string[];
  readonly heldOutPairs: readonly SentencePair[];
}

/** Bits and bytes of each text, after each number of steps. */
type Curve = readonly (readonly RatioParts[])[];

/** The mean of all source rows for every token. */
const meanRow: TransferMethod = mixtureMethod(
  "mean-row",
  ({ target }) => new Array<undefined>(target.size).fill(undefined),
  "mean",
);

const simpleMethods: Readonly<Record<string, TransferMethod>> = {
  random: randomRows(),
  "shared, others random": lexicalOverlap(),
  "shared, others mean": lexicalOverlap({ unknown: "mean" }),
  "mean of sub-tokens": meanOfSubtokens(),
  "mean row": meanRow,
};

/** The sheet's choice for corpora of this size; the default of 10 is in the details. */
const minCount = 2;

export const reproduction: Reproduction = defineReproduction({
  system: "trans-tokenization",
  module: import.meta.url,
  models: ["jeton-nano"],
  claims,
  async run(context): Promise<Plot> {
    const scale = context.quick ? quick : full;
    const model = await readModelFiles(await context.model());
    const german = await readLanguage(context, "de", scale);
    const french = await readLanguage(context, "fr", scale);
    const measure = measurer(context, model, scale);
    const curves = await measureGerman(context, german, measure, scale);
    await measureFrench(context, french, measure);
    if (!context.quick) await measureHydra(context, german, minCount);
    return {
      title: "jeton-nano moved to a German tokenizer",
      panels: [
        {
          title: "held-out captions, after so many steps of training",
          kind: context.quick ? "bar" : "line",
          x: { title: "steps", ...(context.quick && { scale: "category" as const }) },
          y: { title: "bits per byte" },
          series: [...curves].map(([name, curve]) => ({
            name,
            points: curve.map((texts, at) => ({ x: scale.measureAt[at]!, y: bitsOf(texts) })),
          })),
        },
      ],
    };
  },
});

function bitsOf(texts: readonly RatioParts[]): number {
  return wholeValue(ratioOfSums(texts));
}

/** The best of the simple methods at a place of the curves. */
function bestAt(curves: ReadonlyMap<string, Curve>, at: number): [string, Sample] {
  const [name, curve] = Object.keys(simpleMethods)
    .map((name) => [name, curves.get(name)!] as const)
    .reduce((a, b) => (bitsOf(b[1][at]!) < bitsOf(a[1][at]!) ? b : a));
  return [name, ratioOfSums(curve[at]!)];
}

async function measureGerman(
  context: Context,
  german: Language,
  measure: Measure,
  scale: Scale,
): Promise<ReadonlyMap<string, Curve>> {
  const { pairs } = german;
  const curves = new Map<string, Curve>();
  const run = async (name: string, method: TransferMethod, train = true): Promise<Curve> => {
    const curve = await measure(german, name, method, train);
    if (train) curves.set(name, curve);
    return curve;
  };
  for (const [name, method] of Object.entries(simpleMethods)) await run(name, method);
  const temperature = await tuneNearest(german, measure);
  const nearest = await run("nearest tokens, tuned", nearestTokens({ pairs, temperature }));
  const own = await run("trans-tokenization", transTokenization({ pairs, minCount }));
  const shuffled = { pairs: shufflePairs(context.seed, pairs), minCount };
  const control = await run("shuffled pairs", transTokenization(shuffled));

  const details: Record<string, unknown> = { temperature };
  if (!context.quick) {
    const variants = {
      "both directions": { minCount, directions: "both" },
      "minimum count 10": { minCount: 10 },
    } as const;
    for (const [name, options] of Object.entries(variants)) {
      const method = transTokenization({ pairs, ...options });
      details[name] = bitsOf((await run(name, method, false))[0]!);
    }
  }
  const reportAt = (
    id: Parameters<Context["report"]>[0],
    at: number,
    [baselineName, baseline]: readonly [string, Sample],
  ): void =>
    context.report(id, {
      measured: ratioOfSums(own[at]!),
      baseline,
      baselineName,
      control: ratioOfSums(control[at]!),
      details: {
        ...details,
        ...Object.fromEntries([...curves].map(([name, curve]) => [name, bitsOf(curve[at]!)])),
      },
    });
  reportAt("german-untrained", 0, bestAt(curves, 0));
  reportAt("german-against-nearest", 0, ["nearest tokens, tuned", ratioOfSums(nearest[0]!)]);
  if (!context.quick) {
    const last = scale.measureAt.length - 1;
    reportAt("german-trained", last, bestAt(curves, last));
    const tenth = pairs.filter((_, place) => place % 10 === 0);
    const few = transTokenization({ pairs: tenth, minCount });
    const [less] = await run("a tenth of the pairs", few, false);
    reportAt("more-parallel-text", 0, ["a tenth of the pairs", ratioOfSums(less!)]);
  }
  return curves;
}

/** The temperature that is best on captions that are neither measured nor paired. */
async function tuneNearest(language: Language, measure: Measure): Promise<number> {
  const { pairs, texts } = language;
  const held = Math.max(1, Math.floor(texts.length / 20));
  const rest = { ...language, pairs: pairs.slice(0, -held * groupSize) };
  const tuning = {
    ...rest,
    texts: texts.slice(0, -held),
    heldOut: texts.slice(-held).slice(0, 60),
  };
  let best = { temperature: 0.1, bits: Number.POSITIVE_INFINITY };
  for (const temperature of [0.1, 0.2, 0.4]) {
    const method = nearestTokens({ pairs: rest.pairs, temperature });
    const [found] = await measure(tuning, `nearest, temperature ${temperature}`, method, false);
    const bits = bitsOf(found!);
    if (bits < best.bits) best = { temperature, bits };
  }
  return best.temperature;
}

async function measureFrench(context: Context, french: Language, measure: Measure): Promise<void> {
  const { pairs } = french;
  const curves = new Map<string, Curve>();
  const run = async (name: string, method: TransferMethod): Promise<Sample> => {
    const curve = await measure(french, name, method, false);
    curves.set(name, curve);
    return ratioOfSums(curve[0]!);
  };
  for (const [name, method] of Object.entries(simpleMethods)) await run(name, method);
  const measured = await run("trans-tokenization", transTokenization({ pairs, minCount }));
  const shuffled = { pairs: shufflePairs(context.seed, pairs), minCount };
  const control = await run("shuffled pairs", transTokenization(shuffled));
  const [baselineName, baseline] = bestAt(curves, 0);
  const details = Object.fromEntries([...curves].map(([name, curve]) => [name, bitsOf(curve[0]!)]));
  context.report("french-untrained", { measured, baseline, baselineName, control, details });
}

async function readLanguage(context: Context, code: "de" | "fr", scale: Scale): Promise<Language> {
  const pairs = await readParallelText(
    await context.data("text/multi30k/train.en.gz"),
    await context.data(`text/multi30k/train.${code}.gz`),
  );
  const known = pairs.slice(0, scale.pairs);
  const heldOutPairs = pairs.slice(-scale.heldOut);
  return {
    code,
    pairs: known,
    texts: groupLines(
      known.map((pair) => pair.target),
      groupSize,
    ),
    heldOut: groupLines(
      heldOutPairs.map((pair) => pair.target),
      groupSize,
    ),
    heldOutPairs,
  };
}

type Measure = (
  language: Language,
  name: string,
  method: TransferMethod,
  train: boolean,
) => Promise<Curve>;

/** Bits per byte of a language's held-out text by a method, after each number of steps. */
function measurer(context: Context, model: ModelFiles, scale: Scale): Measure {
  const { seed, signal } = context;
  const weights = fingerprint(model);
  const tokenizers = new Map<string, Tokenizer>();
  return async (language, name, method, train) => {
    const { code, texts, heldOut } = language;
    const tokenizer = tokenizers.get(code) ?? (await trainTarget(language.pairs)).tokenizer;
    tokenizers.set(code, tokenizer);
    const own = tokenizer;
    const measureAt = train ? scale.measureAt : [0];
    const text = createHash("sha256").update(texts.join()).update(heldOut.join()).digest("hex");
    const configuration = { weights, text, code, name, measureAt };
    context.progress(`${code}: ${name}`);
    return context.remember("measurement", configuration, async () => {
      const tables = await predictTables(model.source, readTokenForms(own), method, { seed });
      const { config, parameters } = withTables(model, tables);
      return adaptAndMeasure(config, parameters, {
        tokenizer: own,
        heldOut,
        texts,
        measureAt,
        seed,
        signal,
        onStep: (step) => context.progress(`${code}: ${name}`, step, measureAt.at(-1)!),
      });
    });
  };
}
