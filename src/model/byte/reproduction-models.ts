/**
 * Models of words and their baselines at equal compute and data: the same bytes in every step, and as many
 * multiplications a byte. Shared by the reproductions of this module.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ModelConfig } from "../../checkpoint/index.ts";
import type { ReproductionContext } from "../../reproduce/index.ts";
import { createTokenizer, saveTokenizer, trainTokenizer } from "../../tokenizer/index.ts";
import { openArchitecture, trainLanguageModel } from "../../train/index.ts";
import { type DecoderConfig, decoderConfig } from "../decoder/config.ts";
import { splitWords } from "./split-words.ts";
import { isWordModel, type WordModelConfig, wordModelConfig } from "./word-config.ts";

/** What is compared. */
export type ModelKind =
  | "hierarchical"
  | "hierarchical-fixed"
  | "word-pooled"
  | "word-pooled-1"
  | "subwords"
  | "bytes";

/** Languages of the held-out texts: two of the Latin script and one of another. */
export const languages = ["en", "de", "ru"] as const;
export type Language = (typeof languages)[number];

/** Sizes of a comparison. */
export interface ComparisonSizes {
  /** Hidden size of what runs over words or sub-words. */
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Bytes of a sequence. */
  readonly bytes: number;
  readonly batch: number;
  readonly steps: number;
  readonly seeds: number;
  /** Held-out texts of each language. */
  readonly texts: number;
  readonly vocabSize: number;
}

/** Small enough for half a minute, or for some ten minutes. */
export function comparisonSizes(quick: boolean): ComparisonSizes {
  return quick
    ? {
        ...{ width: 64, layers: 1, heads: 2, bytes: 384, batch: 2, steps: 100, seeds: 1 },
        texts: 8,
        vocabSize: 512,
      }
    : {
        ...{ width: 96, layers: 2, heads: 3, bytes: 512, batch: 4, steps: 800, seeds: 3 },
        texts: 24,
        vocabSize: 1024,
      };
}

/** Texts to learn from, and held-out texts of each language. */
export interface Comparison {
  readonly sizes: ComparisonSizes;
  readonly corpora: readonly string[];
  readonly tokenizer: string;
  readonly heldOut: Readonly<Record<Language, readonly string[]>>;
  /** Of the training text. */
  readonly wordsPerByte: number;
  readonly tokensPerByte: number;
  /** Words of the training text by how often they come. */
  readonly counts: ReadonlyMap<string, number>;
}

type Context = Pick<
  ReproductionContext,
  "data" | "folder" | "progress" | "charge" | "seed" | "signal" | "quick" | "notice"
>;

/** Longest held-out text, in bytes: cut where a line ends. */
const maxTextBytes = 480;

/**
 * Prepares the comparison: the first four fifths of the parallel sentences of PUD in three languages, and
 * further English and German text, are learned from; texts of the last fifth are measured.
 */
export async function prepareComparison(context: Context): Promise<Comparison> {
  const sizes = comparisonSizes(context.quick);
  const folder = await context.folder("comparison", sizes);
  await mkdir(folder, { recursive: true });
  const corpora: string[] = [];
  const texts: string[] = [];
  const keep = async (name: string, text: string): Promise<void> => {
    const path = join(folder, `${name}.txt`);
    await writeFile(path, text);
    corpora.push(path);
    texts.push(text);
  };
  const heldOut = {} as Record<Language, readonly string[]>;
  for (const language of languages) {
    const lines = (await readFile(await context.data(`text/pud/${language}.txt`), "utf8")).split(
      "\n",
    );
    const cut = Math.floor(0.8 * lines.length);
    await keep(language, `${lines.slice(0, cut).join("\n")}\n`);
    heldOut[language] = joinLines(lines.slice(cut)).slice(0, sizes.texts);
  }
  for (const name of ["en-ewt-dev", "de-gsd-dev"]) {
    await keep(name, await readFile(await context.data(`text/ud/${name}.txt`), "utf8"));
  }
  const trained = await trainTokenizer({
    kind: "byte-level-bpe",
    texts,
    vocabSize: sizes.vocabSize,
    specialTokens: ["<|document|>"],
  });
  const tokenizer = join(folder, "tokenizer");
  await saveTokenizer(tokenizer, trained);
  const special = { bos_token: "<|document|>", eos_token: "<|document|>" };
  await writeFile(join(tokenizer, "tokenizer_config.json"), JSON.stringify(special));
  const all = texts.join("");
  const bytes = new TextEncoder().encode(all);
  const words = splitWords(bytes, { maxBytes: maxWordBytes });
  const subwords = createTokenizer(trained.json);
  return {
    sizes,
    corpora,
    tokenizer,
    heldOut,
    wordsPerByte: words.length / bytes.length,
    tokensPerByte: subwords.countTokens(all, { applyLimits: false }) / bytes.length,
    counts: countWords(bytes, words),
  };
}

