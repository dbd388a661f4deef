/**
 * Measures zero-shot tokenizer transfer: jeton-nano under tokenizers that neither it nor the
 * hypernetwork has met, with no training of the model, beside means of sub-tokens and shared tokens.
 */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isHeldOutChapter } from "../../reproduce/data/held-out-chapters.ts";
import {
  defineReproduction,
  type Plot,
  type Reproduction,
  type ReproductionContext,
} from "../../reproduce/index.ts";
import { loadTokenizer, type Tokenizer, trainTokenizer } from "../../tokenizer/index.ts";
import { lexicalOverlap, meanOfSubtokens, randomRows } from "../baselines.ts";
import type { Hypernetwork, HypernetworkConfig } from "../hypernetwork.ts";
import { readHypernetwork, writeHypernetwork } from "../hypernetwork-file.ts";
import { adaptAndMeasure, fingerprint, remember } from "../reproduction-measure.ts";
import { readTokenForms } from "../token-forms.ts";
import { predictTables, type TransferMethod } from "../transfer.ts";
import { type ModelFiles, readModelFiles, withTables } from "../whole-model.ts";
import { trainHypernetwork } from "./train-hypernetwork.ts";
import { zett } from "./zett.ts";

const setting = "jeton-nano, held-out chapters of Gibbon, bits per byte without training the model";
const against = "against the better of means of sub-tokens and shared tokens";
const againstSimple = {
  paper: "within a few percent of the original model, where heuristics are often near chance",
  unit: "bits/byte",
  direction: "lower",
  effect: "ratio",
  reproduced: 1.02,
  partly: 1.001,
} as const;

const claims = [
  {
    id: "smaller-bpe",
    text: `An unseen byte-level BPE of 2,000 tokens, ${against}: ${setting}`,
    ...againstSimple,
  },
  {
    id: "unigram",
    text: `An unseen Unigram of 3,000 tokens, ${against}: ${setting}`,
    ...againstSimple,
    fullOnly: true,
  },
  {
    id: "larger-bpe",
    text: `An unseen byte-level BPE of 8,000 tokens, ${against}: ${setting}`,
    ...againstSimple,
    fullOnly: true,
  },
  {
    id: "other-domain",
    text: `The tokenizer of GPT-2, made for the web, 50,257 tokens, ${against}: ${setting}`,
    ...againstSimple,
    fullOnly: true,
  },
  {
    id: "gap-closed",
    text: "Share of the distance between the best simple method and the original model with its own tokenizer that the hypernetwork closes, mean over the unseen tokenizers",
    paper: "nearly all of it",
    unit: "%",
    direction: "higher",
    effect: "value",
    reproduced: 40,
    partly: 5,
  },
  {
    id: "published-form",
    text: `The form that predicts whole rows (mimic stage first), as published, on the Unigram: ${against}`,
    ...againstSimple,
    fullOnly: true,
  },
] as const;

type Context = ReproductionContext<(typeof claims)[number]["id"]>;
type Target = "smaller-bpe" | "unigram" | "larger-bpe" | "other-domain";

interface Scale {
  readonly steps: number;
  readonly mimicSteps: number;
  readonly batch: number;
  readonly vocabSize: number;
  readonly chapters: number;
  /** Texts that are measured. */
  readonly heldOut: number;
  readonly targets: readonly Target[];
}

const full: Scale = {
  steps: 250,
  mimicSteps: 200,
  batch: 8,
  vocabSize: 1024,
  chapters: 20,
  heldOut: 100,
  targets: ["smaller-bpe", "unigram", "larger-bpe", "other-domain"],
};
const quick: Scale = {
  steps: 6,
  mimicSteps: 0,
  batch: 4,
  vocabSize: 512,
  chapters: 3,
  heldOut: 24,
  targets: ["smaller-bpe"],
};

export const reproduction: Reproduction = defineReproduction({
  system: "zett",
  claims,
  async run(context): Promise<Plot> {
    const scale = context.quick ? quick : full;
    const model = await readModelFiles(await context.model());
    const gibbon = await context.data("text/gibbon");
    const texts = await readTexts(gibbon, (name) => !isHeldOutChapter(name), scale.chapters);
    const heldOut = (await readTexts(gibbon, isHeldOutChapter, 1)).slice(0, scale.heldOut);
    const targets = await makeTargets(context, texts, scale);

    const corrections = await hypernetworkOf(context, model, texts, scale, "corrections");
    const methods: readonly (readonly [string, TransferMethod])[] = [
      ["random", randomRows()],
      ["shared tokens", lexicalOverlap()],
      ["shared, others mean", lexicalOverlap({ unknown: "mean" })],
      ["mean of sub-tokens", meanOfSubtokens()],
      ["hypernetwork", zett(corrections)],
    ];
    const measure = measurer(context, model, heldOut, scale);
    const own = model.source.vocabulary.tokenizer;
    const original = await measure("original", own, "mean of sub-tokens", meanOfSubtokens());

    const results = new Map<string, Map<string, number>>();
    const closed: number[] = [];
    for (const [target, tokenizer] of targets) {
      const found = new Map<string, number>();
      for (const [name, method] of methods) {
        found.set(name, await measure(target, tokenizer, name, method));
      }
      results.set(target, found);
      const measured = found.get("hypernetwork")!;
      const [baselineName, baseline] = bestSimple(found);
      closed.push((100 * (baseline - measured)) / (baseline - original));
      const details = { original, ...Object.fromEntries(found) };
      context.report(target, { measured, baseline, baselineName, details });
    }
    // What a short training costs the model's own tokenizer.
    const itself = await measure("source", own, "hypernetwork", zett(corrections));
    context.report("gap-closed", {
      measured: closed.reduce((sum, share) => sum + share, 0) / closed.length,
      details: { original, itself, closed },
    });
    if (!context.quick) {
      const rows = await hypernetworkOf(context, model, texts, scale, "rows");
      const measured = await measure("unigram", targets.get("unigram")!, "rows", zett(rows));
      const [baselineName, baseline] = bestSimple(results.get("unigram")!);
      context.report("published-form", { measured, baseline, baselineName });
    }
    return {
      title: "jeton-nano under tokenizers that it has never met",
      panels: [
        {
          title: `held-out text, no training (original: ${original.toFixed(3)})`,
          kind: "bar",
          x: { title: "tokenizer", scale: "category" },
          y: { title: "bits per byte" },
          series: methods.map(([name]) => ({
            name,
            points: [...results].map(([target, found]) => ({ x: target, y: found.get(name)! })),
          })),
        },
      ],
    };
  },
});

