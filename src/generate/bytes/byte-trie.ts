/**
 * The byte strings of a vocabulary as a trie: which tokens begin with given bytes.
 *
 * Tokens lie in the order of their bytes, so that the tokens below a node are a range of that order:
 * a node is two numbers and a depth, and sums over it are loops over an array.
 */

/** A node: the tokens `order[low]` to `order[high - 1]`, which share their first `depth` bytes. */
export interface TrieNode {
  readonly low: number;
  readonly high: number;
  readonly depth: number;
}

/** Tokens in the order of their bytes. */
export interface ByteTrie {
  /** Token ids in the order of their bytes; equal byte strings in the order of their ids. */
  readonly order: Int32Array;
  /** Bytes of `order[at]`. */
  bytesAt(at: number): Uint8Array;
  /** Length of the longest token in bytes. */
  readonly longest: number;
  /** The node of all tokens. */
  readonly root: TrieNode;
  /** The tokens of a node that go on with a byte; undefined where there is none. */
  child(node: TrieNode, byte: number): TrieNode | undefined;
  /** The node of the tokens that begin with these bytes; undefined where there is none. */
  find(bytes: ArrayLike<number>, start?: number, end?: number): TrieNode | undefined;
  /** End of the tokens of a node that end at its depth; they come first, from `low` on. */
  endOfExact(node: TrieNode): number;
}

/**
 * Makes the trie of tokens, one for each id; ids without bytes are left out.
 *
 * @param bytesById bytes of each token by id
 */
export function createByteTrie(bytesById: readonly (Uint8Array | undefined)[]): ByteTrie {
  const ids: number[] = [];
  let longest = 0;
  for (const [id, bytes] of bytesById.entries()) {
    if (bytes === undefined || bytes.length === 0) continue;
    ids.push(id);
    longest = Math.max(longest, bytes.length);
  }
  ids.sort((a, b) => compareBytes(bytesById[a]!, bytesById[b]!) || a - b);
  const order = Int32Array.from(ids);
  const sorted = ids.map((id) => bytesById[id]!);
  const byteAt = (at: number, depth: number): number => sorted[at]![depth] ?? -1;
  /** First place in `[low, high)` whose byte at `depth` is at least `byte`. */
  const lowerBound = (low: number, high: number, depth: number, byte: number): number => {
    let from = low;
    let to = high;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (byteAt(middle, depth) < byte) from = middle + 1;
      else to = middle;
    }
    return from;
  };
  const child = ({ low, high, depth }: TrieNode, byte: number): TrieNode | undefined => {
    const from = lowerBound(low, high, depth, byte);
    if (from === high || byteAt(from, depth) !== byte) return undefined;
    return { low: from, high: lowerBound(from, high, depth, byte + 1), depth: depth + 1 };
  };
  const root: TrieNode = { low: 0, high: order.length, depth: 0 };
  return {
    order,
    longest,
    root,
    child,
    bytesAt: (at) => sorted[at]!,
    find(bytes, start = 0, end = bytes.length) {
      let node: TrieNode | undefined = root;
      for (let at = start; node !== undefined && at < end; at++) node = child(node, bytes[at]!);
      return node;
    },
    endOfExact: ({ low, high, depth }) => lowerBound(low, high, depth, 0),
  };
}

/** Order of byte strings: byte by byte, a beginning before what it begins. */
function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let at = 0; at < shared; at++) if (a[at] !== b[at]) return a[at]! - b[at]!;
  return a.length - b.length;
}
