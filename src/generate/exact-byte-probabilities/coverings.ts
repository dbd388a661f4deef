/**
 * Coverings: the valid token sequences that spell a byte string and perhaps go beyond it.
 *
 * cover(x) of the paper is kept as *spellings*, sequences that spell x exactly, and *branches*: a
 * sequence that spells a beginning of x, with the range of the byte trie whose tokens go on as x does
 * and reach beyond. Sequences are nodes of one tree, so that a beginning is computed once.
 */
import type { TokenValidity, ValidState } from "../../tokenizer/validity/validity.ts";
import type { ByteTrie, TrieNode } from "../bytes/byte-trie.ts";
import type { TokenRow } from "../bytes/token-rows.ts";

/** A valid token sequence. */
export interface Spelling {
  readonly parent: Spelling | undefined;
  /** Its last token; -1 for the root. */
  readonly id: number;
  /** Tokens below the root. */
  readonly depth: number;
  readonly state: ValidState;
  readonly children: Map<number, Spelling>;
  /** ln P, up to a constant that all sequences share; NaN while it is not known. */
  logProbability: number;
  /** The model's row after the sequence; released when nothing reads it any more. */
  row: TokenRow | undefined;
  /** `[tokens of the trie]`: P(v | sequence) in the order of the trie, 0 for tokens that may not follow. */
  weights: Float64Array | undefined;
}

/** Tokens after a spelling of a beginning of the text that reach its end or go beyond. */
export interface Branch {
  readonly spelling: Spelling;
  /** Its depth is the number of bytes of the text that the tokens cover. */
  readonly node: TrieNode;
}

/** The coverings of one byte string. */
export interface Coverings {
  readonly spellings: readonly Spelling[];
  readonly branches: readonly Branch[];
}

/** The spellings of coverings and those that their branches go on from, each once. */
export function spellingsOf({ spellings, branches }: Coverings): ReadonlySet<Spelling> {
  return new Set([...spellings, ...branches.map(({ spelling }) => spelling)]);
}

/**
 * Adds the probabilities of the tokens of branches, divided by `exp(largest)`, to sums by the byte that they
 * put after the text. Spellings whose weights are not known add nothing.
 */
export function addNextBytes(
  sums: Float64Array,
  branches: readonly Branch[],
  trie: ByteTrie,
  largest: number,
): void {
  for (const { spelling, node } of branches) {
    const { weights, logProbability } = spelling;
    if (weights === undefined) continue;
    const scale = Math.exp(logProbability - largest);
    for (let at = trie.endOfExact(node); at < node.high; at++) {
      sums[trie.bytesAt(at)[node.depth]!]! += scale * weights[at]!;
    }
  }
}

export function createSpelling(state: ValidState, parent?: Spelling, id = -1): Spelling {
  const depth = parent === undefined ? 0 : parent.depth + 1;
  const children = new Map<number, Spelling>();
  const unknown = { row: undefined, weights: undefined };
  return { parent, id, depth, state, children, logProbability: Number.NaN, ...unknown };
}

/** Coverings of longer and longer byte strings under one tokenizer. */
export class CoveringRules {
  readonly validity: TokenValidity;
  readonly trie: ByteTrie;

  constructor(validity: TokenValidity, trie: ByteTrie) {
    this.validity = validity;
    this.trie = trie;
  }

  /** The coverings of the bytes `[start, end)` below a root that spells those before. */
  cover(root: Spelling, bytes: Uint8Array, start: number, end: number): Coverings {
    const spellingsAt = new Map<number, Spelling[]>([[start, [root]]]);
    const branches: Branch[] = [];
    for (let at = start; at < end; at++) {
      for (const spelling of spellingsAt.get(at) ?? []) {
        let node: TrieNode | undefined = this.trie.root;
        for (let to = at; node !== undefined && to < end; to++) {
          node = this.trie.child(node, bytes[to]!);
          if (node === undefined) break;
          const found = this.#exact(spelling, node);
          if (found.length === 0) continue;
          const known = spellingsAt.get(to + 1);
          if (known) known.push(...found);
          else spellingsAt.set(to + 1, found);
        }
        if (node !== undefined) this.#addBranch(branches, spelling, node);
      }
    }
    return { spellings: spellingsAt.get(end) ?? [], branches };
  }

  /** The coverings of the text with one more byte. */
  advance({ spellings, branches }: Coverings, byte: number): Coverings {
    const nextSpellings: Spelling[] = [];
    const nextBranches: Branch[] = [];
    const grow = (spelling: Spelling, from: TrieNode): void => {
      const node = this.trie.child(from, byte);
      if (node === undefined) return;
      nextSpellings.push(...this.#exact(spelling, node));
      this.#addBranch(nextBranches, spelling, node);
    };
    for (const { spelling, node } of branches) grow(spelling, node);
    for (const spelling of spellings) grow(spelling, this.trie.root);
    return { spellings: nextSpellings, branches: nextBranches };
  }

  /** Spellings with a token that ends exactly at a node. */
  #exact(spelling: Spelling, node: TrieNode): Spelling[] {
    const found: Spelling[] = [];
    const end = this.trie.endOfExact(node);
    for (let at = node.low; at < end; at++) {
      const id = this.trie.order[at]!;
      let next = spelling.children.get(id);
      if (next === undefined) {
        const state = this.validity.after(spelling.state, id);
        if (state === undefined) continue;
        next = createSpelling(state, spelling, id);
        spelling.children.set(id, next);
      }
      found.push(next);
    }
    return found;
  }

  #addBranch(branches: Branch[], spelling: Spelling, node: TrieNode): void {
    if (this.trie.endOfExact(node) < node.high) branches.push({ spelling, node });
  }
}

/** The longest sequence that all of these begin with; they have one root. */
export function commonBeginning(spellings: Iterable<Spelling>): Spelling | undefined {
  let common: Spelling | undefined;
  for (const spelling of spellings) {
    if (common === undefined) common = spelling;
    let other: Spelling = spelling;
    while (common.depth > other.depth) common = common.parent!;
    while (other.depth > common.depth) other = other.parent!;
    while (common !== other) {
      common = common.parent!;
      other = other.parent!;
    }
  }
  return common;
}
