/** The stored tensors of an encoder-decoder by the names of its programs, from a folder or from memory. */
import type { Checkpoint } from "../../checkpoint/index.ts";
import { checkShapes } from "../decoder-model.ts";
import { weightOf } from "../encoder/encoder-names.ts";
import { encoderStoredNames } from "../encoder/stored-names.ts";
import { type ReadStoredRows, withoutRepeated } from "../weights/repeated-tensor.ts";
import type { StoredShape } from "../weights/trace-weights.ts";
import { type Seq2SeqConfig, seq2seqConfig, withGenerationStart } from "./config.ts";
import { seq2seqNames } from "./decoder-names.ts";
import { seq2seqParameterShapes } from "./parameter-shapes.ts";

/** The configuration, and the stored name of each tensor by its own. */
export function describeSeq2Seq(
  { config: file, generationConfig }: Pick<Checkpoint, "config" | "generationConfig">,
  stored: Iterable<string>,
): { config: Seq2SeqConfig; names: ReadonlyMap<string, string> } {
  const config = withGenerationStart(seq2seqConfig(file), generationConfig);
  return { config, names: encoderStoredNames(config.encoder, stored) };
}

/**
 * Tensors without a head that repeats the table of embeddings, their shapes checked.
 *
 * @throws JetonError `model-weights-missing`, `model-weights-shape`
 */
export async function checkedTensors<T extends StoredShape>(
  config: Seq2SeqConfig,
  named: ReadonlyMap<string, T>,
  read: ReadStoredRows,
): Promise<ReadonlyMap<string, T>> {
  const head = { name: weightOf(seq2seqNames.head), of: weightOf(seq2seqNames.tokens) };
  const tensors = await withoutRepeated(named, head, read);
  // Without its own head, T5's table is none in its place where the configuration sets them apart.
  const isApart = !config.encoder.tieWordEmbeddings && !named.has(head.name);
  checkShapes(tensors, seq2seqParameterShapes(config, isApart || tensors.has(head.name)));
  return tensors;
}
