/** What models of words and their baselines are measured by: bits per byte, words right, noise. */
import { score } from "../../generate/index.ts";
import { ratioOfSums, type Sample } from "../../reproduce/index.ts";
import type { LoadedModel } from "../types.ts";
import { splitWords } from "./split-words.ts";

/** Nats and bytes of one text. */
export interface TextScore {
  readonly nats: number;
  readonly bytes: number;
}

/** Scores texts, each from its document's start. */
export async function scoreTexts(
  model: LoadedModel,
  texts: readonly string[],
  signal: AbortSignal,
): Promise<TextScore[]> {
  const scores: TextScore[] = [];
  for (const text of texts) {
    signal.throwIfAborted();
    const { logProbability, bytes } = await score(model, text);
    scores.push({ nats: -logProbability, bytes });
  }
  return scores;
}

/** Bits per byte of several texts together. */
export function bitsPerByte(scores: readonly TextScore[]): number {
  const nats = scores.reduce((sum, one) => sum + one.nats, 0);
  const bytes = scores.reduce((sum, one) => sum + one.bytes, 0);
  return nats / Math.LN2 / bytes;
}

/** Bits per byte of texts, all seeds together: scores by seed, then text. */
export function sampleBits(bySeed: readonly (readonly TextScore[])[]): Sample {
  return ratioOfSums(
    bySeed[0]!.map((_, text) => ({
      sum: bySeed.reduce((sum, scores) => sum + scores[text]!.nats / Math.LN2, 0),
      weight: bySeed.reduce((sum, scores) => sum + scores[text]!.bytes, 0),
    })),
  );
}

/** A word of a text and whether a model would have written it. */
export interface JudgedWord {
  readonly word: string;
  readonly isRight: boolean;
}

/**
 * Words (white space follows them) all of whose tokens are the most probable ones given the text before:
 * what greedy decoding would write. The first word, which nothing precedes, and the last are left out.
 *
 * @param contextTokens only so many tokens before each word are read. Default: all of the text.
 */
export async function judgeWords(
  model: LoadedModel,
  text: string,
  contextTokens?: number,
): Promise<JudgedWord[]> {
  const bytes = new TextEncoder().encode(text);
  const ends = [...splitWords(bytes, { rule: "whitespace" })];
  const decode = (from: number, to: number): string =>
    new TextDecoder().decode(bytes.subarray(from, to));
  const ids = [...model.tokenizer.encodeIds(text, { applyLimits: false })];
  const right = await judgeTokens(model, ids, contextTokens);
  // Last byte of each token, so that tokens can be assigned to the words that they reach into.
  const places = tokenEnds(model, ids, bytes.length);
  return ends.slice(1, -1).map((end, index) => {
    const start = ends[index]!;
    // Leading or trailing: the space between two words may belong to either one's tokens.
    const from = start - trailingSpace(bytes, start);
    const to = end - trailingSpace(bytes, end);
    const own = places.flatMap(({ start: first, end: last }, at) =>
      last > from && first < to && last > first ? [at] : [],
    );
    // Word ends between bytes of the word, and the one behind it, are part of writing it.
    const [first, last] = [own[0]!, own.at(-1)!];
    const behind = places[last + 1]?.start === places[last + 1]?.end ? 1 : 0;
    let isRight = true;
    for (let at = first; at <= last + behind; at++) isRight &&= right[at] ?? true;
    return { word: decode(from, to).trim(), isRight };
  });
}

/** White space before a place. */
function trailingSpace(bytes: Uint8Array, end: number): number {
  let count = 0;
  while (count < end && [0x20, 0x0a, 0x09, 0x0d].includes(bytes[end - 1 - count]!)) count++;
  return count;
}

/** Whether each token is the most probable one; undefined for the first. */
async function judgeTokens(
  model: LoadedModel,
  ids: readonly number[],
  contextTokens: number | undefined,
): Promise<(boolean | undefined)[]> {
  const right: (boolean | undefined)[] = [undefined];
  const window = contextTokens ?? ids.length;
  // Windows that overlap by half: every token has at least half of the context, as far as there is any.
  const stride = Math.max(1, contextTokens === undefined ? ids.length : Math.floor(window / 2));
  for (let start = 0; right.length < ids.length; start += stride) {
    const part = ids.slice(start, start + window);
    const sequence = await model.openSequence();
    const { topIds } = await sequence.step({ ids: part, results: "all", topK: 1 });
    await sequence.release();
    for (let at = 1; at < part.length; at++) {
      if (start + at >= right.length) right.push(topIds[at - 1] === part[at]);
    }
    if (start + window >= ids.length) break;
  }
  return right;
}

/** Bytes of the text that each token covers; special tokens cover none. */
function tokenEnds(
  model: LoadedModel,
  ids: readonly number[],
  length: number,
): { readonly start: number; readonly end: number }[] {
  const places: { start: number; end: number }[] = [];
  let start = 0;
  for (const id of ids) {
    const size = model.tokenizer.isSpecial(id) ? 0 : sizeOf(model, id);
    places.push({ start, end: start + size });
    start += size;
  }
  if (start !== length) throw new Error(`tokens cover ${start} of ${length} bytes`);
  return places;
}

/** Bytes of a token of a byte-level vocabulary: one for each character of its name. */
function sizeOf(model: LoadedModel, id: number): number {
  return [...(model.tokenizer.idToToken(id) ?? "")].length;
}

/** Counted byte bigrams, smoothed: what a model must beat. Bits per byte of each text. */
export function scoreByBigrams(training: string, texts: readonly string[]): TextScore[] {
  const counts = new Float64Array(256 * 256);
  const totals = new Float64Array(256);
  const bytes = new TextEncoder().encode(training);
  for (let at = 1; at < bytes.length; at++) {
    counts[bytes[at - 1]! * 256 + bytes[at]!]!++;
    totals[bytes[at - 1]!]!++;
  }
  return texts.map((text) => {
    const own = new TextEncoder().encode(text);
    let nats = 0;
    for (let at = 0; at < own.length; at++) {
      const before = at === 0 ? 0x0a : own[at - 1]!;
      const count = counts[before * 256 + own[at]!]!;
      nats -= Math.log((count + 0.1) / (totals[before]! + 25.6));
    }
    return { nats, bytes: own.length };
  });
}
