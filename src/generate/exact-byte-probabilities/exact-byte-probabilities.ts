/**
 * Exact byte probabilities of a model of tokens.
 *
 * P(x) of a byte string x is the sum of P(t) over its coverings t (the byte-token representation lemma),
 * so the next byte's probability is a quotient of two such sums. Both are kept up byte by byte.
 */
import { JetonError, nextTask } from "../../core/index.ts";
import type { Tokenizer } from "../../tokenizer/index.ts";
import type { TokenValidity } from "../../tokenizer/validity/validity.ts";
import { type BytePrefillOptions, byteOutcomes, endOutcome } from "../bytes/byte-distribution.ts";
import { OneCall } from "../bytes/one-call.ts";
import type { TokenRows } from "../bytes/token-rows.ts";
import { wholeCharacters } from "../bytes/utf8-places.ts";
import { encodePlain, type Tables, tablesOf } from "./byte-tables.ts";
import {
  addNextBytes,
  CoveringRules,
  type Coverings,
  commonBeginning,
  createSpelling,
  type Spelling,
  spellingsOf,
} from "./coverings.ts";
import type { Covering, ExactBytes, ExactBytesOptions } from "./exact-bytes.ts";
import { predictSpellings } from "./predict-spellings.ts";
import {
  isAhead,
  logProbability,
  missingRows,
  pathTo,
  probability,
  resolveLogProbability,
} from "./spelling-rows.ts";

/**
 * The exact byte distribution of a model of tokens.
 *
 * @param rows the model; closed with the distribution
 * @throws JetonError `byte-tokens-unsupported`
 */
export function createExactBytes(
  rows: TokenRows,
  tokenizer: Tokenizer,
  options: ExactBytesOptions = {},
): ExactBytes {
  return new ExactByteDistribution(rows, tokenizer, options);
}

/** Sequences whose tokens are told valid while the pass that they wait for runs: most passes need no more. */
const toldDuringPass = 2;

/** Most sequences of one forward pass over a text that is known. */
const maxExpected = 96;

class ExactByteDistribution implements ExactBytes {
  readonly name: string;
  passes = 0;
  readonly #calls: OneCall;
  readonly #rows: TokenRows;
  readonly #tokenizer: Tokenizer;
  readonly #options: Required<ExactBytesOptions>;
  readonly #tables: Tables;
  readonly #rules: CoveringRules;
  /** Tokens before the root, special ones included. */
  #before: readonly number[];
  #root: Spelling;
  #coverings: Coverings;
  /** Spellings whose tokens are masked although the mode is fast: those of the prompt. */
  #masked: ReadonlySet<Spelling> = new Set();
  /** Spellings that hold a row. */
  readonly #holding = new Set<Spelling>();
  #text: number[] = [];
  #isRead = false;
  /** Whether the text is empty although the coverings spell the space that the tokenizer puts before a text. */
  #isEmpty = false;

  constructor(rows: TokenRows, tokenizer: Tokenizer, options: ExactBytesOptions) {
    const {
      mode = "exact",
      text = "utf8",
      maxAhead = 10,
      minAhead = 0.05,
      minProbability = 0,
      whole = false,
    } = options;
    this.#options = { mode, text, maxAhead, minAhead, minProbability, whole };
    this.name = rows.name;
    this.#calls = new OneCall(rows.name);
    this.#rows = rows;
    this.#tokenizer = tokenizer;
    this.#tables = tablesOf(tokenizer, text);
    this.#rules = new CoveringRules(this.#tables.validity, this.#tables.trie);
    this.#before = rows.beginning;
    this.#root = createSpelling(this.#tables.validity.start);
    this.#coverings = { spellings: [this.#root], branches: [] };
  }

  get length(): number {
    return this.#text.length;
  }

