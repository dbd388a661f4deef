/**
 * LiB, "less is better" (Yang, Frank and van den Bosch, 2020; Yang, 2024): learns from raw sentences
 * one vocabulary of subwords, words and expressions of several words, by two efforts at once: few
 * tokens in the text, few types in the memory. A memorizer adds joined chunks, a forgetter removes
 * what proves useless; a token's place in the lexicon is all that is remembered of its usefulness.
 *
 * The rules are those of the author's implementation of 2023. Characters are Unicode code points here,
 * spaces are characters like any other, and a sentence is what stands between two line breaks.
 */
import { createRandom, JetonError, type Random } from "../../core/index.ts";
import { characterAt } from "./choose-path.ts";
import { Lexicon, type Match } from "./lexicon.ts";

export interface LearnLexiconOptions {
  /** Chance to memorize the join of the two last chunks (the paper's α). Default 0.25. */
  joinRate?: number;
  /** Share of the lexicon's tail that is put on probation each step (ω). Default 0.0001. */
  probationRate?: number;
  /**
   * Steps that a token stays on probation (τ). Default 10. It must stay well below the steps of one
   * pass over the text, or the same sentences come back in time and nothing is ever forgotten.
   */
  probationSteps?: number;
  /** Share of its rank by which a token moves when it is rewarded or punished (Δ). Default 0.1. */
  moveRate?: number;
  /** Longest token in characters. Default unlimited. */
  maxTokenLength?: number;
  /** Whether a token must be seen in different contexts before it leaves probation. Default true. */
  inspectContext?: boolean;
  /**
   * Sentences that one step reads. Default 500, of a short text fewer, so that one pass over it takes
   * half as many steps again as probation lasts.
   */
  sentencesPerStep?: number;
  /** Steps. Sentences are read in order, again from the start after the last. Default 500. */
  steps?: number;
  seed?: number;
  onStep?: (step: { readonly step: number; readonly types: number }) => void;
  signal?: AbortSignal | undefined;
}

/** Context of a chunk when it was memorized. */
interface Context {
  readonly previous: string;
  readonly next: string;
}

/** A token that may still be forgotten. */
interface Probation {
  stepsLeft: number;
  /** Undefined where the token was put on probation for its rank. */
  readonly context: Context | undefined;
}

/** The comparison of a chunk with the shorter token that fits in its place. */
interface Evaluation {
  /** Where the alternative has come to. */
  end: number;
  /** Tokens on the way taken and on the other; -1 for characters without a token. */
  readonly taken: number[];
  readonly alternative: number[];
}

/**
 * Learns a lexicon, and returns its tokens from best to worst. Deterministic for a seed.
 *
 * @throws JetonError `tokenizer-training-option` for an impossible option, `tokenizer-training-text`
 *   when the sentences hold no character, `aborted`.
 */
export function learnLexicon(
  sentences: readonly string[],
  options: LearnLexiconOptions = {},
): string[] {
  checkOptions(options);
  const present = sentences.filter((sentence) => sentence !== "");
  if (present.length === 0) {
    throw new JetonError("there is no sentence to learn from", {
      code: "tokenizer-training-text",
      details: { sentences: sentences.length },
    });
  }
  const learner = new Learner(options);
  const { probationSteps = 10, steps = 500, onStep, signal } = options;
  const atMost = Math.max(1, Math.floor(present.length / (1.5 * probationSteps)));
  const { sentencesPerStep = Math.min(500, atMost) } = options;
  let next = 0;
  for (let step = 0; step < steps; step++) {
    if (signal?.aborted) {
      throw new JetonError("the training was stopped", { code: "aborted", cause: signal.reason });
    }
    const count = Math.min(sentencesPerStep, present.length);
    for (let i = 0; i < count; i++) {
      learner.read(present[next]!);
      next = (next + 1) % present.length;
    }
    learner.settle();
    onStep?.({ step: step + 1, types: learner.lexicon.size });
  }
  learner.dropProbation();
  const { lexicon } = learner;
  return Array.from({ length: lexicon.size }, (_, rank) => lexicon.tokens[lexicon.at(rank)]!);
}

