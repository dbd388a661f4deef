/**
 * Moves a language model to another tokenizer: new embedding and head rows, the same body, written
 * as an ordinary checkpoint folder.
 */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import {
  type Checkpoint,
  type Dtype,
  isJsonObject,
  isReadableDtype,
  type ModelConfig,
  openCheckpoint,
  resolveModel,
  type TensorToWrite,
  writeFileAtomically,
  writeShardedSafetensors,
} from "../checkpoint/index.ts";
import { textConfigKeys } from "../checkpoint/text-config.ts";
import { JetonError } from "../core/index.ts";
import {
  checkOptionNames,
  checkRequired,
  type OptionRule,
  pathRule,
} from "../core/option-rules.ts";
import {
  type DecoderConfig,
  decoderConfig,
  decoderNames,
  identifyCheckpoint,
  storedNames,
  withOwnNames,
} from "../model/index.ts";
import { copyTokenizer, loadTokenizer, type Tokenizer } from "../tokenizer/index.ts";
import type { VocabularyTables } from "./mixture.ts";
import { matchSpecialTokens } from "./special-tokens.ts";
import { readTokenForms, type TokenForms } from "./token-forms.ts";

/** The model that is moved, as a method sees it. */
export interface SourceModel {
  /** The checkpoint folder. */
  readonly folder: string;
  readonly config: DecoderConfig;
  readonly vocabulary: TokenForms;
  readonly tables: VocabularyTables;
  /** Digest of the model, as `identifyModel` gives it. Default: unknown. */
  readonly identity?: string;
}

/** Input of a method. */
export interface TransferTask {
  readonly source: SourceModel;
  readonly target: TokenForms;
  /** Source ids of the target's special tokens; their rows are copied, not predicted. */
  readonly specialTokens: ReadonlyMap<number, number>;
  /** Of everything random. */
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
  /** Called with a line of progress. */
  readonly progress: (stage: string, done?: number, total?: number) => void;
}

/** A way of finding the rows of a new vocabulary. */
export interface TransferMethod {
  /** Kebab-case, as the command line calls it. */
  readonly name: string;
  /** Tables of the target vocabulary, with a head exactly where the source has one of its own. */
  predict(task: TransferTask): VocabularyTables | Promise<VocabularyTables>;
}

/** Options that every transfer method takes. */
export interface PredictOptions {
  /** Default 0. */
  seed?: number;
  signal?: AbortSignal;
  onProgress?: (stage: string, done?: number, total?: number) => void;
}

/** Options of `transfer`. */
export interface TransferOptions extends PredictOptions {
  /** The folder to write; it must not hold a model yet. */
  out: string;
  /** How the new tables are stored. Default: as the old ones. */
  dtype?: "F32" | "F16" | "BF16";
}

const optionNames: Readonly<Record<keyof TransferOptions, true>> = {
  out: true,
  dtype: true,
  seed: true,
  signal: true,
  onProgress: true,
};

const methodRule: OptionRule = {
  test: (value) => typeof (value as Partial<TransferMethod> | null)?.name === "string",
  expected: "a method, e.g. meanOfSubtokens()",
};

/** A transferred model. */
export interface Transferred {
  /** An ordinary checkpoint folder. */
  readonly folder: string;
  readonly method: string;
  /** Rows of the tables before and after. */
  readonly oldVocabularySize: number;
  readonly newVocabularySize: number;
  /** Ordinary tokens of the new vocabulary that the old one has as well. */
  readonly sharedTokens: number;
  /** Special tokens whose rows were copied. */
  readonly specialTokens: number;
}

/**
 * Moves a model to another tokenizer and writes the result as a checkpoint folder, which runs, serves
 * and trains like any other. Everything but the vocabulary stays bit by bit as it is.
 *
 * @param model a checkpoint folder, or a name on the hub
 * @param newTokenizer a folder or file with a tokenizer
 *
 * @example
 * await transfer("models/jeton-nano", "tokenizers/german", meanOfSubtokens(), { out: "german" });
 *
 * @throws JetonError `transfer-option-invalid`, `transfer-target-exists`, `transfer-weights-overflow`,
 *   `transfer-dtype-unreadable`, and the errors of reading the
 *   model, reading the tokenizer and the method throw
 */
