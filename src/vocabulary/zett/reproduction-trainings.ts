/** Texts, tokenizers and trainings of the reproduction. */
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gibbonParagraphs } from "../../reproduce/data/held-out-chapters.ts";
import type { ReproductionContext } from "../../reproduce/index.ts";
import { loadTokenizer, type Tokenizer, trainTokenizer } from "../../tokenizer/index.ts";
import type { Hypernetwork } from "../hypernetwork.ts";
import { readHypernetwork, writeHypernetwork } from "../hypernetwork-file.ts";
import { fingerprint, tuneRows } from "../reproduction-measure.ts";
import { type ModelFiles, withTables } from "../whole-model.ts";
import { trainHypernetwork } from "./train-hypernetwork.ts";

/** Tokenizers that neither the model nor the hypernetwork has met. */
export const targets = ["smaller-bpe", "unigram", "larger-bpe", "other-domain"] as const;
export type Target = (typeof targets)[number];

/** Whole rows after a mimic stage, as published, or corrections of the means of sub-tokens. */
export type Form = "rows" | "corrections";

/** What differs between full and quick runs. */
export interface Scale {
  readonly steps: number;
  readonly mimicSteps: number;
  readonly batch: number;
  readonly vocabSize: number;
  readonly chapters: number;
  /** Texts that are measured. */
  readonly heldOut: number;
  readonly targets: readonly Target[];
}

/** Pieces of a few hundred bytes, without the notes, which the model was not trained on. */
export async function readTexts(
  folder: string,
  isWanted: (name: string) => boolean,
  chapters: number,
): Promise<string[]> {
  const names = (await readdir(folder)).filter(isWanted).sort().slice(0, chapters);
  const pieces: string[] = [];
  for (const name of names) {
    const text = await readFile(join(folder, name), "utf8");
    for (const line of gibbonParagraphs(text)) {
      if (line.length > 200) pieces.push(...(line.match(/.{200,400}?[.;,] /g) ?? []));
    }
  }
  return pieces;
}

/** The tokenizers by name. */
export async function makeTargets(
  context: ReproductionContext,
  texts: readonly string[],
  { targets: wanted }: Scale,
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
  for (const target of wanted) made.set(target, await make(target));
  return made;
}

/** A hypernetwork for the model, trained once and kept. */
export async function hypernetworkOf(
  context: ReproductionContext,
  model: ModelFiles,
  texts: readonly string[],
  scale: Scale,
  predicts: Form,
): Promise<Hypernetwork> {
  const { steps, batch, vocabSize, chapters } = scale;
  const mimicSteps = predicts === "rows" ? scale.mimicSteps : 0;
  const training = { steps, mimicSteps, batch, vocabSize };
  const weights = fingerprint(model);
  const configuration = { weights, predicts, chapters, ...training };
  const path = join(
    await context.folder("hypernetwork", configuration),
    "hypernetwork.safetensors",
  );
  await context.remember("hypernetwork-training", configuration, async () => {
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

/** The model with its own rows trained on the texts, as long as a hypernetwork is. */
export async function tunedRowsOf(
  context: ReproductionContext,
  model: ModelFiles,
  texts: readonly string[],
  { steps, batch, chapters }: Scale,
): Promise<ModelFiles> {
  const { seed, signal } = context;
  const configuration = { weights: fingerprint(model), steps, batch, chapters };
  const path = join(await context.folder("tuned-rows", configuration), "rows.bin");
  await context.remember("tuned-rows-training", configuration, async () => {
    const { source } = await tuneRows(model, {
      ...{ texts, steps, batch, seed, signal },
      onStep: (step, loss) =>
        context.progress(`rows of the source, loss ${loss.toFixed(3)}`, step, steps),
    });
    const { embedding, head = new Float32Array(0) } = source.tables;
    await writeFile(path, Float32Array.from([...embedding, ...head]));
    return existsSync(path);
  });
  const bytes = await readFile(path);
  const rows = new Float32Array(
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
  );
  const { tables } = model.source;
  const embedding = rows.slice(0, tables.embedding.length);
  const trained = tables.head ? { embedding, head: rows.slice(embedding.length) } : { embedding };
  const { parameters } = withTables(model, trained);
  return { source: { ...model.source, tables: trained }, parameters };
}