class Learner {
  readonly lexicon: Lexicon = new Lexicon();
  readonly #probation: Map<number, Probation> = new Map();
  /** Tokens and directions: -1 rewards, 1 punishes. */
  readonly #rewards: (readonly [number, -1 | 1])[] = [];
  readonly #random: Random;
  readonly #joinRate: number;
  readonly #probationRate: number;
  readonly #probationSteps: number;
  readonly #moveRate: number;
  readonly #maxLength: number;
  readonly #inspectContext: boolean;
  readonly #found: Match = { chunk: -1, small: -1 };

  constructor(options: LearnLexiconOptions) {
    this.#random = createRandom(options.seed ?? 0, "lib");
    this.#joinRate = options.joinRate ?? 0.25;
    this.#probationRate = options.probationRate ?? 0.0001;
    this.#probationSteps = options.probationSteps ?? 10;
    this.#moveRate = options.moveRate ?? 0.1;
    this.#maxLength = options.maxTokenLength ?? Number.POSITIVE_INFINITY;
    this.#inspectContext = options.inspectContext ?? true;
  }

  /** Reads one sentence and learns from it. */
  read(sentence: string): void {
    const { lexicon } = this;
    const found = this.#found;
    const { tokens } = lexicon;
    /** The chunks so far. */
    const chunks: string[] = [];
    const pending = new Map<number, Evaluation>();
    for (let at = 0; at < sentence.length; ) {
      // 1. Comparisons that have come to an end are decided.
      this.#advance(sentence, at, pending);

      // 2. The longest token, and the second longest.
      lexicon.match(sentence, at, found);
      const { chunk, small } = found;
      for (const evaluation of pending.values()) evaluation.taken.push(chunk);
      const text = chunk < 0 ? characterOf(sentence, at) : tokens[chunk]!;
      const end = at + text.length;
      const previous = chunks.at(-1) ?? "";
      const beforePrevious = chunks.at(-2) ?? "";

      // 3. A token on probation is seen again.
      const probation = this.#probation.get(chunk);
      if (probation !== undefined) {
        const { context } = probation;
        if (!this.#inspectContext || context === undefined) {
          this.#probation.delete(chunk);
        } else {
          this.#compareContexts(chunk, context, sentence, end, previous, beforePrevious);
        }
      }

      // 4. New tokens are memorized: characters always, joins by chance.
      if (chunk < 0) {
        this.#memorize(text, { previous, next: this.#longestAt(sentence, end) });
      } else {
        if (small >= 0) {
          pending.set(chunk, {
            end: at + tokens[small]!.length,
            taken: [chunk],
            alternative: [small],
          });
        }
        if (this.#random.uniform() < this.#joinRate && previous !== "") {
          const next = this.#longestAt(sentence, end);
          this.#memorize(previous + text, { previous: beforePrevious, next });
        }
      }
      // 5. On to the next chunk.
      chunks.push(text);
      at = end;
    }
    this.#advance(sentence, sentence.length, pending);
  }

  /** Lets the alternatives catch up with the reading, and decides those that meet it. */
  #advance(sentence: string, at: number, pending: Map<number, Evaluation>): void {
    for (const [chunk, evaluation] of pending) {
      while (evaluation.end < at) {
        const number = this.#matchLongest(sentence, evaluation.end);
        evaluation.alternative.push(number);
        evaluation.end +=
          number < 0 ? characterAt(sentence, evaluation.end) : this.lexicon.tokens[number]!.length;
      }
      if (evaluation.end > at) continue;
      pending.delete(chunk);
      const { taken, alternative } = evaluation;
      const isShorter = alternative.length - taken.length;
      if (
        isShorter < 0 ||
        (isShorter === 0 && this.#sumRanks(alternative) < this.#sumRanks(taken))
      ) {
        this.#rewards.push([alternative[0]!, -1], [chunk, 1]);
      } else {
        this.#rewards.push([chunk, -1]);
      }
    }
  }

