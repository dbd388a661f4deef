/**
 * A counting trie over streams of tokens, in typed arrays and within a budget of nodes.
 *
 * A path from the root is an n-gram of the streams; every position of a stream begins a branch, so a path's
 * count is the number of its occurrences. Siblings are kept most recent first. When the budget is used up the
 * trie is pruned: recent branches stay, older counts are halved, and older branches with count 0 are removed
 * (the Lookahead paper prunes by frequency and recency too, but deletes recent single branches).
 */
import { JetonError } from "../../core/index.ts";
import { type DrafterState, invalidState } from "../speculative/drafter-state.ts";

/** The root, parent of all first tokens; as a child it means "none". */
export const trieRoot = 0;

const maxCount = 2 ** 31 - 1;
const fewestNodes = 1024;

export interface TokenTrieOptions {
  /** Tokens that a branch has after its first one. */
  readonly branchLength: number;
  /** Most nodes; about 40 bytes each. */
  readonly capacity: number;
}

/** Arrays of a trie, indexed by node. */
interface Nodes {
  readonly tokens: Int32Array;
  readonly parents: Int32Array;
  readonly counts: Int32Array;
  /** Value of the clock at the node's last occurrence. */
  readonly stamps: Int32Array;
  readonly firstChildren: Int32Array;
  readonly nextSiblings: Int32Array;
  readonly previousSiblings: Int32Array;
  /** Open addressing from (parent, token) to a node; 0 is free. Twice as long as the others. */
  readonly places: Int32Array;
}

function allocateNodes(length: number): Nodes {
  return {
    tokens: new Int32Array(length),
    parents: new Int32Array(length),
    counts: new Int32Array(length),
    stamps: new Int32Array(length),
    firstChildren: new Int32Array(length),
    nextSiblings: new Int32Array(length),
    previousSiblings: new Int32Array(length),
    places: new Int32Array(2 * length),
  };
}

export class TokenTrie {
  readonly branchLength: number;
  readonly capacity: number;
  #nodes: Nodes;
  /** Nodes in use, including the root. */
  #size = 1;
  /** Tokens pushed by all streams. */
  #clock = 0;
  #generation = 0;

  /** @throws JetonError `drafter-option-invalid` */
  constructor({ branchLength, capacity }: TokenTrieOptions) {
    if (!(Number.isInteger(branchLength) && branchLength >= 1 && branchLength <= 256)) {
      throw invalidOption("branchLength", branchLength, "an integer from 1 to 256");
    }
    const least = 16 * (branchLength + 1);
    if (!(Number.isInteger(capacity) && capacity >= least && capacity <= 2 ** 26)) {
      throw invalidOption("capacity", capacity, `an integer from ${least} to 67,108,864`);
    }
    this.branchLength = branchLength;
    this.capacity = capacity;
    this.#nodes = allocateNodes(fewestNodes);
  }

  /** Nodes in use, without the root; at most `capacity`. */
  get size(): number {
    return this.#size - 1;
  }

