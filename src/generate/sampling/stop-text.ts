/**
 * Withholds text that may be the beginning of a stop string.
 */

/** Text that may go out, and whether a stop string was found. */
export interface StopTextResult {
  readonly text: string;
  readonly stopped: boolean;
}

export interface StopText {
  /** Takes the next piece of text. After a stop string nothing more comes out. */
  push(piece: string): StopTextResult;
  /** What was withheld, at the end of the text. */
  flush(): string;
}

export function createStopText(stops: readonly string[]): StopText {
  let held = "";
  return {
    push(piece) {
      held += piece;
      // The stop string that begins first wins; among those the order does not matter.
      const found = stops
        .map((stop) => held.indexOf(stop))
        .filter((at) => at >= 0)
        .reduce((least, at) => Math.min(least, at), Infinity);
      if (found !== Infinity) {
        const text = held.slice(0, found);
        held = "";
        return { text, stopped: true };
      }
      const keep = Math.max(0, ...stops.map((stop) => overlap(held, stop)));
      const text = held.slice(0, held.length - keep);
      held = held.slice(held.length - keep);
      return { text, stopped: false };
    },
    flush() {
      const text = held;
      held = "";
      return text;
    },
  };
}

/** Length of the longest end of `text` that begins `stop`. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
