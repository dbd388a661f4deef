/**
 * Text that remembers where each of its UTF-16 units came from in the source text, through any
 * number of normalizations.
 *
 * Changes are described as in the reference implementation, character by character: 0 replaces one
 * old character by one new one, a positive number inserts a character (it inherits the place of the
 * old character before it), a negative number -n replaces one and drops the n that follow.
 */

/** `starts[i]` and `ends[i]` bound the source text that unit `i` stands for, in UTF-16 units. */
export interface AlignedText {
  readonly text: string;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

/** New characters in order, each with its change. */
export interface Changes {
  readonly codePoints: number[];
  readonly changes: number[];
  /** Old characters that are dropped before the first new one. */
  dropped: number;
}

/** The source text itself: every character stands for itself, `base` being the place of the first. */
export function alignSource(text: string, base: number): AlignedText {
  const starts = new Int32Array(text.length);
  const ends = new Int32Array(text.length);
  for (let i = 0; i < text.length; i++) {
    if (isPairAt(text, i)) {
      starts[i] = starts[i + 1] = base + i;
      ends[i] = ends[i + 1] = base + i + 2;
      i++;
    } else {
      starts[i] = base + i;
      ends[i] = base + i + 1;
    }
  }
  return { text, starts, ends };
}

/** A part of an aligned text. */
export function sliceAligned(aligned: AlignedText, start: number, end: number): AlignedText {
  if (start === 0 && end === aligned.text.length) return aligned;
  return {
    text: aligned.text.slice(start, end),
    starts: aligned.starts.subarray(start, end),
    ends: aligned.ends.subarray(start, end),
  };
}

/** The text that `changes` describe, with every new character aligned. */
export function applyChanges(old: AlignedText, changes: Changes): AlignedText {
  const builder = new AlignedBuilder(old);
  let at = 0;
  for (let i = 0; i < changes.dropped; i++) at += characterLength(old.text, at);
  for (let i = 0; i < changes.codePoints.length; i++) {
    const change = changes.changes[i]!;
    if (change > 0) {
      builder.add(changes.codePoints[i]!, at - 1);
    } else {
      builder.add(changes.codePoints[i]!, at);
      for (let skip = change; skip <= 0; skip++) at += characterLength(old.text, at);
    }
  }
  return builder.build();
}

/** Builds an aligned text from characters and the old units that they inherit their place from. */
export class AlignedBuilder {
  readonly #old: AlignedText;
  readonly #pieces: string[] = [];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  constructor(old: AlignedText) {
    this.#old = old;
  }

  /** Adds a character with the place of unit `at` of the old text (-1: the place of its start). */
  add(codePoint: number, at: number): void {
    const { starts, ends } = this.#old;
    const start = at < 0 ? (starts[0] ?? 0) : (starts[at] ?? ends.at(-1) ?? 0);
    const end = at < 0 ? start : (ends[at] ?? start);
    this.#pieces.push(String.fromCodePoint(codePoint));
    this.#starts.push(start);
    this.#ends.push(end);
    if (codePoint > 0xffff) {
      this.#starts.push(start);
      this.#ends.push(end);
    }
  }

  /** Adds a character that stands for units [start, end) of the old text together. */
  addSpan(codePoint: number, start: number, end: number): void {
    this.add(codePoint, start);
    const last = this.#old.ends[end - 1] ?? this.#ends.at(-1)!;
    for (let i = this.#ends.length - (codePoint > 0xffff ? 2 : 1); i < this.#ends.length; i++) {
      this.#ends[i] = last;
    }
  }

  /** Copies units [start, end) of the old text as they are. */
  copy(start: number, end: number): void {
    if (start >= end) return;
    this.#pieces.push(this.#old.text.slice(start, end));
    for (let i = start; i < end; i++) {
      this.#starts.push(this.#old.starts[i]!);
      this.#ends.push(this.#old.ends[i]!);
    }
  }

  build(): AlignedText {
    return {
      text: this.#pieces.join(""),
      starts: Int32Array.from(this.#starts),
      ends: Int32Array.from(this.#ends),
    };
  }
}

/** Units of the character at `at`: 1 or 2, and 0 past the end. */
export function characterLength(text: string, at: number): number {
  if (at >= text.length) return 0;
  return isPairAt(text, at) ? 2 : 1;
}

function isPairAt(text: string, at: number): boolean {
  return (text.charCodeAt(at) & 0xfc00) === 0xd800 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00;
}