  /** Bytes of all arrays. */
  get bytes(): number {
    return Object.values(this.#nodes).reduce((sum, array: Int32Array) => sum + array.byteLength, 0);
  }

  /** Changes when nodes are renumbered: node numbers kept from before are invalid then. */
  get generation(): number {
    return this.#generation;
  }

  /** The child of a node by its token, `trieRoot` where there is none. */
  child(node: number, token: number): number {
    const { places, tokens, parents } = this.#nodes;
    const mask = places.length - 1;
    for (let at = hash(node, token) & mask; ; at = (at + 1) & mask) {
      const found = places[at]!;
      if (found === 0 || (tokens[found] === token && parents[found] === node)) return found;
    }
  }

  /** The node of a path of tokens, `trieRoot` where there is none. */
  find(path: Iterable<number>): number {
    let node = trieRoot;
    for (const token of path) {
      node = this.child(node, token);
      if (node === trieRoot) break;
    }
    return node;
  }

  /** The most recent child, `trieRoot` where there is none. */
  firstChild(node: number): number {
    return this.#nodes.firstChildren[node]!;
  }

  /** The next less recent sibling, `trieRoot` where there is none. */
  nextSibling(node: number): number {
    return this.#nodes.nextSiblings[node]!;
  }

  token(node: number): number {
    return this.#nodes.tokens[node]!;
  }

  /** Occurrences of the path to a node, halved at each pruning. */
  count(node: number): number {
    return this.#nodes.counts[node]!;
  }

  /** Counts one more occurrence of a child, which is created where there is none. */
  pass(node: number, token: number): number {
    let child = this.child(node, token);
    if (child === trieRoot) {
      if (this.#size > this.capacity)
        throw new RangeError("the trie is full: tick() prunes it before each token");
      if (this.#size === this.#nodes.tokens.length) this.#resize(2 * this.#size);
      child = this.#append(node, token);
    } else {
      this.#unlink(child);
    }
    this.#linkFirst(node, child);
    const { counts, stamps } = this.#nodes;
    if (counts[child]! < maxCount) counts[child]!++;
    stamps[child] = this.#clock;
    return child;
  }

  /** Begins the next token of a stream: prunes where its nodes would not fit. */
  tick(): void {
    if (this.size + this.branchLength + 1 > this.capacity) this.prune();
    if (this.#clock === maxCount) this.#rebase();
    this.#clock++;
  }

  /** Prunes the trie to at most three quarters of its capacity, if it is larger. */
  prune(): void {
    const { capacity, branchLength } = this;
    // A token touches at most branchLength + 1 nodes, so the spared ones fit into a quarter of the capacity.
    const spared = Math.floor(capacity / (4 * (branchLength + 1)));
    const oldest = this.#clock - spared;
    while (this.size > 0.75 * capacity) {
      this.#rebuild((count, stamp) => (stamp > oldest ? count : count >> 1));
    }
  }

  clear(): void {
    this.#nodes = allocateNodes(fewestNodes);
    this.#size = 1;
    this.#clock = 0;
    this.#generation++;
  }

  /** The contents: token, depth, count and stamp of each node, parents before children. */
  save(): Pick<DrafterState, "fields" | "body"> {
    const { tokens, counts, stamps } = this.#nodes;
    const body = new Int32Array(4 * this.size);
    let at = 0;
    const write = (parent: number, depth: number): void => {
      for (let node = this.firstChild(parent); node; node = this.nextSibling(node)) {
        body[at] = tokens[node]!;
        body[at + 1] = depth;
        body[at + 2] = counts[node]!;
        body[at + 3] = stamps[node]!;
        at += 4;
        write(node, depth + 1);
      }
    };
    write(trieRoot, 1);
    return { fields: { branchLength: this.branchLength, clock: this.#clock }, body };
  }

  /**
   * Replaces the contents by saved ones, pruned to the capacity.
   *
   * @throws JetonError `drafter-state-invalid`; the trie is then as it was
   */
  load({ fields, body }: Pick<DrafterState, "fields" | "body">, vocabSize: number): void {
    const clock = fields["clock"]!;
    if (fields["branchLength"] !== this.branchLength) {
      throw invalidState("the branch length", fields["branchLength"], `${this.branchLength}`);
    }
    if (!(Number.isInteger(clock) && clock >= 0 && clock <= maxCount)) {
      throw invalidState("the clock", clock, "a count");
    }
    if (body.length % 4 !== 0) throw invalidState("the length", body.length, "fours");
    const size = body.length / 4 + 1;
    let length = fewestNodes;
    while (length < size) length *= 2;
    const old = { nodes: this.#nodes, size: this.#size, clock: this.#clock };
    this.#nodes = allocateNodes(length);
    this.#size = 1;
    this.#clock = clock;
    try {
      this.#read(body, vocabSize);
    } catch (error) {
      this.#nodes = old.nodes;
      this.#size = old.size;
      this.#clock = old.clock;
      throw error;
    }
    this.#generation++;
    if (this.size > this.capacity) this.prune();
  }

  #read(body: Int32Array, vocabSize: number): void {
    /** The last read node and its ancestors, by depth. */
    const path = [trieRoot];
    for (let at = 0; at < body.length; at += 4) {
      const token = body[at]!;
      const depth = body[at + 1]!;
      const count = body[at + 2]!;
      const stamp = body[at + 3]!;
      const deepest = Math.min(path.length, this.branchLength + 1);
      if (!(depth >= 1 && depth <= deepest)) {
        throw invalidState("a depth", depth, `1 to ${deepest}`);
      }
      const parent = path[depth - 1]!;
      if (!(token >= 0 && token < vocabSize)) {
        throw invalidState("a token", token, `below ${vocabSize}`);
      }
      if (this.child(parent, token) !== trieRoot) {
        throw invalidState("a child", token, "another than its siblings");
      }
      if (count < 1) throw invalidState("a count", count, "above 0");
      if (!(stamp >= 0 && stamp <= this.#clock)) {
        throw invalidState("a stamp", stamp, `0 to ${this.#clock}`);
      }
      const node = this.#append(parent, token);
      this.#nodes.counts[node] = count;
      this.#nodes.stamps[node] = stamp;
      this.#linkAfter(parent, path[depth] ?? trieRoot, node);
      path.length = depth;
      path.push(node);
    }
  }

  /** Copies the nodes with a new count of at least 1 into new arrays; siblings keep their order. */
  #rebuild(countOf: (count: number, stamp: number) => number): void {
    const old = this.#nodes;
    this.#nodes = allocateNodes(old.tokens.length);
    this.#size = 1;
    const copy = (from: number, to: number): void => {
      let last = trieRoot;
      for (let node = old.firstChildren[from]!; node; node = old.nextSiblings[node]!) {
        const count = countOf(old.counts[node]!, old.stamps[node]!);
        // Descendants have no larger count: they are removed with it.
        if (count === 0) continue;
        const copied = this.#append(to, old.tokens[node]!);
        this.#nodes.counts[copied] = count;
        this.#nodes.stamps[copied] = old.stamps[node]!;
        this.#linkAfter(to, last, copied);
        last = copied;
        copy(node, copied);
      }
    };
    copy(trieRoot, trieRoot);
    this.#generation++;
  }

  /** Sets the clock back by half; stamps keep their order, the oldest become equal. */
  #rebase(): void {
    const past = this.#clock >> 1;
    this.#clock -= past;
    const { stamps } = this.#nodes;
    for (let node = 1; node < this.#size; node++) stamps[node] = Math.max(0, stamps[node]! - past);
  }

  /** Creates a node in the hash table, not yet linked to siblings. */
  #append(parent: number, token: number): number {
    const node = this.#size++;
    const { tokens, parents } = this.#nodes;
    tokens[node] = token;
    parents[node] = parent;
    this.#place(node);
    return node;
  }

  #place(node: number): void {
    const { places, tokens, parents } = this.#nodes;
    const mask = places.length - 1;
    let at = hash(parents[node]!, tokens[node]!) & mask;
    while (places[at] !== 0) at = (at + 1) & mask;
    places[at] = node;
  }

  #resize(length: number): void {
    const old = this.#nodes;
    this.#nodes = allocateNodes(length);
    const { places: _, ...arrays } = old;
    for (const [name, array] of Object.entries(arrays) as [keyof Nodes, Int32Array][]) {
      this.#nodes[name].set(array);
    }
    for (let node = 1; node < this.#size; node++) this.#place(node);
  }

  #unlink(node: number): void {
    const { parents, firstChildren, nextSiblings, previousSiblings } = this.#nodes;
    const next = nextSiblings[node]!;
    const previous = previousSiblings[node]!;
    if (next) previousSiblings[next] = previous;
    if (previous) nextSiblings[previous] = next;
    else firstChildren[parents[node]!] = next;
  }

  #linkFirst(parent: number, node: number): void {
    const { firstChildren, nextSiblings, previousSiblings } = this.#nodes;
    const next = firstChildren[parent]!;
    nextSiblings[node] = next;
    previousSiblings[node] = 0;
    if (next) previousSiblings[next] = node;
    firstChildren[parent] = node;
  }

  /** Links a node after the last sibling; as the only child where there is none. */
  #linkAfter(parent: number, sibling: number, node: number): void {
    const { firstChildren, nextSiblings, previousSiblings } = this.#nodes;
    if (sibling) nextSiblings[sibling] = node;
    else firstChildren[parent] = node;
    previousSiblings[node] = sibling;
  }
}

/** Writes one stream of tokens into a trie: every position begins a branch, and all open branches grow. */
export class TrieWriter {
  readonly #trie: TokenTrie;
  /** Last nodes of the open branches, the longest first; the k-th from the end has k tokens. */
  #ends: number[] = [];
  /** The last tokens of the stream, one for each open branch. */
  readonly #recent: number[] = [];
  #generation: number;

