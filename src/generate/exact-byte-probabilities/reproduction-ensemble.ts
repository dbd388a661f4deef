/** Two models of different vocabularies, trained on the same text, and their mean byte by byte. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loadModel } from "../../model/index.ts";
import { gibbonParagraphs, isHeldOutChapter } from "../../reproduce/data/held-out-chapters.ts";
import type { RatioParts, ReproductionContext } from "../../reproduce/index.ts";
import { trainLanguageModel, trainTokenizerFolder } from "../../train/index.ts";
import { type ByteDistribution, byteOutcomes } from "../bytes/byte-distribution.ts";
import { createByteEnsemble } from "../bytes/byte-ensemble.ts";
import { scoreBytes } from "../bytes/score-bytes.ts";
import { openByteDistribution } from "./open-byte-distribution.ts";

/** The members: about 1.2 million parameters each. */
const members = {
  "768 tokens": { vocabSize: 768, hidden: 144, layers: 4 },
  "3072 tokens": { vocabSize: 3072, hidden: 128, layers: 3 },
} as const;

export type Member = keyof typeof members;
const memberNames = Object.keys(members) as Member[];

const steps = 600;

/** Bits and bytes of each held-out text. */
export interface EnsembleTexts {
  readonly byMember: Readonly<Record<Member, readonly RatioParts[]>>;
  readonly ensemble: readonly RatioParts[];
  /** The better member averaged with uniform bytes. */
  readonly control: readonly RatioParts[];
  readonly parameters: Readonly<Record<Member, number>>;
}

/** Trains the members and scores held-out paragraphs. */
export async function measureEnsemble(
  context: ReproductionContext,
  { texts }: { readonly texts: number },
): Promise<EnsembleTexts> {
  const gibbon = await context.data("text/gibbon");
  const files = (await readdir(gibbon)).filter((file) => file.endsWith(".txt")).sort();
  const read = async (file: string): Promise<string[]> =>
    gibbonParagraphs(await readFile(join(gibbon, file), "utf8"));
  const learned = (
    await Promise.all(files.filter((file) => !isHeldOutChapter(file)).map(read))
  ).flat();
  const heldOut = (await Promise.all(files.filter(isHeldOutChapter).map(read)))
    .flat()
    .filter((text) => text.length > 200)
    .map((text) => text.slice(0, 400))
    .slice(0, texts);
  const opened: { name: Member; distribution: ByteDistribution; close(): Promise<void> }[] = [];
  const parameters = {} as Record<Member, number>;
  try {
    for (const name of memberNames) {
      const trained = await trainMember(context, name, learned);
      parameters[name] = trained.parameters;
      const model = await loadModel(trained.modelFolder, { exact: false, format: "f32" });
      const distribution = await openByteDistribution(model);
      opened.push({ name, distribution, close: () => model.close() });
    }
    const bits = async (distribution: ByteDistribution, name: string): Promise<RatioParts[]> => {
      const parts: RatioParts[] = [];
      for (const [at, text] of heldOut.entries()) {
        context.progress(`scoring by ${name}`, at, heldOut.length);
        const { bitsPerByte, bytes } = await scoreBytes(distribution, text, {
          signal: context.signal,
        });
        parts.push({ sum: bitsPerByte * bytes, weight: bytes });
      }
      return parts;
    };
    const byMember = {} as Record<Member, readonly RatioParts[]>;
    for (const { name, distribution } of opened) byMember[name] = await bits(distribution, name);
    const distributions = opened.map(({ distribution }) => distribution);
    const ensemble = await bits(createByteEnsemble(distributions), "both");
    const sumOf = (name: Member): number => byMember[name].reduce((sum, part) => sum + part.sum, 0);
    const better = sumOf(memberNames[0]!) < sumOf(memberNames[1]!) ? 0 : 1;
    const control = await bits(
      createByteEnsemble([distributions[better]!, uniformBytes()]),
      "the better one and uniform bytes",
    );
    return { byMember, ensemble, control, parameters };
  } finally {
    for (const { distribution, close } of opened) {
      await distribution.close();
      await close();
    }
  }
}

async function trainMember(
  context: ReproductionContext,
  name: Member,
  texts: readonly string[],
): Promise<{ modelFolder: string; parameters: number }> {
  const { vocabSize, hidden, layers } = members[name];
  const folder = await context.folder(`member-${vocabSize}`, { hidden, layers, steps });
  const corpus = join(folder, "corpus.txt");
  await writeFile(corpus, texts.join("\n\n"));
  const tokenizer = join(folder, "tokenizer");
  await trainTokenizerFolder({
    folder: tokenizer,
    kind: "byte-level-bpe",
    vocabSize,
    corpus: { files: [corpus] },
    overwrite: true,
    signal: context.signal,
  });
  return trainLanguageModel({
    folder: join(folder, "run"),
    existing: "resume",
    config: {
      model_type: "llama",
      hidden_size: hidden,
      intermediate_size: 3 * hidden,
      num_hidden_layers: layers,
      num_attention_heads: 4,
      num_key_value_heads: 4,
      max_position_embeddings: 512,
      tie_word_embeddings: true,
    },
    tokenizer,
    corpora: [{ files: [corpus] }],
    steps,
    batch: 16,
    sequenceLength: 128,
    seed: context.seed,
    threads: 2,
    signal: context.signal,
    onProgress: ({ step, loss }) =>
      context.progress(`training ${name}, loss ${loss?.toFixed(3) ?? "…"}`, step, steps),
  });
}

/** A distribution that knows nothing. */
function uniformBytes(): ByteDistribution {
  let length = 0;
  return {
    name: "uniform",
    get length() {
      return length;
    },
    remaining: Number.POSITIVE_INFINITY,
    async prefill(bytes) {
      length = bytes.length;
    },
    async logProbabilities() {
      return new Float64Array(byteOutcomes).fill(-Math.log(byteOutcomes));
    },
    async advance() {
      length++;
    },
    async close() {},
  };
}
