/** Whether a smaller model can draft for a larger one. */
import { JetonError } from "../../core/index.ts";
import type { LoadedModel } from "../../model/index.ts";

/**
 * Checks that each id of the draft model is the same token in the model.
 *
 * @throws JetonError `draft-model-vocabulary`, naming the first token that differs
 */
export function checkDraftVocabulary(
  model: Pick<LoadedModel, "tokenizer" | "config" | "name">,
  draft: Pick<LoadedModel, "tokenizer" | "config" | "name">,
): void {
  const { vocabSize } = model.config;
  for (let id = 0; id < draft.config.vocabSize; id++) {
    const found = draft.tokenizer.idToToken(id);
    const expected = id < vocabSize ? model.tokenizer.idToToken(id) : undefined;
    if (id < vocabSize && found === expected) continue;
    throw new JetonError(
      `${draft.name} cannot draft for ${model.name}: token ${id} is ${JSON.stringify(found)} there, ` +
        `expected ${expected === undefined ? "no such token" : JSON.stringify(expected)}`,
      { code: "draft-model-vocabulary", details: { id, found, expected } },
    );
  }
}

/**
 * False where the draft model lacks an id of a text: a model may emit ids beyond the tokenizer's last token,
 * for which a draft model with a smaller embedding table has no row.
 */
export function canRead(draft: Pick<LoadedModel, "config">, ids: readonly number[]): boolean {
  return ids.every((id) => id < draft.config.vocabSize);
}
