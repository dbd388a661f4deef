/**
 * Measures zero-shot tokenizer transfer: jeton-nano under tokenizers that neither it nor the
 * hypernetwork has met, with no training of the model, beside means of sub-tokens and shared tokens.
 */
import { isHeldOutChapter } from "../../reproduce/data/held-out-chapters.ts";
import {
  type Claim,
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
import { lexicalOverlap, meanOfSubtokens, randomRows } from "../baselines.ts";
import { focus } from "../focus.ts";
import { adaptAndMeasure, fingerprint } from "../reproduction-measure.ts";
import { shuffleRows } from "../reproduction-methods.ts";
import { readTokenForms } from "../token-forms.ts";
import { predictTables, type TransferMethod } from "../transfer.ts";
import { type ModelFiles, readModelFiles, withTables } from "../whole-model.ts";
import {
  type Form,
  hypernetworkOf,
  makeTargets,
  readTexts,
  type Scale,
  type Target,
  targets,
  tunedRowsOf,
} from "./reproduction-trainings.ts";
import { zett } from "./zett.ts";

const setting = "jeton-nano, held-out chapters of Gibbon, bits per byte without training the model";
const against =
  "against the best of means of sub-tokens, shared tokens, FOCUS and means of sub-tokens whose rows were trained on the same text for as many steps";

const targetTexts: Readonly<Record<Target, string>> = {
  "smaller-bpe": "An unseen byte-level BPE of 2,000 tokens",
  unigram: "An unseen Unigram of 3,000 tokens",
  "larger-bpe": "An unseen byte-level BPE of 8,000 tokens",
  "other-domain": "The tokenizer of GPT-2, made for the web, 50,257 tokens",
};

const bits = { unit: "bits/byte", direction: "lower", effect: "ratio", units: "texts" } as const;
const shuffledRows = "the predicted rows shuffled among the tokens";
const beyond = { reproduced: 1.02, partly: 1.001 };

function targetClaim<const Id extends string>(id: Id, target: Target, form: Form): Claim<Id> {
  const own = form === "rows" ? "The published form" : "Ours, corrections of means";
  return {
    id,
    text: `${own}. ${targetTexts[target]}, ${against}: ${setting}`,
    paper: { words: "heuristics are often near chance, the hypernetwork close to the original" },
    ...bits,
    control: shuffledRows,
    ...beyond,
    quick: target === "smaller-bpe" ? halfOf(beyond, 1) : "full-only",
  };
}

const share = { reproduced: 40, partly: 5 };
const within = { reproduced: 0.95, partly: 0.9 };

const claims = [
  ...targets.map((target) => targetClaim(target, target, "rows")),
  ...targets.map((target) => targetClaim(`ours-${target}` as const, target, "corrections")),
  {
    id: "gap-closed",
    text: "The published form: share of the distance between the best simple method and the original model with its own tokenizer that it closes, mean over the unseen tokenizers",
    paper: { words: "nearly all of it" },
    units: "texts",
    control: shuffledRows,
    unit: "%",
    direction: "higher",
    effect: "value",
    noEffect: 0,
    ...share,
    quick: halfOf(share, 0),
  },
  {
    id: "ours-gap-closed",
    text: "The same of corrections of means, which are ours",
    paper: { words: "not in the paper" },
    units: "texts",
    control: shuffledRows,
    unit: "%",
    direction: "higher",
    effect: "value",
    noEffect: 0,
    ...share,
    quick: halfOf(share, 0),
  },
  {
    id: "near-the-original",
    text: "The published form is no worse than the original model with its own tokenizer by more than a few percent, mean over the unseen tokenizers",
    paper: { words: "within a few percent of the original" },
    ...bits,
    control: shuffledRows,
    noWorse: true,
    ...within,
    quick: within,
  },
] as const;

type Context = ReproductionContext<(typeof claims)[number]["id"]>;

const full: Scale = {
  steps: 1000,
  mimicSteps: 400,
  batch: 8,
  vocabSize: 2048,
  chapters: 20,
  heldOut: 100,
  targets,
};
const quick: Scale = {
  steps: 6,
  mimicSteps: 20,
  batch: 4,
  vocabSize: 512,
  chapters: 3,
  heldOut: 24,
  targets: ["smaller-bpe"],
};

/** Texts under a tokenizer by a method: bits and bytes of each. */
type Texts = readonly RatioParts[];
type Found = ReadonlyMap<string, Texts>;

const forms = { rows: "published form", corrections: "ours" } as const;

export const reproduction: Reproduction = defineReproduction({
  system: "zett",
  module: import.meta.url,
  models: ["jeton-nano"],
  claims,
  async run(context): Promise<Plot> {
    const scale = context.quick ? quick : full;
    const model = await readModelFiles(await context.model());
    const gibbon = await context.data("text/gibbon");
    const texts = await readTexts(gibbon, (name) => !isHeldOutChapter(name), scale.chapters);
    const heldOut = (await readTexts(gibbon, isHeldOutChapter, 1)).slice(0, scale.heldOut);
    const made = await makeTargets(context, texts, scale);

    const networks = {
      rows: await hypernetworkOf(context, model, texts, scale, "rows"),
      corrections: await hypernetworkOf(context, model, texts, scale, "corrections"),
    };
    const simple = {
      random: randomRows(),
      "shared tokens": lexicalOverlap(),
      "shared, others mean": lexicalOverlap({ unknown: "mean" }),
      "mean of sub-tokens": meanOfSubtokens(),
      FOCUS: focus({ texts }),
    };
    const measure = measurer(context, heldOut, scale);
    const own = model.source.vocabulary.tokenizer;
    const means = meanOfSubtokens();
    const tunedModel = await tunedRowsOf(context, model, texts, scale);
    const original = await measure(model, "source", own, "original", means);
    const tuned = await measure(tunedModel, "source", own, "original, rows trained", means);
    // What a short training changes for the model's own tokenizer.
    const itself = await measure(
      model,
      "source",
      own,
      forms.corrections,
      zett(networks.corrections),
    );
    const beside: Beside = {
      original,
      tuned,
      itself,
      simple: [...Object.keys(simple), tunedMeans],
    };
    const results = new Map<Target, Found>();
    for (const [target, tokenizer] of made) {
      const found = new Map<string, Texts>();
      const add = async (name: string, method: TransferMethod, from = model): Promise<void> => {
        found.set(name, await measure(from, target, tokenizer, name, method));
      };
      for (const [name, method] of Object.entries(simple)) await add(name, method);
      await add(tunedMeans, means, tunedModel);
      for (const form of ["rows", "corrections"] as const) {
        const method = zett(networks[form]);
        await add(forms[form], method);
        await add(`${forms[form]}, shuffled`, shuffleRows(method));
      }
      results.set(target, found);
      reportTarget(context, target, found, beside);
    }
    reportGap(context, results, beside);
    return plotOf(results, original);
  },
});

/** The baseline that gets the texts and the steps of the hypernetwork. */
const tunedMeans = "mean of trained sub-tokens";

interface Beside {
  readonly original: Texts;
  /** The original with its rows trained as long as the hypernetwork. */
  readonly tuned: Texts;
  /** The model's own tokenizer under ours. */
  readonly itself: Texts;
  /** Names of the simple methods. */
  readonly simple: readonly string[];
}

function bestSimple(found: Found, simple: readonly string[]): [string, Sample] {
  return simple
    .map((name): [string, Sample] => [name, ratioOfSums(found.get(name)!)])
    .reduce((a, b) => (wholeValue(b[1]) < wholeValue(a[1]) ? b : a));
}

function reportTarget(
  context: Context,
  target: Target,
  found: Found,
  { original, simple }: Beside,
): void {
  const [baselineName, baseline] = bestSimple(found, simple);
  const details = Object.fromEntries(
    [...found].map(([name, texts]) => [name, wholeValue(ratioOfSums(texts))]),
  );
  for (const [form, id] of [
    ["rows", target],
    ["corrections", `ours-${target}`],
  ] as const) {
    context.report(id, {
      measured: ratioOfSums(found.get(forms[form])!),
      baseline,
      baselineName,
      control: ratioOfSums(found.get(`${forms[form]}, shuffled`)!),
      original: ratioOfSums(original),
      details,
    });
  }
}

/** Claims over all unseen tokenizers: the share of the gap, and the distance to the original. */
function reportGap(
  context: Context,
  results: ReadonlyMap<Target, Found>,
  { original, tuned, itself, simple }: Beside,
): void {
  const whole = ratioOfSums(original);
  const all = [...results.values()];
  /** A mean over the tokenizers, from the same texts of each. */
  const meanOver = (compute: (found: Found, places: readonly number[]) => number): Sample => ({
    count: original.length,
    over: (places) => all.reduce((sum, found) => sum + compute(found, places), 0) / all.length,
  });
  const closed = (name: string): Sample =>
    meanOver((found, places) => {
      const baseline = bestSimple(found, simple)[1].over(places);
      const own = ratioOfSums(found.get(name)!).over(places);
      return (100 * (baseline - own)) / (baseline - whole.over(places));
    });
  for (const [id, name] of [
    ["gap-closed", forms.rows],
    ["ours-gap-closed", forms.corrections],
  ] as const) {
    context.report(id, {
      measured: closed(name),
      control: closed(`${name}, shuffled`),
      details: {
        original: wholeValue(whole),
        "original, rows trained": wholeValue(ratioOfSums(tuned)),
        "the model's own tokenizer under ours": wholeValue(ratioOfSums(itself)),
      },
    });
  }
  const bitsOf = (name: string): Sample =>
    meanOver((found, places) => ratioOfSums(found.get(name)!).over(places));
  context.report("near-the-original", {
    measured: bitsOf(forms.rows),
    baseline: whole,
    baselineName: "the original with its own tokenizer",
    control: bitsOf(`${forms.rows}, shuffled`),
    original: whole,
  });
}

function plotOf(results: ReadonlyMap<Target, Found>, original: Texts): Plot {
  const names = [...[...results.values()][0]!.keys()].filter((name) => !name.includes("shuffled"));
  return {
    title: "jeton-nano under tokenizers that it has never met",
    panels: [
      {
        title: `held-out text, no training (original: ${wholeValue(ratioOfSums(original)).toFixed(3)})`,
        kind: "bar",
        x: { title: "tokenizer", scale: "category" },
        y: { title: "bits per byte" },
        series: names.map((name) => ({
          name,
          points: [...results].map(([target, found]) => ({
            x: target,
            y: wholeValue(ratioOfSums(found.get(name)!)),
          })),
        })),
      },
    ],
  };
}

type Measure = (
  model: ModelFiles,
  target: string,
  tokenizer: Tokenizer,
  name: string,
  method: TransferMethod,
) => Promise<Texts>;

/** Bits per byte of the held-out texts under a tokenizer by a method. */
function measurer(context: Context, heldOut: readonly string[], scale: Scale): Measure {
  const { seed, signal } = context;
  return async (model, target, tokenizer, name, method) => {
    context.progress(`${target}: ${name}`);
    const configuration = { weights: fingerprint(model), target, name, ...scale };
    return context.remember("measurement", configuration, async () => {
      const forms = readTokenForms(tokenizer);
      const tables = await predictTables(model.source, forms, method, { seed, signal });
      const { config, parameters } = withTables(model, tables);
      const options = { tokenizer, heldOut, seed, signal };
      const [found] = await adaptAndMeasure(config, parameters, options);
      return found!;
    });
  };
}
