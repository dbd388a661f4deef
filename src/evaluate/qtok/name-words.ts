/**
 * What the first word of a character's Unicode name says: its script, something else, or that it has
 * no name at all.
 */
import { nameWordTable } from "./unicode-name-words.ts";

/** A word that names a script, `"other"`, or undefined for characters without a name. */
export type NameWord = string | undefined;

interface Ranges {
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly words: readonly string[];
}

let ranges: Ranges | undefined;

function readTable(): Ranges {
  const list: { start: number; end: number; word: string }[] = [];
  for (const line of nameWordTable.trim().split("\n")) {
    const [word, ...parts] = line.split(" ");
    for (const part of parts) {
      const [start, end = start] = part.split("-");
      list.push({
        start: Number.parseInt(start!, 16),
        end: Number.parseInt(end!, 16),
        word: word!,
      });
    }
  }
  list.sort((a, b) => a.start - b.start);
  return {
    starts: Int32Array.from(list, ({ start }) => start),
    ends: Int32Array.from(list, ({ end }) => end),
    words: list.map(({ word }) => word),
  };
}

/** The word for a code point. */
export function nameWordOf(codePoint: number): NameWord {
  ranges ??= readTable();
  const { starts, ends, words } = ranges;
  let low = 0;
  let high = starts.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (codePoint < starts[middle]!) high = middle - 1;
    else if (codePoint > ends[middle]!) low = middle + 1;
    else return words[middle];
  }
  return undefined;
}

/** The script that all characters of a text share, or undefined when there is none. */
export function commonScript(text: string): string | undefined {
  let script: string | undefined;
  for (const character of text) {
    const word = nameWordOf(character.codePointAt(0)!);
    if (word === undefined || word === "other" || (script !== undefined && word !== script)) {
      return undefined;
    }
    script = word;
  }
  return script;
}

/** Whether a text has a character without a name, such as a control character. */
export function hasNameless(text: string): boolean {
  for (const character of text)
    if (nameWordOf(character.codePointAt(0)!) === undefined) return true;
  return false;
}