const maxWordBytes = 24;

/** Lines joined to texts of up to `maxTextBytes` bytes. */
function joinLines(lines: readonly string[]): string[] {
  const texts: string[] = [];
  let text = "";
  for (const line of lines) {
    const longer = text === "" ? line : `${text}\n${line}`;
    if (Buffer.byteLength(longer) <= maxTextBytes) {
      text = longer;
      continue;
    }
    if (text !== "") texts.push(text);
    text = Buffer.byteLength(line) <= maxTextBytes ? line : "";
  }
  return texts;
}

function countWords(bytes: Uint8Array, ends: Uint32Array): Map<string, number> {
  const counts = new Map<string, number>();
  let start = 0;
  for (const end of ends) {
    const word = new TextDecoder().decode(bytes.subarray(start, end)).trim();
    counts.set(word, (counts.get(word) ?? 0) + 1);
    start = end;
  }
  return counts;
}

/** Multiplications of a stack for each of its positions, `span` positions before each on the average. */
function stackProducts(config: DecoderConfig, span: number): number {
  const { hiddenSize, intermediateSize, layers } = config;
  return (
    layers.length *
    (4 * hiddenSize ** 2 + 3 * hiddenSize * intermediateSize + 2 * hiddenSize * span)
  );
}

/** Multiplications of the forward pass for each byte of text. */
export function productsPerByte(file: ModelConfig, comparison: Comparison): number {
  const { sizes, wordsPerByte, tokensPerByte } = comparison;
  if (!isWordModel(file)) {
    const config = decoderConfig(file);
    const rate = config.vocabSize === 256 ? 1 : tokensPerByte;
    const head = config.vocabSize * config.hiddenSize;
    return rate * (stackProducts(config, (rate * sizes.bytes) / 2) + head);
  }
  const config: WordModelConfig = wordModelConfig(file);
  const { encoder, backbone, decoder, prefixes, rule } = config;
  const words = typeof rule === "object" ? 1 / rule.fixed : wordsPerByte;
  // Each word brings its prefixes; the last prefix and each byte are asked for what follows.
  const local = 1 + words * prefixes;
  const inWord = 1 / words + prefixes;
  const projections = config.isProjected ? 2 * encoder.hiddenSize * backbone.hiddenSize : 0;
  return (
    local * stackProducts(encoder, inWord) +
    local * stackProducts(decoder, inWord / 2) +
    words * prefixes * stackProducts(backbone, (words * prefixes * sizes.bytes) / 2) +
    words * projections +
    (1 + words) * 256 * decoder.hiddenSize
  );
}

/** The configuration of a model: the hierarchy sets the compute, the others' feed-forward is as wide as fits. */
export function configOf(kind: ModelKind, comparison: Comparison): ModelConfig {
  const reference = productsPerByte(rawConfig("hierarchical", comparison, 0), comparison);
  if (kind === "hierarchical") return rawConfig(kind, comparison, 0);
  let best = rawConfig(kind, comparison, 8);
  const distance = (file: ModelConfig): number =>
    Math.abs(productsPerByte(file, comparison) - reference);
  for (let width = 8; width <= 16 * comparison.sizes.width; width += 8) {
    const file = rawConfig(kind, comparison, width);
    if (distance(file) < distance(best)) best = file;
  }
  return best;
}

