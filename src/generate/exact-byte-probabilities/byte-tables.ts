/** What byte probabilities read of a tokenizer, made once for each. */
import type { Tokenizer } from "../../tokenizer/index.ts";
import { createTokenValidity } from "../../tokenizer/validity/token-validity.ts";
import type { TokenValidity } from "../../tokenizer/validity/validity.ts";
import { type ByteTrie, createByteTrie } from "../bytes/byte-trie.ts";

/** Ids of a text as ordinary text, without special tokens. */
export function encodePlain(tokenizer: Tokenizer, text: string): Int32Array {
  return tokenizer.encodeIds(text, {
    addSpecialTokens: false,
    applyLimits: false,
    allowedSpecial: "none",
  });
}

const tablesByTokenizer = new WeakMap<Tokenizer, Map<string, Tables>>();

/** What byte probabilities read of a tokenizer. */
export interface Tables {
  /** Which token sequences are beginnings of encodings. */
  readonly validity: TokenValidity;
  /** All ordinary tokens, also those that no encoding contains. */
  readonly trie: ByteTrie;
  /** First byte of each token in the order of the trie. */
  readonly firstBytes: Uint8Array;
}

/** Validity and trie of a tokenizer, made once. @throws JetonError `byte-tokens-unsupported` */
export function tablesOf(tokenizer: Tokenizer, text: "utf8" | "bytes"): Tables {
  let byText = tablesByTokenizer.get(tokenizer);
  if (byText === undefined) {
    byText = new Map();
    tablesByTokenizer.set(tokenizer, byText);
  }
  let tables = byText.get(text);
  if (tables === undefined) {
    const validity = createTokenValidity(tokenizer, { text });
    // Fast mode counts tokens that no encoding contains.
    const trie = createByteTrie(validity.tokens.bytesById);
    const firstBytes = Uint8Array.from(trie.order, (_, at) => trie.bytesAt(at)[0]!);
    tables = { validity, trie, firstBytes };
    byText.set(text, tables);
  }
  return tables;
}
