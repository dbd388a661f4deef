/**
 * Hydra models: one body with the vocabularies of several languages. A Hydra reads text in any of
 * them, also mixed, and writes in the one whose head is chosen.
 *
 * The folder is an ordinary checkpoint of its first vocabulary; the tables of the others lie in the
 * same weights, their tokenizers in folders of their own. Any program can open it and sees the first.
 */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import {
  type Checkpoint,
  type Dtype,
  isJsonObject,
  openCheckpoint,
  type TensorToWrite,
  writeFileAtomically,
  writeShardedSafetensors,
} from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import { DecoderModel } from "../../model/decoder-model.ts";
import {
  type DecoderService,
  type DecoderStart,
  decoderConfig,
  decoderNames,
  fileBindings,
  type LoadedModel,
} from "../../model/index.ts";
import { startService } from "../../tensor/index.ts";
import { copyTokenizer, loadTokenizer, type Tokenizer } from "../../tokenizer/index.ts";

/** A vocabulary that a Hydra gets: a checkpoint folder, such as `transfer` writes. */
export interface HydraMember {
  /** Lower-case letters, digits and hyphens. */
  readonly name: string;
  readonly folder: string;
}

const ownTables: ReadonlySet<string> = new Set([decoderNames.embedding, decoderNames.head]);

/** Names of the tables of a vocabulary that is not the first. */
const tableNames = (name: string): { embedding: string; head: string } => ({
  embedding: `hydra.${name}.embed_tokens.weight`,
  head: `hydra.${name}.lm_head.weight`,
});

/**
 * Joins models that differ in nothing but their vocabulary.
 *
 * @throws JetonError `hydra-members-invalid`, `hydra-bodies-differ`, `transfer-target-exists`
 */
export async function writeHydra(out: string, members: readonly HydraMember[]): Promise<void> {
  checkMembers(members);
  if (existsSync(join(out, "config.json"))) {
    throw new JetonError(`${out} holds a model already; give another folder`, {
      code: "transfer-target-exists",
      details: { folder: out },
    });
  }
  const checkpoints: Checkpoint[] = [];
  try {
    for (const { folder } of members) checkpoints.push(await openCheckpoint(folder));
    const [first, ...others] = checkpoints as [Checkpoint, ...Checkpoint[]];
    for (const [place, other] of others.entries()) {
      await compareBodies(first, other, members[place + 1]!.name);
    }
    const tensors = [...first.tensors.keys()].map((name) => stored(first, name, name));
    for (const [place, other] of others.entries()) {
      const names = tableNames(members[place + 1]!.name);
      tensors.push(stored(other, decoderNames.embedding, names.embedding));
      if (!decoderConfig(other.config).tieWordEmbeddings) {
        tensors.push(stored(other, decoderNames.head, names.head));
      }
    }
    await mkdir(out, { recursive: true });
    await writeShardedSafetensors(out, tensors);
    await copyTokenizer(members[0]!.folder, out);
    for (const { name, folder } of members.slice(1)) {
      await copyTokenizer(folder, join(out, "hydra", name));
    }
    const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
    const generation = first.generationConfig ?? {};
    await writeFileAtomically(join(out, "generation_config.json"), json(generation));
    const hydra = { vocabularies: members.map(({ name }) => name) };
    await writeFileAtomically(join(out, "config.json"), json({ ...first.config, hydra }));
  } finally {
    await Promise.all(checkpoints.map((checkpoint) => checkpoint.close()));
  }
}

function checkMembers(members: readonly HydraMember[]): void {
  const names = members.map(({ name }) => name);
  const isValid =
    names.length >= 2 &&
    new Set(names).size === names.length &&
    names.every((name) => /^[a-z0-9]+(-[a-z0-9]+)*$/.test(name));
  if (isValid) return;
  throw new JetonError(
    `a Hydra joins at least two vocabularies with different names of lower-case letters, digits and hyphens, not ${names.join(", ")}`,
    { code: "hydra-members-invalid", details: { names } },
  );
}

function stored(checkpoint: Checkpoint, from: string, to: string): TensorToWrite {
  const { dtype, shape } = checkpoint.tensors.get(from)!;
  return {
    name: to,
    dtype: dtype as Dtype,
    shape,
    data: async () => (await checkpoint.read(from)).data,
  };
}

/** What a model is besides its weights and its vocabulary, field by field. */
function describeBody(checkpoint: Checkpoint): Map<string, unknown> {
  const body = new Map<string, unknown>(Object.entries(decoderConfig(checkpoint.config)));
  for (const field of ["vocabSize", "bosTokenId", "eosTokenIds"]) body.delete(field);
  return body;
}