function rawConfig(kind: ModelKind, { sizes }: Comparison, intermediate: number): ModelConfig {
  const { width, layers, heads, bytes, vocabSize } = sizes;
  const common = {
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: heads,
    max_position_embeddings: 2 * bytes,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
  };
  const words = {
    max_word_bytes: maxWordBytes,
    num_encoder_layers: 1,
    num_decoder_layers: 1,
    vocab_size: 256,
  };
  // What runs at every byte is half as wide, in heads of whole vectors of 4.
  const narrow = heads * Math.floor(width / 2 / heads / 4) * 4;
  if (kind === "subwords" || kind === "bytes") {
    const isBytes = kind === "bytes";
    return {
      model_type: "llama",
      ...common,
      hidden_size: isBytes ? narrow : width,
      intermediate_size: intermediate,
      vocab_size: isBytes ? 256 : vocabSize,
      hidden_act: "silu",
      tie_word_embeddings: false,
    };
  }
  if (kind === "word-pooled" || kind === "word-pooled-1") {
    return {
      model_type: "word-pooled",
      ...common,
      ...words,
      hidden_size: narrow,
      intermediate_size: intermediate,
      num_word_prefixes: kind === "word-pooled" ? 4 : 1,
      local_intermediate_size: narrow,
      local_num_attention_heads: heads,
    };
  }
  return {
    model_type: "hierarchical-transformer",
    ...common,
    ...words,
    hidden_size: width,
    intermediate_size: intermediate === 0 ? 3 * width : intermediate,
    local_hidden_size: narrow,
    local_intermediate_size: 3 * narrow,
    local_num_attention_heads: heads,
    word_rule: kind === "hierarchical-fixed" ? { fixed: 6 } : "unicode",
  };
}

/** A trained model. */
export interface TrainedKind {
  readonly folder: string;
  readonly parameters: number;
  /** Seconds of all steps. */
  readonly seconds: number;
}

/** Trains one model on the comparison's texts; an interrupted run goes on where it was. */
export async function trainKind(
  context: Context,
  comparison: Comparison,
  kind: ModelKind,
  seed: number,
): Promise<TrainedKind> {
  return trainOnTexts(context, comparison, {
    name: `model-${kind}-${seed}`,
    config: configOf(kind, comparison),
    tokens: kind === "subwords" ? "subwords" : "bytes",
    batch: comparison.sizes.batch,
    peak: 4e-3,
    warmup: 1 / 20,
    embeddingDeviation: 0.5,
    seed,
  });
}

/** What differs between the trainings of a comparison. */
export interface TextTraining {
  /** Of its folder. */
  readonly name: string;
  readonly config: ModelConfig;
  readonly tokens: "subwords" | "bytes";
  readonly batch: number;
  /** Highest learning rate; it falls to a tenth. */
  readonly peak: number;
  /** Share of the steps in which the learning rate rises. */
  readonly warmup: number;
  readonly embeddingDeviation: number;
  readonly seed: number;
}

/** Trains on the comparison's texts; an interrupted run goes on where it was. */
export async function trainOnTexts(
  context: Context,
  comparison: Comparison,
  training: TextTraining,
): Promise<TrainedKind> {
  const { sizes, corpora, tokensPerByte } = comparison;
  const { name, config, tokens, peak } = training;
  const { steps, bytes } = sizes;
  const folder = await context.folder(name, { config, sizes });
  const known = await secondsOf(folder);
  if (known > 0) context.notice(`${name}: ${Math.round(known)} s of training are remembered`);
  context.charge(known);
  const { modelFolder, parameters } = await trainLanguageModel({
    folder,
    config,
    tokenizer: tokens === "subwords" ? comparison.tokenizer : "bytes",
    corpora: corpora.map((file) => ({ files: [file] })),
    steps,
    batch: training.batch,
    // As many bytes in every step for each model.
    sequenceLength: tokens === "subwords" ? Math.round(bytes * tokensPerByte) : bytes,
    schedule: {
      kind: "cosine",
      peak,
      final: peak / 10,
      steps,
      warmupSteps: Math.ceil(steps * training.warmup),
    },
    initialization: { deviation: 0.05, embeddingDeviation: training.embeddingDeviation },
    seed: context.seed + training.seed,
    threads: 2,
    dtype: "F32",
    checkpointEvery: 50,
    existing: "resume",
    signal: context.signal,
    onProgress: ({ step }) => context.progress(`training ${name}`, step, steps),
  });
  return { folder: modelFolder, parameters, seconds: await secondsOf(folder) };
}

/** Seconds of the steps that a run's log holds. */
async function secondsOf(folder: string): Promise<number> {
  const text = await readFile(join(folder, "log.jsonl"), "utf8").catch(() => "");
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.reduce((sum, line) => sum + (JSON.parse(line) as { seconds: number }).seconds, 0);
}

/** Parameters of a configuration. */
export function parametersOf(config: ModelConfig): number {
  let sum = 0;
  for (const shape of openArchitecture(config).parameters.values()) {
    sum += shape.reduce((a, b) => a * b, 1);
  }
  return sum;
}