  get remaining(): number {
    const deepest = this.#coverings.spellings.reduce((most, { depth }) => Math.max(most, depth), 0);
    return Math.max(0, this.#rows.contextLength - this.#before.length - deepest - 1);
  }

  get certainIds(): readonly number[] {
    return this.#before;
  }

  get validity(): TokenValidity {
    return this.#tables.validity;
  }

  prefill(bytes: Uint8Array, options: BytePrefillOptions = {}): Promise<void> {
    return this.#calls.run(() => this.#prefill(bytes, options));
  }

  logProbabilities(options: { readonly signal?: AbortSignal } = {}): Promise<Float64Array> {
    return this.#calls.run(() => this.#logProbabilities(options.signal));
  }

  expect(bytes: Uint8Array, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return this.#calls.run(() => this.#expect(bytes, options.signal));
  }

  coverings(): Promise<Covering[]> {
    return this.#calls.run(() => this.#listCoverings());
  }

  async #prefill(bytes: Uint8Array, options: BytePrefillOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    const { dummySpace } = this.#tables.validity.tokens;
    const hasSpace = bytes[0] === 0x20;
    const isDummy = dummySpace === "always" || (dummySpace === "unless-there" && !hasSpace);
    const text = isDummy ? Uint8Array.of(0x20, ...bytes) : bytes;
    const { validity } = this.#tables;
    const before = options.before ?? this.#rows.beginning;
    const { ids, length } = this.#options.whole
      ? { ids: [], length: 0 }
      : this.#certain(text, bytes);
    this.#release();
    this.#before = [...before, ...ids];
    this.#root = createSpelling(validity.start);
    this.#coverings = this.#rules.cover(this.#root, text, length, text.length);
    this.#text = Array.from(bytes);
    this.#isRead = true;
    this.#isEmpty = isDummy && bytes.length === 0;
    this.#checkPossible(this.#coverings, text.at(-1) ?? 0);
    const { branches } = this.#coverings;
    this.#masked = new Set(branches.map(({ spelling }) => spelling));
    const common = this.#common(this.#live());
    // What all coverings begin with cancels, unless whole probabilities are asked for.
    if (this.#options.whole) this.#root.logProbability = 0;
    else common.logProbability = 0;
  }

  async #logProbabilities(signal: AbortSignal | undefined): Promise<Float64Array> {
    await this.#begin(signal);
    await this.#evaluate(signal);
    const { trie, validity, firstBytes } = this.#tables;
    const { spellings, branches } = this.#coverings;
    let largest = Number.NEGATIVE_INFINITY;
    for (const { logProbability } of this.#live()) {
      largest = Math.max(largest, logProbability);
    }
    const sums = new Float64Array(byteOutcomes);
    addNextBytes(sums, branches, trie, largest);
    for (const spelling of spellings) {
      const scale = Math.exp(spelling.logProbability - largest);
      const weights = spelling.weights!;
      for (let at = 0; at < weights.length; at++) sums[firstBytes[at]!]! += scale * weights[at]!;
    }
    // No text has no tokens, not even those of a space.
    for (const spelling of this.#isEmpty ? [this.#root] : spellings) {
      if (this.#options.mode === "exact" && !validity.isWhole(spelling.state)) continue;
      const scale = Math.exp(spelling.logProbability - largest);
      for (const id of this.#rows.endIds)
        sums[endOutcome]! += scale * probability(spelling.row!, id);
    }
    return logarithms(sums);
  }

  advance(byte: number): Promise<void> {
    if (!Number.isInteger(byte) || byte < 0 || byte > 255) {
      throw new JetonError(`${byte} is no byte, expected an integer from 0 to 255`, {
        code: "byte-invalid",
        details: { byte },
      });
    }
    return this.#calls.run(() => this.#advance(byte));
  }

  async #expect(bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    await this.#begin(signal);
    const live = this.#live();
    const missing = missingRows(live);
    let coverings = this.#coverings;
    for (const byte of bytes) {
      if (missing.size >= maxExpected) break;
      coverings = this.#rules.advance(coverings, byte);
      for (const spelling of coverings.spellings) {
        if (spelling.row === undefined) missing.add(spelling);
      }
    }
    if (missing.size === 0) return;
    await this.#compute(this.#common([...live, ...missing]), [...missing], signal);
  }

  async #listCoverings(): Promise<Covering[]> {
    await this.#begin(undefined);
    await this.#evaluate(undefined);
    const { trie } = this.#tables;
    const { spellings, branches } = this.#coverings;
    const found: Covering[] = spellings.map((spelling) => ({
      ids: pathTo(spelling),
      logProbability: spelling.logProbability,
      rest: new Uint8Array(0),
    }));
    for (const { spelling, node } of branches) {
      const mayFollow = this.#maskOf(spelling);
      for (let at = trie.endOfExact(node); at < node.high; at++) {
        const id = trie.order[at]!;
        if (!mayFollow(id)) continue;
        found.push({
          ids: [...pathTo(spelling), id],
          logProbability: spelling.logProbability + logProbability(spelling.row!, id),
          rest: trie.bytesAt(at).slice(node.depth),
        });
      }
    }
    return found;
  }

