/** A baseline: the sentences of the prompt that BM25 ranks highest by the question's words, as many tokens as GemFilter keeps. */
import { createBm25Index } from "../../lexical/index.ts";
import type { ContextPolicy, LoadedModel } from "../../model/index.ts";
import { gemFilter } from "./gemfilter.ts";

/** A range of a prompt's tokens. */
interface Sentence {
  readonly start: number;
  readonly end: number;
}

/** Reads the question, BOS and the best sentences, `k` tokens in all, in the order of the text. */
export function bm25Prompt(k: number): ContextPolicy {
  return {
    ...gemFilter({ layer: 0, k }),
    name: "bm25-prompt",
    choosePrompt: ({ tokenizer }, ids) => Promise.resolve(chooseSentences(tokenizer, ids, k)),
  };
}

/**
 * Places of the kept tokens, ascending. The question is what follows the last full stop; of the last sentence that does
 * not fit as a whole the first tokens are kept.
 */
export function chooseSentences(
  tokenizer: Pick<LoadedModel["tokenizer"], "decode">,
  ids: readonly number[],
  k: number,
): number[] {
  const textOf = ({ start, end }: Sentence): string => tokenizer.decode(ids.slice(start, end));
  const sentences: Sentence[] = [];
  let start = 1;
  for (const [at, id] of ids.entries()) {
    if (at < start || !/\.\s*$/.test(tokenizer.decode([id]))) continue;
    sentences.push({ start, end: at + 1 });
    start = at + 1;
  }
  const kept = new Set<number>([0]);
  const keep = (sentence: Sentence): void => {
    for (let at = sentence.start; at < sentence.end && kept.size < k; at++) kept.add(at);
  };
  const question = { start, end: ids.length };
  keep(question);
  const index = createBm25Index({ ties: "position" });
  for (const [at, sentence] of sentences.entries()) index.add(String(at), textOf(sentence));
  for (const { id } of index.search(textOf(question), { k: Math.max(1, sentences.length) })) {
    keep(sentences[Number(id)]!);
  }
  return [...kept].sort((a, b) => a - b);
}