  constructor(trie: TokenTrie) {
    this.#trie = trie;
    this.#generation = trie.generation;
  }

  push(token: number): void {
    const trie = this.#trie;
    trie.tick();
    if (trie.generation !== this.#generation) this.#findEnds();
    const ends: number[] = [];
    for (const end of this.#ends) ends.push(trie.pass(end, token));
    ends.push(trie.pass(trieRoot, token));
    this.#recent.push(token);
    // A branch has a first token and branchLength more.
    if (ends.length > trie.branchLength) {
      ends.shift();
      this.#recent.shift();
    }
    this.#ends = ends;
  }

  /** Finds the open branches again after a renumbering; removed ones are given up. */
  #findEnds(): void {
    const recent = this.#recent;
    let lost = 0;
    const ends: number[] = [];
    for (let first = 0; first < recent.length; first++) {
      const end = this.#trie.find(recent.slice(first));
      if (end === trieRoot) lost = first + 1;
      ends.push(end);
    }
    this.#ends = ends.slice(lost);
    recent.splice(0, lost);
    this.#generation = this.#trie.generation;
  }
}

function hash(parent: number, token: number): number {
  const mixed = Math.imul(parent, 0x9e3779b1) ^ Math.imul(token + 1, 0x85ebca6b);
  return Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d) >>> 4;
}

function invalidOption(name: string, value: unknown, expected: string): JetonError {
  return new JetonError(`${name} is ${value}, expected ${expected}`, {
    code: "drafter-option-invalid",
    details: { name, value, expected },
  });
}
