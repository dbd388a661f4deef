/**
 * Which tensors of a checkpoint are the decoder's, under any prefix of their names.
 *
 * A language model saved by itself has `model.layers.0…` and `lm_head.weight`. Within a model of several
 * modalities the same tensors are `language_model.model.layers.0…` or `model.language_model.layers.0…`,
 * and a model saved without its head leaves the `model.` out.
 */
import type { Checkpoint } from "../../checkpoint/index.ts";
import { renameTensors } from "../weights/rename-tensors.ts";
import { isRepeated, type ReadStoredRows } from "../weights/repeated-tensor.ts";
import { type SplitEntry, splitExperts } from "../weights/split-experts.ts";
import type { StoredShape } from "../weights/trace-weights.ts";
import type { DecoderConfig } from "./config.ts";
import { decoderNames } from "./decoder-names.ts";

/**
 * The name under which each tensor of the decoder is stored, by the decoder's own name for it. Undefined
 * where the two are the same, or where it is not clear which table of embeddings is the decoder's.
 */
export function storedNames(stored: Iterable<string>): ReadonlyMap<string, string> | undefined {
  const names = [...stored];
  const table = decoderNames.embedding.slice(decoderNames.embedding.indexOf(".") + 1);
  const tables = names.filter((name) => name === table || name.endsWith(`.${table}`));
  if (tables.length !== 1 || tables[0] === decoderNames.embedding) return undefined;
  const prefix = tables[0]!.slice(0, -table.length);
  const { head } = decoderNames;
  const heads = names.filter((name) => name === head || name.endsWith(`.${head}`));
  const own = new Map<string, string>();
  for (const name of names) {
    if (heads.includes(name)) continue;
    if (name.startsWith(prefix)) own.set(`model.${name.slice(prefix.length)}`, name);
  }
  if (heads.length === 1) own.set(head, heads[0]!);
  return own;
}

/**
 * The configuration with a head of its own where one is stored that differs from the embeddings, though they are said to
 * be tied. One with the same numbers is not held twice.
 *
 * @param tensors by the decoder's own names
 */
export async function withStoredHead(
  config: DecoderConfig,
  tensors: ReadonlyMap<string, StoredShape>,
  read: ReadStoredRows,
): Promise<DecoderConfig> {
  const { head, embedding } = decoderNames;
  const isStored = tensors.has(head) && tensors.has(embedding);
  if (!config.tieWordEmbeddings || !isStored) return config;
  const repeats = await isRepeated(tensors, { name: head, of: embedding }, read);
  return repeats ? config : { ...config, tieWordEmbeddings: false };
}

/** A checkpoint whose stacked experts are parts of their own. */
export interface SplitCheckpoint extends Checkpoint {
  readonly tensors: ReadonlyMap<string, SplitEntry>;
}

/**
 * A checkpoint's tensors by the decoder's names for them; those of other parts are left out, and stacked
 * experts are split (only `tensors` knows their parts: the reading functions read stored tensors).
 */
export function nameTensors(checkpoint: Checkpoint, config: DecoderConfig): SplitCheckpoint {
  const own = storedNames(checkpoint.tensors.keys());
  const named = own ? renameTensors(checkpoint, own) : checkpoint;
  return { ...named, tensors: splitExperts(named.tensors, config) };
}
