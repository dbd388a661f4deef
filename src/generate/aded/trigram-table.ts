/**
 * ADED's approximation of the model: for every pair of tokens, weights of their successors.
 *
 * Weights start as relative frequencies of a corpus, or empty, and are raised for the model's own text; from
 * then on they are scores, not probabilities. Rows are in typed arrays behind a hash of the pair; beyond
 * `maxPairs` rows, the least recently used pairs are replaced (clock replacement).
 */
import { JetonError } from "../../core/index.ts";

export interface TrigramTableOptions {
  readonly vocabSize: number;
  /** Most pairs, about 150 bytes each. Default 131,072. */
  readonly maxPairs?: number;
  /** Number of heaviest successors that remain when a full row is cut. Default 12. */
  readonly successors?: number;
}

/** Capacity of a row beyond its `successors`. */
const spill = 4;
const firstRows = 1024;

/** Three tokens in a row. */
export type Triple = readonly [first: number, second: number, third: number];

/** Successors of pairs of tokens, heaviest first. */
export class TrigramTable {
  readonly vocabSize: number;
  readonly maxPairs: number;
  /** Most successors that a row may hold. */
  readonly width: number;
  readonly #successors: number;
  #rows = 0;
  /** Row + 1 by hash of its pair; 0 is empty. A power of two, at most half full. */
  #index: Int32Array;
  #first: Int32Array;
  #second: Int32Array;
  #counts: Uint8Array;
  /** 1 for rows that were used since the clock hand passed them. */
  #used: Uint8Array;
  #tokens: Int32Array;
  #weights: Float32Array;
  #hand = 0;

  /** @throws JetonError `trigram-table-invalid` */
  constructor(options: TrigramTableOptions) {
    const { vocabSize, maxPairs = 131_072, successors = 12 } = options;
    for (const [name, value, most] of [
      ["vocabSize", vocabSize, 2 ** 26],
      ["maxPairs", maxPairs, 2 ** 24],
      ["successors", successors, 200],
    ] as const) {
      if (Number.isInteger(value) && value >= 1 && value <= most) continue;
      throw new JetonError(`${name} is ${value}, expected an integer from 1 to ${most}`, {
        code: "trigram-table-invalid",
        details: { name, value, most },
      });
    }
    this.vocabSize = vocabSize;
    this.maxPairs = maxPairs;
    this.width = successors + spill;
    this.#successors = successors;
    const rows = Math.min(firstRows, maxPairs);
    this.#first = new Int32Array(rows);
    this.#second = new Int32Array(rows);
    this.#counts = new Uint8Array(rows);
    this.#used = new Uint8Array(rows);
    this.#tokens = new Int32Array(rows * this.width);
    this.#weights = new Float32Array(rows * this.width);
    this.#index = new Int32Array(indexSize(rows));
  }

  /** Number of pairs. */
  get pairs(): number {
    return this.#rows;
  }

  /** Bytes of all arrays. */
  get bytes(): number {
    return [
      this.#index,
      this.#first,
      this.#second,
      this.#counts,
      this.#used,
      this.#tokens,
      this.#weights,
    ].reduce((sum, array) => sum + array.byteLength, 0);
  }

