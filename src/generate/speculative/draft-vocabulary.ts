/** Whether a smaller model can draft for a larger one. */
import { JetonError } from "../../core/index.ts";
import type { LoadedModel } from "../../model/index.ts";

/**
 * Checks that the draft's ids mean the same in the model: others would guess garbage.
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
 * False where a draft cannot read some of a text: models may have rows behind the tokenizer's last
 * token, and choose them, which a draft with fewer rows does not have.
 */
export function canRead(draft: Pick<LoadedModel, "config">, ids: readonly number[]): boolean {
  return ids.every((id) => id < draft.config.vocabSize);
}
