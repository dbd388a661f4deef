/** Held-out prose for reproductions: passages whose last tokens are predicted, behind more or less text. */
import { readFile } from "node:fs/promises";
import { createRandom } from "../../core/index.ts";
import type { ContextPolicy, LoadedModel } from "../../model/index.ts";
import { gibbonParagraphs, heldOutChapters } from "../../reproduce/data/held-out-chapters.ts";
import type { ReproductionContext } from "../../reproduce/index.ts";
import { scoreBehind } from "../extensible-tokenization/score-behind.ts";

/** A passage whose last tokens are predicted. */
export interface Passage {
  /** Everything before those. */
  readonly before: readonly number[];
  readonly predicted: readonly number[];
}

/** Tokens that are predicted of each passage; the first of them is given. */
export const predictedTokens = 128;

/** Passages of chapters that no model was trained on; what is predicted of them does not overlap. */
export async function heldOutPassages(
  context: Pick<ReproductionContext, "data">,
  { tokenizer }: Pick<LoadedModel, "tokenizer">,
  { before, count }: { readonly before: number; readonly count: number },
): Promise<Passage[]> {
  const chapters: Passage[][] = [];
  for (const chapter of heldOutChapters) {
    const text = await readFile(await context.data(`text/gibbon/${chapter}.txt`), "utf8");
    const ids = [...tokenizer.encodeIds(gibbonParagraphs(text).join("\n"), { applyLimits: false })];
    const own: Passage[] = [];
    for (let end = before; end + predictedTokens <= ids.length; end += 512) {
      const predicted = ids.slice(end, end + predictedTokens);
      own.push({ before: ids.slice(end - before, end), predicted });
    }
    chapters.push(own);
  }
  const passages = chapters.flat();
  return createRandom(0, "passages").shuffle(passages).slice(0, count);
}

/** Nats for all predicted tokens but the first, behind tokens, under a context policy where one is given. */
export async function lossBehindTokens(
  model: LoadedModel,
  before: readonly number[],
  { predicted }: Passage,
  policy?: ContextPolicy,
): Promise<number> {
  const view = policy ? model.withContextPolicy!(policy) : model;
  const scores = await scoreBehind(view, { ids: before }, predicted);
  return scores.reduce((sum, value) => sum - value, 0);
}