  /** The row of a pair; -1 where it has none. Valid until the table changes. */
  row(first: number, second: number): number {
    const index = this.#index;
    const mask = index.length - 1;
    for (let at = hashPair(first, second) & mask; ; at = (at + 1) & mask) {
      const row = index[at]! - 1;
      if (row < 0) return -1;
      if (this.#first[row] === first && this.#second[row] === second) return row;
    }
  }

  /** Number of successors of a row. */
  count(row: number): number {
    return this.#counts[row]!;
  }

  /** A row's successor by rank, 0 the heaviest. */
  token(row: number, rank: number): number {
    return this.#tokens[row * this.width + rank]!;
  }

  /** Weight of a row's successor by rank. */
  weightAt(row: number, rank: number): number {
    return this.#weights[row * this.width + rank]!;
  }

  /** Sum of a row's weights. */
  total(row: number): number {
    let sum = 0;
    for (let rank = 0; rank < this.#counts[row]!; rank++) sum += this.weightAt(row, rank);
    return sum;
  }

  /** Weight of `third` after a pair; 0 where it is no successor. */
  weight(first: number, second: number, third: number): number {
    const row = this.row(first, second);
    const rank = row < 0 ? -1 : this.#rank(row, third);
    return rank < 0 ? 0 : this.weightAt(row, rank);
  }

  /** Adds to the weight of a triple, up to a maximum; new pairs and successors begin at 0. */
  raise([first, second, third]: Triple, amount: number, max: number): void {
    const { row, rank } = this.#ensure(first, second, third);
    const at = row * this.width + rank;
    // A weight from the corpus may exceed the maximum: it stays.
    const raised = Math.max(this.#weights[at]!, Math.min(max, this.#weights[at]! + amount));
    this.#setWeight(row, rank, raised);
  }

  /** Moves a pair's weights toward `third`: w <- (1 - rate) w, plus `rate` for `third`. */
  average([first, second, third]: Triple, rate: number): void {
    const { row, rank } = this.#ensure(first, second, third);
    const from = row * this.width;
    const alone = this.#counts[row] === 1;
    for (let other = 0; other < this.#counts[row]!; other++) {
      this.#weights[from + other]! *= 1 - rate;
    }
    // The only successor of a pair has the whole weight.
    this.#setWeight(row, rank, alone ? 1 : this.#weights[from + rank]! + rate);
  }

  /**
   * Replaces a pair's successors; the heaviest are kept.
   *
   * @param successors token and weight of each
   */
  set(first: number, second: number, successors: Iterable<readonly [number, number]>): void {
    const kept = [...successors]
      .sort((a, b) => b[1] - a[1] || a[0] - b[0])
      .slice(0, this.#successors);
    const row = this.#rowFor(first, second);
    this.#counts[row] = kept.length;
    for (const [rank, [token, weight]] of kept.entries()) {
      this.#tokens[row * this.width + rank] = token;
      this.#weights[row * this.width + rank] = weight;
    }
  }

  /** Removes all pairs. */
  clear(): void {
    this.#rows = 0;
    this.#hand = 0;
    this.#index.fill(0);
  }

  /** All rows as words: both tokens, the number of successors, then each token and its weight's bits. */
  save(): Int32Array {
    let words = 0;
    for (let row = 0; row < this.#rows; row++) words += 3 + 2 * this.#counts[row]!;
    const body = new Int32Array(words);
    const bits = new Int32Array(this.#weights.buffer);
    let at = 0;
    for (let row = 0; row < this.#rows; row++) {
      body[at++] = this.#first[row]!;
      body[at++] = this.#second[row]!;
      body[at++] = this.#counts[row]!;
      for (let rank = 0; rank < this.#counts[row]!; rank++) {
        body[at++] = this.#tokens[row * this.width + rank]!;
        body[at++] = bits[row * this.width + rank]!;
      }
    }
    return body;
  }

  /**
   * Replaces the contents by saved ones; of more than `maxPairs` pairs the last are kept. Nothing changes when
   * the words are rejected.
   *
   * @throws JetonError `trigram-table-damaged`
   */
  load(body: Int32Array): void {
    const starts = this.#checkedRows(body);
    const weights = new Float32Array(body.slice().buffer);
    this.clear();
    for (const start of starts.slice(-this.maxPairs)) {
      const row = this.#rowFor(body[start]!, body[start + 1]!);
      const count = Math.min(this.width, body[start + 2]!);
      this.#counts[row] = count;
      for (let rank = 0; rank < count; rank++) {
        this.#tokens[row * this.width + rank] = body[start + 3 + 2 * rank]!;
        this.#weights[row * this.width + rank] = weights[start + 4 + 2 * rank]!;
      }
    }
  }

  #checkedRows(body: Int32Array): number[] {
    const weights = new Float32Array(body.buffer, body.byteOffset, body.length);
    const isToken = (id: number | undefined): boolean =>
      id !== undefined && id >= 0 && id < this.vocabSize;
    const starts: number[] = [];
    const pairs = new Set<number>();
    for (let at = 0; at < body.length; ) {
      const count = body[at + 2] ?? 0;
      const end = at + 3 + 2 * count;
      const pair = body[at]! * this.vocabSize + (body[at + 1] ?? 0);
      let fits = count >= 1 && count <= 255 && end <= body.length && !pairs.has(pair);
      fits &&= isToken(body[at]) && isToken(body[at + 1]);
      for (let word = at + 3; fits && word < end; word += 2) {
        const weight = weights[word + 1]!;
        fits = isToken(body[word]) && weight >= 0 && weight < 1e6;
        fits &&= word === at + 3 || weight <= weights[word - 1]!;
      }
      if (!fits) {
        throw new JetonError(`the saved table holds no row at word ${at}`, {
          code: "trigram-table-damaged",
          details: { word: at, found: Array.from(body.subarray(at, at + 5)) },
        });
      }
      pairs.add(pair);
      starts.push(at);
      at = end;
    }
    return starts;
  }

  #rank(row: number, token: number): number {
    const from = row * this.width;
    for (let rank = 0; rank < this.#counts[row]!; rank++) {
      if (this.#tokens[from + rank] === token) return rank;
    }
    return -1;
  }

  /** Row and rank of a triple, made at weight 0 where it is new. */
  #ensure(first: number, second: number, third: number): { row: number; rank: number } {
    const row = this.#rowFor(first, second);
    this.#used[row] = 1;
    let rank = this.#rank(row, third);
    if (rank < 0) {
      // A row that overflows keeps its heaviest successors.
      if (this.#counts[row] === this.width) this.#counts[row] = this.#successors;
      rank = this.#counts[row]!;
      this.#counts[row] = rank + 1;
      this.#tokens[row * this.width + rank] = third;
      this.#weights[row * this.width + rank] = 0;
    }
    return { row, rank };
  }

  /** Sets a weight that did not become smaller, and moves the successor up to its rank. */
  #setWeight(row: number, rank: number, weight: number): void {
    const from = row * this.width;
    const token = this.#tokens[from + rank]!;
    let at = rank;
    for (; at > 0 && this.#weights[from + at - 1]! < weight; at--) {
      this.#weights[from + at] = this.#weights[from + at - 1]!;
      this.#tokens[from + at] = this.#tokens[from + at - 1]!;
    }
    this.#weights[from + at] = weight;
    this.#tokens[from + at] = token;
  }

  /** The row of a pair; a new pair gets an empty one. */
  #rowFor(first: number, second: number): number {
    const known = this.row(first, second);
    if (known >= 0) return known;
    if (this.#rows === this.#first.length && this.#rows < this.maxPairs) this.#grow();
    const row = this.#rows < this.#first.length ? this.#rows++ : this.#evict();
    this.#first[row] = first;
    this.#second[row] = second;
    this.#counts[row] = 0;
    this.#used[row] = 1;
    this.#enter(row);
    return row;
  }

  #enter(row: number): void {
    const mask = this.#index.length - 1;
    let at = hashPair(this.#first[row]!, this.#second[row]!) & mask;
    while (this.#index[at] !== 0) at = (at + 1) & mask;
    this.#index[at] = row + 1;
  }

  #grow(): void {
    const rows = Math.min(this.maxPairs, 2 * this.#rows);
    this.#first = grown(this.#first, rows);
    this.#second = grown(this.#second, rows);
    this.#counts = grown(this.#counts, rows);
    this.#used = grown(this.#used, rows);
    this.#tokens = grown(this.#tokens, rows * this.width);
    this.#weights = grown(this.#weights, rows * this.width);
    this.#index = new Int32Array(indexSize(rows));
    for (let row = 0; row < this.#rows; row++) this.#enter(row);
  }

  /** Frees the row of a pair that was not used since the clock hand last passed it. */
  #evict(): number {
    while (this.#used[this.#hand] === 1) {
      this.#used[this.#hand] = 0;
      this.#hand = (this.#hand + 1) % this.#rows;
    }
    const row = this.#hand;
    this.#hand = (row + 1) % this.#rows;
    this.#leave(row);
    return row;
  }

  /** Removes a row from the index and closes the gap in its run. */
  #leave(row: number): void {
    const index = this.#index;
    const mask = index.length - 1;
    const home = (held: number): number =>
      hashPair(this.#first[held - 1]!, this.#second[held - 1]!) & mask;
    let gap = home(row + 1);
    while (index[gap] !== row + 1) gap = (gap + 1) & mask;
    for (let at = (gap + 1) & mask; index[at] !== 0; at = (at + 1) & mask) {
      // An entry may move into the gap unless its home position lies after it.
      const distance = (at - home(index[at]!)) & mask;
      if (distance < ((at - gap) & mask)) continue;
      index[gap] = index[at]!;
      gap = at;
    }
    index[gap] = 0;
  }
}

/** Counts of triples: by pair (`first * vocabSize + second`), then by successor. */
export type TrigramCounts = ReadonlyMap<number, ReadonlyMap<number, number>>;

/** Counts all triples of documents of token ids; documents of fewer than three tokens have none. */
export function countTrigrams(
  documents: Iterable<readonly number[] | Int32Array>,
  vocabSize: number,
): TrigramCounts {
  const counts = new Map<number, Map<number, number>>();
  for (const ids of documents) {
    for (let at = 2; at < ids.length; at++) {
      const pair = ids[at - 2]! * vocabSize + ids[at - 1]!;
      let successors = counts.get(pair);
      if (!successors) {
        successors = new Map();
        counts.set(pair, successors);
      }
      successors.set(ids[at]!, (successors.get(ids[at]!) ?? 0) + 1);
    }
  }
  return counts;
}

/**
 * Fills a table from counts: weights are shares of their pair's count, computed before rows are cut to the
 * heaviest successors. Of too many pairs the most frequent are kept.
 */
export function fillTable(table: TrigramTable, counts: TrigramCounts): void {
  const pairs = Array.from(counts, ([pair, successors]) => {
    let total = 0;
    for (const count of successors.values()) total += count;
    return { pair, successors, total };
  });
  if (pairs.length > table.maxPairs) pairs.sort((a, b) => b.total - a.total);
  for (const { pair, successors, total } of pairs.slice(0, table.maxPairs)) {
    const second = pair % table.vocabSize;
    const first = (pair - second) / table.vocabSize;
    table.set(
      first,
      second,
      Array.from(successors, ([token, count]): [number, number] => [token, count / total]),
    );
  }
}

function hashPair(first: number, second: number): number {
  let hash = Math.imul(first, 0x9e3779b1) ^ Math.imul(second, 0x85ebca6b);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** A power of two, at least twice the number of rows. */
function indexSize(rows: number): number {
  return 2 ** Math.ceil(Math.log2(2 * rows));
}

function grown<T extends Int32Array | Uint8Array | Float32Array>(array: T, length: number): T {
  const larger = new (array.constructor as new (length: number) => T)(length);
  larger.set(array);
  return larger;
}