async function compareBodies(first: Checkpoint, other: Checkpoint, name: string): Promise<void> {
  const [own, theirs] = [describeBody(first), describeBody(other)];
  for (const [field, expected] of own) {
    const found = theirs.get(field);
    if (JSON.stringify(found) === JSON.stringify(expected)) continue;
    throw new JetonError(
      `the body of "${name}" is another one: ${field} is ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`,
      { code: "hydra-bodies-differ", details: { name, field, found, expected } },
    );
  }
  const body = (checkpoint: Checkpoint): string[] =>
    [...checkpoint.tensors.keys()].filter((tensor) => !ownTables.has(tensor)).sort();
  const differ = (tensor: string): JetonError =>
    new JetonError(`the body of "${name}" is another one: "${tensor}" differs`, {
      code: "hydra-bodies-differ",
      details: { name, tensor },
    });
  const names = body(first);
  const odd = [...new Set([...names, ...body(other)])].find(
    (tensor) => !first.tensors.has(tensor) || !other.tensors.has(tensor),
  );
  if (odd !== undefined) throw differ(odd);
  for (const tensor of names) {
    const [a, b] = [await first.read(tensor), await other.read(tensor)];
    const isSame =
      a.dtype === b.dtype &&
      Buffer.compare(
        new Uint8Array(a.data.buffer, a.data.byteOffset, a.data.byteLength),
        new Uint8Array(b.data.buffer, b.data.byteOffset, b.data.byteLength),
      ) === 0;
    if (!isSame) throw differ(tensor);
  }
}

/** One vocabulary of an open Hydra. */
export interface HydraVocabulary {
  readonly name: string;
  readonly tokenizer: Tokenizer;
  /** What is added to the tokenizer's ids to get the model's. 0 for the vocabulary that is written. */
  readonly offset: number;
}

/** A Hydra with one of its heads on. */
export interface Hydra extends AsyncDisposable {
  /**
   * Generates and scores like any other model. Its tokenizer and its head are those of the chosen
   * vocabulary; its prompts may hold ids of all.
   */
  readonly model: LoadedModel;
  readonly vocabularies: ReadonlyMap<string, HydraVocabulary>;
  /**
   * The model's ids of a text in one of the vocabularies, without special tokens. Parts of a prompt may be
   * in different ones.
   *
   * @throws JetonError `hydra-vocabulary-unknown`
   */
  encode(vocabulary: string, text: string): number[];
  close(): Promise<void>;
}

/** Options of `openHydra`. */
export interface OpenHydraOptions {
  /** The vocabulary to write in. Default: the first. */
  head?: string;
  /** Default: the number of cores, at most 8. */
  threads?: number;
  /** Most sequences that may be open at once. Default 16. */
  slots?: number;
}

/**
 * Opens a Hydra. Weights are held as they are stored, in float32 arithmetic.
 *
 * @example
 * await using hydra = await openHydra("tatar-russian", { head: "tatar" });
 * const prompt = hydra.encode("russian", "Привет!");
 * for await (const { text } of generate(hydra.model, prompt)) process.stdout.write(text);
 *
 * @throws JetonError `hydra-not-found` for a checkpoint without several vocabularies,
 *   `hydra-vocabulary-unknown`, and the errors of opening a checkpoint
 */
export async function openHydra(folder: string, options: OpenHydraOptions = {}): Promise<Hydra> {
  const { threads = Math.min(8, availableParallelism()), slots = 16 } = options;
  await using checkpoint = await openCheckpoint(folder);
  const names = vocabulariesOf(checkpoint);
  const head = options.head ?? names[0]!;
  if (!names.includes(head)) throw unknownVocabulary(head, names);
  const { vocabularies, embedding, own } = await readVocabularies(checkpoint, names, head);
  const { tokenizer } = vocabularies.get(head)!;
  const { tieWordEmbeddings } = decoderConfig(checkpoint.config);
  const headRows = tieWordEmbeddings
    ? own
    : await checkpoint.readFloat32(tableNamesOf(head, names).head);
  const { start, rows } = describeStart(checkpoint, { tokenizer, embedding, headRows });
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const service = await startService<DecoderService>(
    new URL(`../../model/worker/decoder-service.${extension}`, import.meta.url).href,
    "createDecoderService",
    { ...start, threads, slots } satisfies DecoderStart,
  );
  const model = new DecoderModel({
    name: `${folder} (${head})`,
    folder: checkpoint.folder,
    checkpoint: { config: checkpoint.config, tensors: checkpoint.tensors, files: checkpoint.files },
    tokenizer,
    // Prompts may hold ids of all vocabularies; only those of the head are generated.
    config: { ...start.config, vocabSize: rows },
    format: "f32",
    threads,
    slots,
    contextLength: undefined,
    service,
    weightBytes: [...checkpoint.tensors.values()].reduce((sum, { length }) => sum + length, 0),
  });
  return {
    model,
    vocabularies,
    encode(name, text) {
      const vocabulary = vocabularies.get(name);
      if (!vocabulary) throw unknownVocabulary(name, names);
      const ids = vocabulary.tokenizer.encodeIds(text, {
        addSpecialTokens: false,
        applyLimits: false,
      });
      return Array.from(ids, (id) => id + vocabulary.offset);
    },
    close: () => model.close(),
    [Symbol.asyncDispose]: () => model.close(),
  };
}

