/** A model with all its weights in memory, for what trains with it or trains it. */
import { openCheckpoint } from "../checkpoint/index.ts";
import { type DecoderConfig, decoderNames, readParameter, withOwnNames } from "../model/index.ts";
import { decoderParameterShapes, type ParameterValue } from "../train/index.ts";
import type { VocabularyTables } from "./mixture.ts";
import { readSource, type SourceModel } from "./transfer.ts";

/** A model with all its weights in memory. */
export interface ModelFiles {
  readonly source: SourceModel;
  readonly parameters: ReadonlyMap<string, ParameterValue>;
}

/** Reads a checkpoint folder whole. */
export async function readModelFiles(folder: string): Promise<ModelFiles> {
  await using checkpoint = await openCheckpoint(folder);
  const source = await readSource(checkpoint);
  const named = withOwnNames(checkpoint, source.config);
  const parameters = new Map<string, ParameterValue>();
  for (const [name, shape] of decoderParameterShapes(source.config)) {
    parameters.set(name, { shape, data: await readParameter(named, name, shape) });
  }
  return { source, parameters };
}

/** The model with other tables. */
export function withTables(
  model: ModelFiles,
  tables: VocabularyTables,
): { config: DecoderConfig; parameters: Map<string, ParameterValue> } {
  const { hiddenSize } = model.source.config;
  const vocabSize = tables.embedding.length / hiddenSize;
  const shape = [vocabSize, hiddenSize];
  const parameters = new Map(model.parameters);
  parameters.set(decoderNames.embedding, { shape, data: tables.embedding });
  if (tables.head) parameters.set(decoderNames.head, { shape, data: tables.head });
  return { config: { ...model.source.config, vocabSize }, parameters };
}
