/** A sequence of tokens (bytes and word ends) as words: which are complete, and which one is being written. */
import { documentId, wordEndId } from "./byte-vocabulary.ts";

/** Tokens of a step that the local decoder reads behind one predictive vector. */
export interface WordSegment {
  /** Bytes of the open word that this step adds. */
  readonly units: number[];
  /** Index of the word that closed before it, among all of the sequence; -1 for none yet. */
  readonly after: number;
  /** Whether it goes on with the word that was open before the step. */
  readonly isOpen: boolean;
}

/** A place whose next byte is asked for. */
export interface WordRow {
  /** Index of the segment. */
  readonly segment: number;
  /** Bytes of the segment up to and with this token; 0: behind the predictive vector alone. */
  readonly units: number;
}

/** What a step does to a sequence. */
export interface WordPlan {
  /** Bytes of the words that close, in order. */
  readonly closed: readonly (readonly number[])[];
  readonly segments: readonly WordSegment[];
  /** One for each token. */
  readonly rows: readonly WordRow[];
}

interface ClosedWord {
  /** Tokens of the sequence once it is closed. */
  readonly end: number;
  /** Token at which the next word's bytes begin. */
  readonly next: number;
}

/**
 * The words of one sequence. A sequence begins with a document's start, whether or not it is given; a
 * document's start is a word of its own and closes the one before it; a word of the most bytes closes when
 * another byte comes.
 */
export class WordSequence {
  readonly #maxWordBytes: number;
  readonly #ids: number[] = [];
  readonly #closed: ClosedWord[] = [];

  constructor(maxWordBytes: number) {
    this.#maxWordBytes = maxWordBytes;
  }

  /** Tokens so far. */
  get length(): number {
    return this.#ids.length;
  }

  /** Complete words, the document's start among them. */
  get words(): number {
    return this.#closed.length;
  }

  /** Bytes of the word that is being written. */
  get open(): readonly number[] {
    return this.#ids.slice(this.#closed.at(-1)?.next ?? 0);
  }

  /** Takes tokens and says what has to be computed. */
  push(ids: ArrayLike<number>): WordPlan {
    const closed: number[][] = [];
    const segments: WordSegment[] = [{ units: [], after: this.words - 1, isOpen: true }];
    const rows: WordRow[] = [];
    let open = [...this.open];
    const close = (word: number[], next: number, end: number): void => {
      closed.push(word);
      this.#closed.push({ end, next });
      segments.push({ units: [], after: this.words - 1, isOpen: false });
      open = [];
    };
    for (let index = 0; index < ids.length; index++) {
      const id = ids[index]!;
      const at = this.#ids.length;
      this.#ids.push(id);
      if (this.words === 0 && id !== documentId) close([documentId], at, at + 1);
      if (id === documentId) {
        if (open.length > 0) close(open, at, at + 1);
        close([documentId], at + 1, at + 1);
      } else if (id === wordEndId) {
        close(open, at + 1, at + 1);
      } else {
        if (open.length === this.#maxWordBytes) close(open, at, at + 1);
        open.push(id);
        segments.at(-1)!.units.push(id);
      }
      rows.push({ segment: segments.length - 1, units: segments.at(-1)!.units.length });
    }
    return { closed, segments, rows };
  }

  /** Forgets tokens from `length` on, and the words that closed with them. */
  truncate(length: number): void {
    if (length < this.#ids.length) this.#ids.length = length;
    while (this.#closed.length > 0 && this.#closed.at(-1)!.end > length) this.#closed.pop();
  }
}