function unknownVocabulary(name: string, names: readonly string[]): JetonError {
  return new JetonError(`the Hydra has no vocabulary "${name}", only ${names.join(", ")}`, {
    code: "hydra-vocabulary-unknown",
    details: { name, expected: names },
  });
}

/** Names of a vocabulary's tables in the weights. */
function tableNamesOf(name: string, names: readonly string[]): { embedding: string; head: string } {
  return name === names[0] ? decoderNames : tableNames(name);
}

/** The vocabularies, their embeddings as one table `[all tokens, hiddenSize]`, and the head's own part. */
async function readVocabularies(
  checkpoint: Checkpoint,
  names: readonly string[],
  head: string,
): Promise<{
  vocabularies: Map<string, HydraVocabulary>;
  embedding: Float32Array;
  own: Float32Array;
}> {
  const { hiddenSize } = decoderConfig(checkpoint.config);
  // The head's vocabulary comes first, so that its ids are the tokenizer's own.
  const order = [head, ...names.filter((name) => name !== head)];
  const tables = await Promise.all(
    order.map((name) => checkpoint.readFloat32(tableNamesOf(name, names).embedding)),
  );
  const embedding = new Float32Array(tables.reduce((sum, { length }) => sum + length, 0));
  const vocabularies = new Map<string, HydraVocabulary>();
  let at = 0;
  for (const [place, name] of order.entries()) {
    const home = name === names[0] ? checkpoint.folder : join(checkpoint.folder, "hydra", name);
    vocabularies.set(name, {
      name,
      tokenizer: await loadTokenizer(home),
      offset: at / hiddenSize,
    });
    embedding.set(tables[place]!, at);
    at += tables[place]!.length;
  }
  return { vocabularies, embedding, own: tables[0]! };
}

/** What the model worker is started with, and the rows of the joined embedding. */
function describeStart(
  checkpoint: Checkpoint,
  parts: { tokenizer: Tokenizer; embedding: Float32Array; headRows: Float32Array },
): { start: Omit<DecoderStart, "threads" | "slots">; rows: number } {
  const { tokenizer, embedding, headRows } = parts;
  const stored = decoderConfig(checkpoint.config);
  const { hiddenSize } = stored;
  const rows = embedding.length / hiddenSize;
  const vocabSize = headRows.length / hiddenSize;
  const config = {
    ...stored,
    vocabSize,
    tieWordEmbeddings: false,
    bosTokenId: tokenizer.bosTokenId,
    eosTokenIds: tokenizer.eosTokenId === undefined ? [] : [tokenizer.eosTokenId],
  };
  const start: Omit<DecoderStart, "threads" | "slots"> = {
    config,
    tensors: new Map([
      ...[...checkpoint.tensors].map(
        ([name, { dtype, shape }]) => [name, { dtype, shape }] as const,
      ),
      [decoderNames.embedding, { dtype: "F32", shape: [rows, hiddenSize] }],
      [decoderNames.head, { dtype: "F32", shape: [vocabSize, hiddenSize] }],
    ]),
    bindings: new Map([
      ...fileBindings(checkpoint.tensors),
      [decoderNames.embedding, { kind: "data", data: embedding }],
      [decoderNames.head, { kind: "data", data: headRows }],
    ]),
    format: "f32",
  };
  return { start, rows };
}

function vocabulariesOf(checkpoint: Checkpoint): string[] {
  const { hydra } = checkpoint.config;
  const list = isJsonObject(hydra) ? hydra["vocabularies"] : undefined;
  const names = Array.isArray(list)
    ? list.filter((name): name is string => typeof name === "string")
    : [];
  if (names.length >= 2) return names;
  throw new JetonError(`${checkpoint.folder} has one vocabulary; a Hydra has several`, {
    code: "hydra-not-found",
    details: { folder: checkpoint.folder, found: hydra },
  });
}
