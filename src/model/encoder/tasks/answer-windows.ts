/** A question beside a text that may be longer than a model reads: in windows that overlap. */
import type { TextInput } from "../sentence/encode-text.ts";
import type { LoadedEncoder } from "../types.ts";
import { encodeText } from "./embed.ts";

/** A question and a part of the text. */
export interface AnswerWindow {
  readonly input: Omit<TextInput, "offsets" | "length">;
  /** `[start, end)` of each token in the text; `[0, 0]` for special tokens. The question's are its own. */
  readonly offsets: TextInput["offsets"];
  /** Places of the text's tokens. */
  readonly places: readonly number[];
}

/** Tokens that neighbouring windows share, at most: those of the published evaluation of SQuAD (Devlin et al., 2019). */
const sharedTokens = 128;

/**
 * One window where all of it fits, otherwise several, each with the whole question: neighbours share half of their text or
 * 128 tokens. A question that leaves less than one token is cut with the text, as other pairs are.
 */
export function answerWindows(
  model: LoadedEncoder,
  question: string,
  text: string,
): AnswerWindow[] {
  const first = encodeText(model, question).length;
  const whole = encodeText(model, question, { pair: text, uncut: true });
  const limit = Math.min(model.sentence.maxLength, model.contextLength);
  const places = textPlaces(whole, first);
  const [start = 0, end = 0] = [places[0], places.at(-1)! + 1];
  const capacity = limit - start - (whole.length - end);
  const fits = whole.length <= limit;
  if (fits || places.length === 0 || capacity < 1) {
    const read = fits ? whole : encodeText(model, question, { pair: text });
    const { offsets, length: _, ...input } = read;
    return [{ input, offsets, places: textPlaces(read, first) }];
  }
  const step = capacity - Math.min(sharedTokens, Math.floor(capacity / 2));
  const windows: AnswerWindow[] = [];
  for (let at = start; ; at += step) {
    const until = Math.min(at + capacity, end);
    windows.push(cutWindow(whole, { start, at, until, end }));
    if (until === end) return windows;
  }
}

/** Places of tokens of the text: those behind the question that are not special. */
function textPlaces({ ids, offsets }: Pick<TextInput, "ids" | "offsets">, from: number): number[] {
  return Array.from(ids.keys()).filter(
    (place) => place >= from && offsets[place]![1] > offsets[place]![0],
  );
}

/** What stands before the text, its tokens from `at` to `until`, and what stands behind the text. */
function cutWindow(
  { ids, types, offsets }: TextInput,
  { start, at, until, end }: Readonly<Record<"start" | "at" | "until" | "end", number>>,
): AnswerWindow {
  const kept = [...ids.keys()].filter(
    (place) => place < start || place >= end || (place >= at && place < until),
  );
  const own = {
    ids: Int32Array.from(kept, (place) => ids[place]!),
    offsets: kept.map((place) => offsets[place]!),
  };
  const input = { ids: own.ids, types: Int32Array.from(kept, (place) => types[place]!) };
  return { input, offsets: own.offsets, places: textPlaces(own, start) };
}