function bestSimple(found: ReadonlyMap<string, number>): [string, number] {
  return [...found]
    .filter(([name]) => name !== "hypernetwork")
    .reduce((a, b) => (b[1] < a[1] ? b : a));
}

/** Pieces of a few hundred bytes. */
async function readTexts(
  folder: string,
  isWanted: (name: string) => boolean,
  chapters: number,
): Promise<string[]> {
  const names = (await readdir(folder)).filter(isWanted).sort().slice(0, chapters);
  const pieces: string[] = [];
  for (const name of names) {
    const text = await readFile(join(folder, name), "utf8");
    for (const paragraph of text.split(/\n\s*\n/)) {
      const line = paragraph.replace(/\s+/g, " ").trim();
      if (line.length > 200) pieces.push(...(line.match(/.{200,400}?[.;,] /g) ?? []));
    }
  }
  return pieces;
}

async function makeTargets(
  context: Context,
  texts: readonly string[],
  { targets }: Scale,
): Promise<Map<Target, Tokenizer>> {
  const specialTokens = ["<s>", "</s>"];
  const make = async (target: Target): Promise<Tokenizer> => {
    context.progress(`tokenizer ${target}`);
    switch (target) {
      case "smaller-bpe":
      case "larger-bpe": {
        const vocabSize = target === "smaller-bpe" ? 2000 : 8000;
        const kind = "byte-level-bpe";
        return (await trainTokenizer({ kind, vocabSize, texts, specialTokens })).tokenizer;
      }
      case "unigram":
        return (await trainTokenizer({ kind: "unigram", vocabSize: 3000, texts })).tokenizer;
      case "other-domain":
        return loadTokenizer(await context.data("tokenizers/gpt2/tokenizer.json"));
    }
  };
  const made = new Map<Target, Tokenizer>();
  for (const target of targets) made.set(target, await make(target));
  return made;
}

/** A hypernetwork for the model, trained once and kept. */
async function hypernetworkOf(
  context: Context,
  model: ModelFiles,
  texts: readonly string[],
  scale: Scale,
  predicts: HypernetworkConfig["predicts"],
): Promise<Hypernetwork> {
  const { steps, batch, vocabSize, chapters } = scale;
  const mimicSteps = predicts === "rows" ? scale.mimicSteps : 0;
  const training = { steps, mimicSteps, batch, vocabSize };
  const weights = fingerprint(model);
  const configuration = { version: 1, weights, predicts, chapters, ...training };
  const path = join(
    await context.folder("hypernetwork", configuration),
    "hypernetwork.safetensors",
  );
  await remember(context, "hypernetwork-training", configuration, async () => {
    const { seed, signal } = context;
    const trained = await trainHypernetwork(model, {
      texts,
      form: { predicts },
      ...training,
      seed,
      signal,
      onProgress: (stage, done, total, loss) =>
        context.progress(`${predicts}: ${stage}, loss ${loss.toFixed(3)}`, done, total),
    });
    await writeHypernetwork(path, trained);
    return existsSync(path);
  });
  return readHypernetwork(path);
}

type Measure = (
  target: string,
  tokenizer: Tokenizer,
  name: string,
  method: TransferMethod,
) => Promise<number>;

/** Bits per byte of the held-out texts under a tokenizer by a method. */
function measurer(
  context: Context,
  model: ModelFiles,
  heldOut: readonly string[],
  scale: Scale,
): Measure {
  const { seed, signal } = context;
  const weights = fingerprint(model);
  return async (target, tokenizer, name, method) => {
    context.progress(`${target}: ${name}`);
    const configuration = { version: 1, weights, target, name, ...scale };
    return remember(context, "measurement", configuration, async () => {
      const forms = readTokenForms(tokenizer);
      const tables = await predictTables(model.source, forms, method, { seed, signal });
      const { config, parameters } = withTables(model, tables);
      const [bits] = await adaptAndMeasure(config, parameters, {
        tokenizer,
        heldOut,
        seed,
        signal,
      });
      return bits!;
    });
  };
}
