/** Prompts behind compressed texts: what a model reads, as the options of `generate`. */
import { JetonError } from "../../core/index.ts";
import type { Conversation, Prompt } from "../../generate/index.ts";
import { promptIds } from "../../generate/prompt.ts";
import { decoderNames } from "../../model/decoder/decoder-names.ts";
import { nameTensors } from "../../model/decoder/stored-names.ts";
import { identifyModel, type LoadedModel, openStored } from "../../model/index.ts";
import {
  type ContextTail,
  chooseFactor,
  contextRows,
  type PackedContext,
} from "./packed-context.ts";

/** Options of `promptWithContext`. */
export interface PromptWithContextOptions {
  /**
   * Tokens for each embedding. Default: the smallest factor with which everything fits, of those that the compressor was
   * trained for.
   */
  factor?: number;
  /** Places that stay free behind the prompt for what is generated. Default 256, at most half of the context. */
  maxTokens?: number;
  /** See `ContextTail`. Default `"embedding"`. */
  tail?: ContextTail;
}

/** A prompt behind compressed texts. */
export interface PromptWithContext {
  /** Every token of texts and prompt: for drafters, penalties and the streaming decoder. */
  readonly prompt: readonly number[];
  /** `[rows, hiddenSize]`, what the model reads. */
  readonly promptEmbeddings: Float32Array;
  readonly factor: number;
  /** Rows that stand for the compressed texts. */
  readonly contextRows: number;
}

/**
 * Puts a prompt behind compressed texts: `generate(model, given.prompt, { promptEmbeddings: given.promptEmbeddings })`. A
 * BOS token at the beginning of the prompt is left out: the texts are its beginning.
 *
 * @param packed texts in their order, compressed by one compressor
 *
 * @example
 * const packed = await readPackedContext("manual.packed");
 * const { prompt, promptEmbeddings } = await promptWithContext(model, [packed], "How is it cleaned?");
 * for await (const token of generate(model, prompt, { promptEmbeddings })) process.stdout.write(token.text);
 *
 * @throws JetonError `packed-context-model-differs`, `packed-contexts-disagree`, `packed-context-too-long`,
 *   `packed-context-empty`, `option-invalid`, and those of prompts of `generate`
 */
export async function promptWithContext(
  model: LoadedModel,
  packed: readonly PackedContext[],
  prompt: Prompt | Conversation,
  options: PromptWithContextOptions = {},
): Promise<PromptWithContext> {
  await checkContexts(model, packed);
  const { contextLength } = model;
  const { maxTokens = Math.min(256, contextLength >> 1), tail = "embedding" } = options;
  const ids = withoutBos(model, promptIds(model, prompt));
  const rows = contextLength - ids.length - maxTokens;
  const factor = options.factor ?? chooseFactor(packed, rows);
  const parts = packed.map((one) => contextRows(one, factor, tail));
  const table = await readEmbeddings(model, [...ids, ...parts.flatMap(({ raw }) => raw)]);
  const pieces = parts.flatMap(({ embeddings, raw }) => [
    embeddings,
    ...raw.map((id) => table.get(id)!),
  ]);
  const before = pieces.reduce((sum, { length }) => sum + length, 0);
  pieces.push(...ids.map((id) => table.get(id)!));
  const { hiddenSize } = model.config;
  return {
    prompt: [...packed.flatMap((one) => [...one.ids]), ...ids],
    promptEmbeddings: joinRows(pieces),
    factor,
    contextRows: before / hiddenSize,
  };
}

/** Checks that compressed texts were made for a model, and by one compressor. */
async function checkContexts(model: LoadedModel, packed: readonly PackedContext[]): Promise<void> {
  const [first] = packed;
  if (!first) {
    throw new JetonError("there is no compressed text to put a prompt behind", {
      code: "packed-context-empty",
      details: { contexts: 0 },
    });
  }
  const identity = await identifyModel(model);
  const { hiddenSize } = model.config;
  const other = packed.find((one) => one.model !== identity || one.width !== hiddenSize);
  if (other) {
    throw new JetonError(`a text was packed for another model than ${model.name}`, {
      code: "packed-context-model-differs",
      details: {
        model: model.name,
        found: { model: other.model, width: other.width },
        expected: { model: identity, width: hiddenSize },
      },
    });
  }
  const foreign = packed.find((one) => one.compressor !== first.compressor);
  if (!foreign) return;
  throw new JetonError("texts were packed by different compressors", {
    code: "packed-contexts-disagree",
    details: { found: packed.map(({ compressor }) => compressor), expected: "one compressor" },
  });
}

/** A BOS token would tell a model that everything before it is another document. */
function withoutBos({ bosTokenId }: LoadedModel, ids: readonly number[]): readonly number[] {
  return ids.length > 1 && ids[0] === bosTokenId ? ids.slice(1) : ids;
}

/** Rows of the model's embedding table. */
export async function readEmbeddings(
  model: Pick<LoadedModel, "folder" | "config" | "stored">,
  ids: readonly number[],
): Promise<ReadonlyMap<number, Float32Array>> {
  await using opened = await openStored(model);
  const checkpoint = nameTensors(opened, model.config);
  const rows = new Map<number, Float32Array>();
  for (const id of ids) {
    if (!rows.has(id)) rows.set(id, await checkpoint.readRows(decoderNames.embedding, id, 1));
  }
  return rows;
}

/** Rows one after the other. */
export function joinRows(pieces: readonly Float32Array[]): Float32Array {
  const joined = new Float32Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}