  #sumRanks(numbers: readonly number[]): number {
    let sum = 0;
    for (const number of numbers) if (number >= 0) sum += this.lexicon.rankOf(number);
    return sum;
  }

  /**
   * A token whose context was the same again was perhaps cut too short: the longer one is memorized.
   * If the context really was another one, the token is a unit, leaves probation and is rewarded.
   */
  #compareContexts(
    chunk: number,
    context: Context,
    sentence: string,
    end: number,
    previous: string,
    beforePrevious: string,
  ): void {
    const text = this.lexicon.tokens[chunk]!;
    const next = this.#longestAt(sentence, end);
    const isEmpty = (a: string, b: string): boolean => a === "" && b === "";
    if (isEmpty(previous, next) && isEmpty(context.previous, context.next)) return;
    const extendsLeft =
      (context.previous !== "" && previous.endsWith(context.previous)) ||
      (previous !== "" && context.previous.endsWith(previous));
    const extendsRight =
      (context.next !== "" && next.startsWith(context.next)) ||
      (next !== "" && context.next.startsWith(next));
    if (extendsLeft) this.#memorize(previous + text, { previous: beforePrevious, next });
    if (extendsRight) {
      const afterNext = this.#longestAt(sentence, end + next.length);
      this.#memorize(text + next, { previous, next: afterNext });
    }
    if (!extendsLeft && !extendsRight) {
      this.#rewards.push([chunk, -1]);
      this.#probation.delete(chunk);
    }
  }

  #memorize(token: string, context: Context): void {
    if (token === "" || this.lexicon.numberOf(token) >= 0) return;
    if (token.length > this.#maxLength && [...token].length > this.#maxLength) return;
    const number = this.lexicon.append(token);
    this.#probation.set(number, { stepsLeft: this.#probationSteps, context });
  }

  #matchLongest(sentence: string, at: number): number {
    this.lexicon.match(sentence, at, this.#found);
    return this.#found.chunk;
  }

  /** The longest token at a place, or the character there, or nothing at the end. */
  #longestAt(sentence: string, at: number): string {
    if (at >= sentence.length) return "";
    const number = this.#matchLongest(sentence, at);
    return number < 0 ? characterOf(sentence, at) : this.lexicon.tokens[number]!;
  }

  /** Ends a step: forgets, ranks anew, puts the tail on probation. */
  settle(): void {
    const { lexicon } = this;
    const probation = this.#probation;
    for (const [number, state] of probation) {
      if (--state.stepsLeft > 0) continue;
      probation.delete(number);
      lexicon.remove(number);
    }
    lexicon.settle();
    this.#applyRewards();
    const first = Math.floor((1 - this.#probationRate) * lexicon.size);
    for (let rank = first; rank < lexicon.size; rank++) {
      const number = lexicon.at(rank);
      if (probation.has(number)) continue;
      probation.set(number, { stepsLeft: this.#probationSteps, context: undefined });
    }
  }

  #applyRewards(): void {
    const { lexicon } = this;
    const moveRate = this.#moveRate;
    for (const [number, direction] of this.#rewards) {
      if (!lexicon.has(number)) continue;
      lexicon.move(number, (rank) => direction * (Math.floor(rank * moveRate) + 1));
      if (!lexicon.has(number)) this.#probation.delete(number);
    }
    this.#rewards.length = 0;
    lexicon.settle();
  }

  /** Removes the chunks that are still on probation at the end of training. */
  dropProbation(): void {
    for (const number of this.#probation.keys()) this.lexicon.remove(number);
    this.#probation.clear();
    this.lexicon.settle();
  }
}

function characterOf(text: string, at: number): string {
  return text.slice(at, at + characterAt(text, at));
}

function checkOptions(options: LearnLexiconOptions): void {
  const check = (name: keyof LearnLexiconOptions, minimum: number, maximum: number): void => {
    const value = options[name];
    if (value === undefined) return;
    if (typeof value === "number" && value >= minimum && value <= maximum) return;
    throw new JetonError(`${name} is ${String(value)}, expected ${minimum} to ${maximum}`, {
      code: "tokenizer-training-option",
      details: { option: name, value },
    });
  };
  check("joinRate", 0, 1);
  check("probationRate", 0, 1);
  check("moveRate", 0, 1);
  for (const name of ["probationSteps", "sentencesPerStep", "steps", "maxTokenLength"] as const) {
    check(name, 1, Number.MAX_SAFE_INTEGER);
  }
}
