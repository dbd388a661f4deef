/**
 * Models of two layers that learn to look a number up, within windows of 180 tokens: a plain one and one with landmarks, on the
 * same text. Reproductions of context policies read longer texts with them.
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { ModelConfig } from "../../checkpoint/index.ts";
import { createRandom, type Random } from "../../core/index.ts";
import { decoderConfig } from "../../model/index.ts";
import { gibbonParagraphs, isHeldOutChapter } from "../../reproduce/data/held-out-chapters.ts";
import { type ReproductionContext, trainResumably } from "../../reproduce/index.ts";
import { openSmallTrainer } from "../../reproduce/open-small-trainer.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import { exportModel, initializeDecoder, languageModelInputs } from "../../train/index.ts";

/** Normal tokens of a block, and of a training window: 12 blocks, the first and last of which may be parts. */
export const block = 15;
export const window = 180;
const rows = (block + 1) * 13;

/** Which of the two models. */
export type Kind = "landmark" | "plain";

/** `config.json` of a model. */
export function smallConfig(kind: Kind, vocabSize: number): ModelConfig {
  const isLandmark = kind === "landmark";
  return {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    vocab_size: isLandmark ? vocabSize + 1 : vocabSize,
    hidden_size: 128,
    intermediate_size: 256,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 4,
    head_dim: 32,
    max_position_embeddings: isLandmark ? rows : window,
    tie_word_embeddings: false,
    bos_token_id: 1,
    eos_token_id: 2,
    ...(isLandmark && { mem_id: vocabSize, mem_freq: block, train_context_length: rows }),
  } as ModelConfig;
}

/** Texts that are learned or held out. */
export interface Texts {
  readonly tokenizer: Tokenizer;
  readonly learned: Int32Array;
  readonly heldOut: Int32Array;
}

/** The history by chapter, as token ids of one stream. */
export async function readTexts(
  { data }: Pick<ReproductionContext, "data">,
  tokenizer: Tokenizer,
): Promise<Texts> {
  const folder = await data("text/gibbon");
  const parts = { learned: [] as string[], heldOut: [] as string[] };
  for (const file of (await readdir(folder)).sort()) {
    const text = gibbonParagraphs(await readFile(join(folder, file), "utf8")).join(" ");
    parts[isHeldOutChapter(file) ? "heldOut" : "learned"].push(text);
  }
  const idsOf = (texts: readonly string[]): Int32Array =>
    Int32Array.from(texts.flatMap((text) => encode(tokenizer, text)));
  return { tokenizer, learned: idsOf(parts.learned), heldOut: idsOf(parts.heldOut) };
}

function encode(tokenizer: Tokenizer, text: string): number[] {
  return [...tokenizer.encodeIds(text, { addSpecialTokens: false, applyLimits: false })];
}

/** What tells a number, and the same up to the number. */
export function tellKey(tokenizer: Tokenizer, key: string): { told: number[]; asked: number[] } {
  return {
    told: encode(tokenizer, `The pass key is ${key}. Remember it.`),
    asked: encode(tokenizer, "The pass key is"),
  };
}

/** Five digits. */
export function sampleKey(random: Random): string {
  return String(10_000 + random.integer(90_000));
}

/** Prose in which a number is told several times; half of the windows are plain prose. */
function sampleWindow({ tokenizer, learned }: Texts, random: Random): Int32Array {
  const length = window + 1;
  const prose = (): Int32Array => {
    const start = random.integer(learned.length - length);
    return learned.slice(start, start + length);
  };
  if (random.uniform() < 0.5) return prose();
  const { told } = tellKey(tokenizer, sampleKey(random));
  const times = 4;
  const free = length - times * told.length;
  const cuts = Array.from({ length: times }, () => random.integer(free)).sort((a, b) => a - b);
  const text = prose();
  const ids: number[] = [];
  for (const [at, cut] of cuts.entries()) {
    ids.push(...text.subarray(at === 0 ? 0 : cuts[at - 1]!, cut), ...told);
  }
  ids.push(...text.subarray(cuts.at(-1)!));
  return Int32Array.from(ids.slice(0, length));
}

export interface SmallTraining {
  readonly kind: Kind;
  readonly steps: number;
  /** Windows of a step. */
  readonly batch: number;
  readonly seed: number;
  readonly texts: Texts;
  /** Folder or file of the tokenizer. */
  readonly tokenizer: string;
}

/** Trains a model and exports it; goes on where an earlier run was interrupted. @returns the checkpoint folder */
export async function trainSmall(
  reproduce: ReproductionContext,
  { kind, steps, batch, seed, texts, tokenizer }: SmallTraining,
): Promise<string> {
  const file = smallConfig(kind, texts.tokenizer.vocabSize);
  const config = decoderConfig(file);
  const name = `${kind}-${seed}`;
  const folder = await reproduce.folder(name, { file, steps, batch, seed });
  const model = join(folder, "model");
  if (await exists(join(model, "config.json"))) return model;
  const inputs = languageModelInputs(config, { sequenceLength: window, seed });
  // Both begin with heads that copy what followed an earlier occurrence: few steps teach none.
  const first = initializeDecoder(config, seed, {
    deviation: 0.5 / Math.sqrt(config.hiddenSize),
    inductionHeads: true,
  });
  await using trainer = await openSmallTrainer(config, first, steps);
  const { earlierSeconds } = await trainResumably(trainer, {
    folder,
    steps,
    signal: reproduce.signal,
    notice: reproduce.notice,
    batch(step) {
      // Both kinds learn from the same windows.
      const random = createRandom(seed, "batch", step);
      const ids = new Int32Array(batch * window);
      const targets = new Int32Array(batch * window);
      for (let row = 0; row < batch; row++) {
        const sampled = sampleWindow(texts, random);
        ids.set(sampled.subarray(0, window), row * window);
        targets.set(sampled.subarray(1), row * window);
      }
      return [inputs({ batch, time: window, ids, targets })];
    },
    onStep: ({ step, loss }) =>
      reproduce.progress(`training ${name}, loss ${loss.toFixed(3)}`, step, steps),
  });
  reproduce.charge(earlierSeconds);
  await exportModel(model, {
    config: file,
    parameters: await trainer.parameters(),
    tokenizer,
    dtype: "F32",
    card: `# ${name}\n`,
  });
  return model;
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
