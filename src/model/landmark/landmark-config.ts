/** What makes a decoder one with landmark attention, and how its rows are counted. */
import { type Fields, given, invalid, positive } from "../decoder/config-fields.ts";

/** Landmark attention of a decoder: keys of `config.json` as the authors' LLaMA models have them. */
export interface LandmarkConfig {
  /** `mem_id`: id of the landmark token, which is never generated. */
  readonly id: number;
  /** `mem_freq`: normal tokens of a block; the landmark after them closes it. */
  readonly block: number;
  /** `train_context_length`: rows of a training window, landmarks among them. */
  readonly trainLength: number;
}

/**
 * Landmark attention of a configuration; undefined where it has none (neither `mem_id` nor `mem_freq`).
 *
 * @throws JetonError `model-config-invalid`
 */
export function landmarkConfig(fields: Fields, vocabSize: number): LandmarkConfig | undefined {
  if (!given(fields["mem_id"]) && !given(fields["mem_freq"])) return undefined;
  const block = positive(fields, "mem_freq", Number.isSafeInteger);
  const id = fields["mem_id"];
  if (typeof id !== "number" || !Number.isSafeInteger(id) || id < 0 || id >= vocabSize) {
    throw invalid("mem_id", id, `an id below the vocabulary of ${vocabSize}`);
  }
  const name = given(fields["train_context_length"])
    ? "train_context_length"
    : "max_position_embeddings";
  const trainLength = positive(fields, name, Number.isSafeInteger);
  const least = 2 * (block + 1);
  if (trainLength < least) throw invalid(name, trainLength, `at least two blocks, ${least} rows`);
  return { id, block, trainLength };
}

/** Rows of a block with its landmark. */
export function rowsOfBlock({ block }: Pick<LandmarkConfig, "block">): number {
  return block + 1;
}

/** Rows that the first `tokens` tokens of a text take, the landmarks of complete blocks among them. */
export function rowsOfTokens(tokens: number, block: number): number {
  return tokens + Math.floor(tokens / block);
}

/** Tokens among the first `rows` rows of a text. */
export function tokensOfRows(rows: number, block: number): number {
  return rows - Math.floor(rows / (block + 1));
}