export async function transfer(
  model: string,
  newTokenizer: string,
  method: TransferMethod,
  options: TransferOptions,
): Promise<Transferred> {
  const code = "transfer-option-invalid";
  checkRequired({ model, newTokenizer }, { model: pathRule, newTokenizer: pathRule }, code);
  checkRequired({ method }, { method: methodRule }, code);
  checkOptionNames(options, Object.keys(optionNames), { what: "a transfer", invalidCode: code });
  checkRequired(options, { out: pathRule }, code);
  const { out, signal, onProgress } = options;
  if (existsSync(join(out, "config.json"))) {
    throw new JetonError(`${out} holds a model already; give another folder`, {
      code: "transfer-target-exists",
      details: { folder: out },
    });
  }
  const folder = await resolveModel(model, signal ? { signal } : {});
  await using checkpoint = await openCheckpoint(folder);
  const source = await readSource(checkpoint);
  const target = readTokenForms(await loadTokenizer(newTokenizer));
  const tables = await predictTables(source, target, method, options);
  signal?.throwIfAborted();
  onProgress?.("writing");
  await writeTransferred({ checkpoint, source, target, tables, newTokenizer, method, options });
  let sharedTokens = 0;
  for (const form of target.ids.keys()) if (source.vocabulary.ids.has(form)) sharedTokens++;
  return {
    folder: out,
    method: method.name,
    oldVocabularySize: source.config.vocabSize,
    newVocabularySize: target.size,
    sharedTokens,
    specialTokens: matchSpecialTokens(source.vocabulary.tokenizer, target.tokenizer).size,
  };
}

/**
 * Reads of a checkpoint what methods need: its vocabulary and the rows of it.
 *
 * @param tokenizer Default: that of the checkpoint's folder; the stored weights of a model in a browser have none
 */
export async function readSource(
  checkpoint: Checkpoint,
  tokenizer?: Tokenizer,
): Promise<SourceModel> {
  const config = decoderConfig(checkpoint.config);
  const vocabulary = readTokenForms(tokenizer ?? (await loadTokenizer(checkpoint.folder)));
  const identity = await identifyCheckpoint(checkpoint);
  const named = withOwnNames(checkpoint, config);
  const embedding = await named.readFloat32(decoderNames.embedding);
  const tables = config.tieWordEmbeddings
    ? { embedding }
    : { embedding, head: await named.readFloat32(decoderNames.head) };
  return { folder: checkpoint.folder, config, vocabulary, tables, identity };
}

/** Tables of a new vocabulary by a method; rows of special tokens are copied from their counterparts. */
export async function predictTables(
  source: SourceModel,
  target: TokenForms,
  method: TransferMethod,
  options: PredictOptions = {},
): Promise<VocabularyTables> {
  const { seed = 0, signal, onProgress = () => {} } = options;
  const specialTokens = matchSpecialTokens(source.vocabulary.tokenizer, target.tokenizer);
  const task = { source, target, specialTokens, seed, signal, progress: onProgress };
  const tables = await method.predict(task);
  const { hiddenSize } = source.config;
  const copySpecials = (from: Float32Array, to: Float32Array): void => {
    for (const [targetId, sourceId] of specialTokens) {
      to.set(
        from.subarray(sourceId * hiddenSize, (sourceId + 1) * hiddenSize),
        targetId * hiddenSize,
      );
    }
  };
  copySpecials(source.tables.embedding, tables.embedding);
  if (source.tables.head && tables.head) copySpecials(source.tables.head, tables.head);
  return tables;
}

interface WriteParts {
  readonly checkpoint: Checkpoint;
  readonly source: SourceModel;
  readonly target: TokenForms;
  readonly tables: VocabularyTables;
  readonly newTokenizer: string;
  readonly method: TransferMethod;
  readonly options: TransferOptions;
}

/** Writes the folder, `config.json` last: before that it is no model. */
async function writeTransferred(parts: WriteParts): Promise<void> {
  const { checkpoint, source, target, tables, newTokenizer, options } = parts;
  const { out } = options;
  await mkdir(out, { recursive: true });
  await writeShardedSafetensors(out, tensorsToWrite(checkpoint, target, tables, options));
  await copyTokenizer(newTokenizer, out);
  const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
  const ids = specialIds(checkpoint, source.vocabulary.tokenizer, target.tokenizer);
  const generation = Object.fromEntries(
    Object.entries(checkpoint.generationConfig ?? {}).filter(([key]) => !namesIds.test(key)),
  );
  await writeFileAtomically(join(out, "generation_config.json"), json({ ...generation, ...ids }));
  await writeFileAtomically(join(out, "README.md"), modelCard(parts));
  await writeFileAtomically(
    join(out, "config.json"),
    json(withVocabulary(checkpoint.config, { vocab_size: target.size, ...ids })),
  );
}