  close(): Promise<void> {
    this.#calls.close();
    this.#release();
    return this.#rows.close();
  }

  /** Without `prefill` the text is empty. */
  async #begin(signal: AbortSignal | undefined): Promise<void> {
    if (!this.#isRead) await this.#prefill(new Uint8Array(0), signal ? { signal } : {});
  }

  async #advance(byte: number): Promise<void> {
    await this.#begin(undefined);
    // The rows that a fast step counts without masks are those of its own spellings.
    const next = this.#rules.advance(this.#coverings, byte);
    this.#checkPossible(next, byte);
    this.#coverings = next;
    this.#text.push(byte);
    this.#isEmpty = false;
  }

  /** Spellings whose rows the next byte depends on. */
  #live(): ReadonlySet<Spelling> {
    const live = spellingsOf(this.#coverings);
    return this.#isEmpty ? new Set([this.#root, ...live]) : live;
  }

  #checkPossible({ spellings, branches }: Coverings, byte: number): void {
    if (spellings.length > 0 || branches.length > 0) return;
    throw new JetonError(
      `no encoding of this tokenizer contains the byte 0x${byte.toString(16).padStart(2, "0")} at this place`,
      { code: "byte-impossible", details: { byte, length: this.#text.length } },
    );
  }

  /** Tokens of a text up to its last certain boundary, and their bytes. */
  #certain(text: Uint8Array, bytes: Uint8Array): { ids: number[]; length: number } {
    const whole = wholeCharacters(bytes);
    const source = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(0, whole));
    const ids = encodePlain(this.#tokenizer, source);
    const { validity } = this.#tables;
    const start = validity.certainStart(ids);
    if (start === undefined) return { ids: [], length: 0 };
    const kept = Array.from(ids.subarray(0, start));
    let length = 0;
    for (const id of kept) {
      const token = validity.bytesOf(id)!;
      // A text that is not what its tokens spell is followed from its beginning.
      if (token.some((byte, at) => text[length + at] !== byte)) return { ids: [], length: 0 };
      length += token.length;
    }
    return { ids: kept, length };
  }

  /** The spelling below which all of these lie. */
  #common(spellings: Iterable<Spelling>): Spelling {
    return commonBeginning(spellings) ?? this.#root;
  }

  /** Computes the rows that the current coverings read, in one forward pass where some are missing. */
  async #evaluate(signal: AbortSignal | undefined): Promise<void> {
    const live = this.#live();
    const missing = missingRows(live);
    if (missing.size > 0) {
      const { maxAhead, minAhead } = this.#options;
      const ahead = predictSpellings(this.#coverings, this.#rules, { maxAhead, minAhead });
      const base = this.#common([...live, ...missing]);
      await this.#compute(base, [...missing, ...ahead], signal);
    }
    for (const spelling of live) {
      resolveLogProbability(spelling);
      this.#weigh(spelling);
    }
    const depth = Math.min(...Array.from(live, (spelling) => spelling.depth));
    for (const spelling of this.#holding) {
      // A row that was computed ahead waits while the text can still reach its spelling.
      if (
        !live.has(spelling) &&
        !(spelling.weights === undefined && isAhead(spelling, live, depth))
      ) {
        this.#drop(spelling);
      }
    }
  }

  async #compute(
    base: Spelling,
    wanted: readonly Spelling[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const order: Spelling[] = [];
    const numbers = new Map<Spelling, number>([[base, -1]]);
    const add = (spelling: Spelling): number => {
      const known = numbers.get(spelling);
      if (known !== undefined) return known;
      add(spelling.parent!);
      const number = order.push(spelling) - 1;
      numbers.set(spelling, number);
      return number;
    };
    for (const spelling of wanted) add(spelling);
    const evaluating = this.#rows.evaluate(
      {
        base: [...this.#before, ...pathTo(base)],
        ids: order.map(({ id }) => id),
        parents: order.map(({ parent }) => numbers.get(parent!)!),
      },
      signal ? { signal } : {},
    );
    // Once the pass runs in its thread.
    await Promise.race([evaluating, nextTask()]);
    this.#tellValid(wanted.slice(0, toldDuringPass));
    const rows = await evaluating;
    this.passes++;
    for (const [at, spelling] of [base, ...order].entries()) {
      spelling.row ??= rows[at]!;
      this.#holding.add(spelling);
    }
  }

  /** Finds which tokens may follow, which does not depend on the model. */
  #tellValid(spellings: readonly Spelling[]): void {
    if (this.#options.minProbability > 0) return;
    for (const spelling of spellings) {
      if (this.#isMasked(spelling)) this.#tables.validity.mask(spelling.state);
    }
  }

  /** P(v | spelling) of every token in the order of the trie. */
  #weigh(spelling: Spelling): void {
    if (spelling.weights !== undefined) return;
    const { trie } = this.#tables;
    const { logits, logSumExp } = spelling.row!;
    const weights = new Float64Array(trie.order.length);
    const mayFollow = this.#isMasked(spelling) ? this.#maskOf(spelling) : undefined;
    for (let at = 0; at < weights.length; at++) {
      const id = trie.order[at]!;
      if (mayFollow === undefined || mayFollow(id)) weights[at] = Math.exp(logits[id]! - logSumExp);
    }
    spelling.weights = weights;
  }

  #isMasked(spelling: Spelling): boolean {
    return this.#options.mode === "exact" || this.#masked.has(spelling);
  }

  /** Which tokens may follow a spelling that has a row. */
  #maskOf({ state, row }: Spelling): (id: number) => boolean {
    const { validity } = this.#tables;
    const { minProbability } = this.#options;
    if (minProbability > 0) {
      const least = Math.log(minProbability) + row!.logSumExp;
      return (id) => row!.logits[id]! >= least && validity.mayFollow(state, id);
    }
    const mask = validity.mask(state);
    return (id) => mask[id] === 1;
  }

  /** Frees the row of a spelling that no covering goes on from. */
  #drop(spelling: Spelling): void {
    spelling.row = undefined;
    spelling.weights = undefined;
    this.#holding.delete(spelling);
  }

  #release(): void {
    for (const spelling of this.#holding) this.#drop(spelling);
  }
}

/** Natural logarithms of weights, normalized; the weights' array is reused. */
function logarithms(weights: Float64Array): Float64Array {
  let total = 0;
  for (const weight of weights) total += weight;
  if (total === 0) {
    throw new JetonError("every next byte has the probability 0 under this model", {
      code: "byte-no-outcome",
    });
  }
  const logTotal = Math.log(total);
  for (let at = 0; at < weights.length; at++) weights[at] = Math.log(weights[at]!) - logTotal;
  return weights;
}
