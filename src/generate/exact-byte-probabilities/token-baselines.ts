/**
 * The next byte as it is read off tokens without coverings: what exact probabilities are compared with.
 */
import type { Tokenizer } from "../../tokenizer/index.ts";
import { byteOutcomes, endOutcome } from "../bytes/byte-distribution.ts";
import type { ByteTrie, TrieNode } from "../bytes/byte-trie.ts";
import type { TokenRow, TokenRows } from "../bytes/token-rows.ts";
import { encodePlain, tablesOf } from "./byte-tables.ts";
import { probability } from "./spelling-rows.ts";

/** Distributions of the next byte after a text, `[257]` natural logarithms each. */
export interface TokenBaselines {
  /** The first byte of the next token after the text's encoding (plain tokens). */
  readonly plain: Float64Array;
  /** The same with the last token taken back: the next one begins with its bytes (token healing). */
  readonly healed: Float64Array;
}

/** Computes the baselines for a text. */
export async function tokenBaselines(
  rows: TokenRows,
  tokenizer: Tokenizer,
  text: string,
): Promise<TokenBaselines> {
  const { trie, validity } = tablesOf(tokenizer, "utf8");
  const ids = [...encodePlain(tokenizer, text)];
  const whole = await lastRow(rows, [...rows.beginning, ...ids]);
  const plain = new Float64Array(byteOutcomes);
  addNextBytes(plain, { trie, row: whole, node: trie.root });
  for (const id of rows.endIds) plain[endOutcome]! += probability(whole, id);
  const last = ids.pop();
  const bytes = last === undefined ? undefined : validity.tokens.bytesById[last];
  if (last === undefined || bytes === undefined) {
    const same = logarithms(plain);
    return { plain: same, healed: same.slice() };
  }
  const before = await lastRow(rows, [...rows.beginning, ...ids]);
  const healed = new Float64Array(byteOutcomes);
  addNextBytes(healed, { trie, row: before, node: trie.find(bytes)! });
  const kept = probability(before, last);
  for (let outcome = 0; outcome < byteOutcomes; outcome++) {
    healed[outcome]! += kept * plain[outcome]!;
  }
  return { plain: logarithms(plain), healed: logarithms(healed) };
}

async function lastRow(rows: TokenRows, base: readonly number[]): Promise<TokenRow> {
  const [row] = await rows.evaluate({ base, ids: [], parents: [] });
  return row!;
}

/** Adds the weights of the tokens that go on after a node, by their next byte. */
function addNextBytes(
  weights: Float64Array,
  { trie, row, node }: { trie: ByteTrie; row: TokenRow; node: TrieNode },
): void {
  for (let at = trie.endOfExact(node); at < node.high; at++) {
    const byte = trie.bytesAt(at)[node.depth]!;
    weights[byte]! += probability(row, trie.order[at]!);
  }
}

function logarithms(weights: Float64Array): Float64Array {
  const total = Math.log(weights.reduce((sum, weight) => sum + weight, 0));
  return weights.map((weight) => Math.log(weight) - total);
}
