/** Predicts masked tokens of a text. */
import { JetonError } from "../../../core/index.ts";
import type { Tokenizer } from "../../../tokenizer/index.ts";
import type { LoadedEncoder } from "../types.ts";
import { checkTask } from "./check-task.ts";
import { encodeText } from "./embed.ts";

/** A token that a model expects in place of a mask. */
export interface FilledToken {
  readonly id: number;
  /** As it reads within the text. */
  readonly text: string;
  readonly probability: number;
}

/** Options of `fillMask`. */
export interface FillMaskOptions {
  /** Tokens for each mask. Default 5. */
  readonly topK?: number;
  /** What stands for the mask in the text. Default: the tokenizer's mask token, e.g. `[MASK]`. */
  readonly mask?: string;
  readonly signal?: AbortSignal;
}

/** The mask of a tokenizer. */
export function maskTokenOf(tokenizer: Tokenizer): { id: number; token: string } | undefined {
  const names = [tokenizer.settings.maskToken, "[MASK]", "<mask>"];
  for (const token of names) {
    const id = token === undefined ? undefined : tokenizer.tokenToId(token);
    if (id !== undefined) return { id, token: token! };
  }
  return undefined;
}

/**
 * The most probable tokens for each mask of a text, in the order of the masks.
 *
 * @example
 * const [first] = await fillMask(model, `The ${maskTokenOf(model.tokenizer)?.token} is dead.`);
 *
 * @throws JetonError `encoder-head-missing`, `encoder-mask-missing` (the text or the tokenizer has none),
 *   `encoder-option-invalid`
 */
export async function fillMask(
  model: LoadedEncoder,
  text: string,
  options: FillMaskOptions = {},
): Promise<FilledToken[][]> {
  checkTask("fillMask", model, [text], options);
  const { topK = 5, mask, signal } = options;
  const { tokenizer, config } = model;
  if (!(Number.isSafeInteger(topK) && topK > 0 && topK <= config.vocabSize)) {
    throw new JetonError(`topK is ${topK}, expected 1 to ${config.vocabSize}`, {
      code: "encoder-option-invalid",
      details: { option: "topK", found: topK },
    });
  }
  const own = maskTokenOf(tokenizer);
  if (!own) {
    throw new JetonError(`the tokenizer of ${model.name} has no mask token`, {
      code: "encoder-mask-missing",
      details: { model: model.name },
    });
  }
  const written = mask === undefined || mask === "" ? text : text.split(mask).join(own.token);
  const input = encodeText(model, written);
  const { ids } = input;
  const rows = Array.from(ids.keys()).filter((place) => ids[place] === own.id);
  if (rows.length === 0) {
    throw new JetonError(`the text has no ${mask ?? own.token} to fill`, {
      code: "encoder-mask-missing",
      details: { text, expected: mask ?? own.token },
    });
  }
  const results = await model.run({ ...input, outputs: ["masked"], rows }, { signal });
  const { data } = results.masked!;
  return rows.map((_, row) =>
    mostProbable(data.subarray(row * config.vocabSize, (row + 1) * config.vocabSize), topK).map(
      ({ id, probability }) => ({ id, probability, text: tokenizer.decode([id]) }),
    ),
  );
}

function mostProbable(
  logits: Float32Array,
  count: number,
): { readonly id: number; readonly probability: number }[] {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let total = 0;
  for (const logit of logits) total += Math.exp(logit - largest);
  const order = Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
  return order
    .slice(0, count)
    .map((id) => ({ id, probability: Math.exp(logits[id]! - largest) / total }));
}
