/** Scores answers by the codes in them: no second model judges, and prose around a code changes nothing. */
import { uuidLength } from "./haystack.ts";
import type { NeedleItem } from "./needle-item.ts";

/** What an answer is worth. */
export interface AnswerScore {
  /** Share of the values that were asked for and found, in [0, 1]. */
  readonly accuracy: number;
  /** Share of the answered codes that were asked for, in [0, 1]; 0 for an answer without codes. */
  readonly precision: number;
  /** All values and nothing else. */
  readonly isExact: boolean;
}

/** What the scorer needs of an item. */
export type ScoredItem = Pick<NeedleItem, "keys" | "values"> & {
  readonly settings: Pick<NeedleItem["settings"], "task">;
};

/** Codes of a text, in order, in lower case; they may hold a marker. */
export function findCodes(text: string, codeLength: number = uuidLength): string[] {
  const digit = "[0-9a-f*&]";
  const code =
    codeLength === uuidLength
      ? `${digit}{8}(?:-${digit}{4}){3}-${digit}{12}`
      : `(?=[a-z*&]*\\d)${digit}{${codeLength}}`;
  const found = text.matchAll(new RegExp(`(?<![0-9a-z*&])${code}(?![0-9a-z*&])`, "gi"));
  return [...found].map(([match]) => match.toLowerCase());
}

/**
 * Scores an answer. Keys that it repeats do not count as values. Of what is left, only the first codes count, as many as
 * were asked for: an answer that repeats the haystack finds nothing by that.
 */
export function scoreAnswer(
  answer: string,
  item: ScoredItem,
  codeLength: number = uuidLength,
): AnswerScore {
  const codes = answeredValues(answer, item, codeLength);
  const wanted = lowerCased(item.values);
  const found = codes.slice(0, wanted.size).filter((code) => wanted.has(code)).length;
  const right = codes.filter((code) => wanted.has(code)).length;
  return {
    accuracy: found / wanted.size,
    precision: codes.length === 0 ? 0 : right / codes.length,
    isExact: found === wanted.size && codes.length === wanted.size,
  };
}

/** Distinct codes of an answer that are no keys of the question. */
function answeredValues(answer: string, { keys }: ScoredItem, codeLength: number): string[] {
  const asked = lowerCased(keys);
  return [...new Set(findCodes(answer, codeLength))].filter(
    (code) => !asked.has(code) && !/[*&]/.test(code),
  );
}

/** True once more text cannot change the accuracy: as many codes as were asked for, and something after them. */
export function isAnswered(
  text: string,
  item: ScoredItem,
  codeLength: number = uuidLength,
): boolean {
  // A code at the end may still grow, and then be none.
  const settled = text.replace(/[0-9a-z*&-]+$/i, "");
  const codes = answeredValues(settled, item, codeLength);
  return codes.length >= lowerCased(item.values).size;
}

/** Codes are compared without regard to case. */
function lowerCased(codes: readonly string[]): Set<string> {
  return new Set(codes.map((code) => code.toLowerCase()));
}
