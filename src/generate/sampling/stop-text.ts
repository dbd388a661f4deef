/**
 * Stop strings: text that may be the beginning of one is withheld until it is not.
 */

/** Text that may go out, and whether a stop string was found. */
export interface StopTextResult {
  readonly text: string;
  readonly stopped: boolean;
}

/** Matches stop strings in a text that comes in pieces. */
export interface StopText {
  /**
   * Takes the next piece of text. After a stop string nothing more comes out.
   *
   * @param mayStop false: a stop string that is complete by now does not end the text. Default true
   */
  push(piece: string, mayStop?: boolean): StopTextResult;
  /** Takes the spelling of a special token: it may complete a stop string, and never comes out. */
  pushHidden(spelling: string, mayStop?: boolean): StopTextResult;
  /** Withheld text, at the end of the generation. */
  flush(): string;
}

/** Text in order, and which parts of it belong to the output. */
interface Part {
  readonly text: string;
  readonly isShown: boolean;
}

/** Makes a matcher of stop strings; an empty list never stops. */
export function createStopText(stops: readonly string[]): StopText {
  let held: Part[] = [];

  const take = (part: Part, mayStop: boolean): StopTextResult => {
    if (part.text !== "") held.push(part);
    const whole = held.map(({ text }) => text).join("");
    const found = mayStop ? firstStop(whole, stops) : Infinity;
    if (found !== Infinity) {
      const [before] = split(held, found);
      held = [];
      return { text: shown(before), stopped: true };
    }
    const keep = Math.max(0, ...stops.map((stop) => overlap(whole, stop)));
    const [out, rest] = split(held, whole.length - keep);
    held = rest;
    return { text: shown(out), stopped: false };
  };

  return {
    push: (piece, mayStop = true) => take({ text: piece, isShown: true }, mayStop),
    pushHidden: (spelling, mayStop = true) => take({ text: spelling, isShown: false }, mayStop),
    flush() {
      const text = shown(held);
      held = [];
      return text;
    },
  };
}

/** Where the first stop string begins; Infinity where the text holds none. */
function firstStop(text: string, stops: readonly string[]): number {
  return stops
    .map((stop) => text.indexOf(stop))
    .filter((at) => at >= 0)
    .reduce((least, at) => Math.min(least, at), Infinity);
}

/** The parts before and after a position of their joined text. */
function split(parts: readonly Part[], at: number): [Part[], Part[]] {
  const before: Part[] = [];
  const after: Part[] = [];
  let from = 0;
  for (const { text, isShown } of parts) {
    const cut = Math.min(text.length, Math.max(0, at - from));
    if (cut > 0) before.push({ text: text.slice(0, cut), isShown });
    if (cut < text.length) after.push({ text: text.slice(cut), isShown });
    from += text.length;
  }
  return [before, after];
}

function shown(parts: readonly Part[]): string {
  return parts.map(({ text, isShown }) => (isShown ? text : "")).join("");
}

/** Length of the longest end of `text` that begins `stop`. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