/** All tensors of the model; those of the body are read when they are due, as they are stored. */
function tensorsToWrite(
  checkpoint: Checkpoint,
  target: TokenForms,
  tables: VocabularyTables,
  options: TransferOptions,
): TensorToWrite[] {
  const own = storedNames(checkpoint.tensors.keys());
  const storedAs = (name: string): string => own?.get(name) ?? name;
  const replaced = new Map([[storedAs(decoderNames.embedding), tables.embedding]]);
  if (tables.head) replaced.set(storedAs(decoderNames.head), tables.head);
  // A tied model may store its head a second time: the old one must not go along.
  const left = tables.head ? undefined : storedAs(decoderNames.head);
  const tensors: TensorToWrite[] = [];
  for (const [name, { dtype: found, shape }] of checkpoint.tensors) {
    if (name === left) continue;
    const stored = writableDtype(name, found);
    const data = replaced.get(name);
    if (data === undefined) {
      tensors.push({
        name,
        dtype: stored,
        shape,
        data: async () => (await checkpoint.read(name)).data,
      });
      continue;
    }
    const dtype = options.dtype ?? stored;
    if (dtype === "F16") checkRange(name, data);
    tensors.push({ name, dtype, shape: [target.size, shape[1]!], data });
  }
  return tensors;
}

function writableDtype(name: string, dtype: string): Dtype {
  if (isReadableDtype(dtype)) return dtype;
  throw new JetonError(`"${name}" is stored as ${dtype}, which cannot be copied`, {
    code: "transfer-dtype-unreadable",
    details: { name, dtype },
  });
}

function checkRange(name: string, data: Float32Array): void {
  const tooLarge = data.find((value) => !(Math.abs(value) < 65520));
  if (tooLarge === undefined) return;
  throw new JetonError(`"${name}" holds ${tooLarge}, which F16 cannot: write BF16 or F32`, {
    code: "transfer-weights-overflow",
    details: { name, value: tooLarge },
  });
}

const namesIds: RegExp = /_token_ids?$|^bad_words_ids$|^(begin_)?suppress_tokens$/;

/** Fields with ids of special tokens, in the new vocabulary. */
function specialIds(
  checkpoint: Checkpoint,
  source: Tokenizer,
  target: Tokenizer,
): Record<string, number | number[]> {
  const { eosTokenIds } = decoderConfig(checkpoint.config);
  const ends = new Set<number>(target.eosTokenId === undefined ? [] : [target.eosTokenId]);
  for (const id of eosTokenIds) {
    const same = target.specialTokens.get(source.idToToken(id) ?? "");
    if (same !== undefined) ends.add(same);
  }
  const list = [...ends];
  return {
    ...(target.bosTokenId !== undefined && { bos_token_id: target.bosTokenId }),
    ...(list.length > 0 && { eos_token_id: list.length === 1 ? list[0]! : list }),
    ...(target.padTokenId !== undefined && { pad_token_id: target.padTokenId }),
  };
}

/** The configuration with other fields of the vocabulary, where they are: nested ones stay nested. */
function withVocabulary(config: ModelConfig, fields: Record<string, unknown>): ModelConfig {
  const isOld = (key: string): boolean => key === "vocab_size" || /_token_id$/.test(key);
  const kept = Object.fromEntries(Object.entries(config).filter(([key]) => !isOld(key)));
  for (const key of textConfigKeys) {
    const nested = config[key];
    if (!isJsonObject(nested)) continue;
    const inner = Object.fromEntries(Object.entries(nested).filter(([name]) => !isOld(name)));
    return { ...kept, ...fields, [key]: { ...inner, ...fields } } as ModelConfig;
  }
  return { ...kept, ...fields } as ModelConfig;
}

function modelCard({ source, target, method }: WriteParts): string {
  return [
    "# A transferred model",
    "",
    `The body of \`${basename(source.folder)}\` with another tokenizer: ${target.size} tokens in place of`,
    `${source.config.vocabSize}. The rows of the new vocabulary were found by the method`,
    `\`${method.name}\` of jeton. The licence of the original model holds.`,
    "",
  ].join("\n");
}
