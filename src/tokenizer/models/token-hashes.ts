import { byteOfUnit } from "../decoders/byte-alphabet.ts";

/** Bytes less one of the set of hashes: four million bits. */
const hashMask = (1 << 19) - 1;

function addToHash(hash: number, byte: number): number {
  const mixed = Math.imul(hash ^ byte, 0x5bd1e995);
  return mixed ^ (mixed >>> 15);
}

/** The set of the hashes of all tokens of the byte alphabet: rules out most words that are no token. */
export class TokenHashes {
  readonly #bits: Uint8Array = new Uint8Array(hashMask + 1);

  constructor(tokens: Iterable<string>) {
    for (const token of tokens) {
      let hash = 0;
      for (let i = 0; i < token.length; i++)
        hash = addToHash(hash, byteOfUnit(token.charCodeAt(i)));
      this.#bits[(hash >>> 3) & hashMask]! |= 1 << (hash & 7);
    }
  }

  /** False when the first `count` bytes are surely no token. */
  mayHave(bytes: Uint8Array, count: number): boolean {
    let hash = 0;
    for (let i = 0; i < count; i++) hash = addToHash(hash, bytes[i]!);
    return (this.#bits[(hash >>> 3) & hashMask]! & (1 << (hash & 7))) !== 0;
  }
}
