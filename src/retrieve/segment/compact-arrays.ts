/** Arrays of a segment in few bytes: numbers of seven bits a byte, the last byte of each below 128. */
import { grow } from "../../lexical/term-table.ts";
import type { InvertedFile } from "../tokens/inverted-file.ts";

/** Writes numbers one after the other. */
class NumberWriter {
  #bytes: Uint8Array = new Uint8Array(4096);
  #size = 0;

  write(value: number): void {
    if (this.#size + 8 > this.#bytes.length) this.#bytes = grow(this.#bytes);
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) {
      this.#bytes[this.#size++] = (rest % 128) | 128;
    }
    this.#bytes[this.#size++] = rest;
  }

  done(): Uint8Array {
    return this.#bytes.slice(0, this.#size);
  }
}

/** Reads numbers one after the other. */
function readNumbers(bytes: Uint8Array): () => number {
  let at = 0;
  return () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
}

/** Each span as its start's difference from the end before it in its record (zigzag), and its length. */
export function encodeSpans(spans: Uint32Array, offsets: Uint32Array): Uint8Array {
  const writer = new NumberWriter();
  for (let place = 0; place + 1 < offsets.length; place++) {
    let last = 0;
    for (let token = offsets[place]!; token < offsets[place + 1]!; token++) {
      const [start, end] = [spans[2 * token]!, spans[2 * token + 1]!];
      const step = start - last;
      writer.write(step < 0 ? -2 * step - 1 : 2 * step);
      writer.write(end - start);
      last = end;
    }
  }
  return writer.done();
}

/** The spans that `encodeSpans` wrote. */
export function decodeSpans(bytes: Uint8Array, offsets: Uint32Array): Uint32Array {
  const spans = new Uint32Array(2 * offsets.at(-1)!);
  const read = readNumbers(bytes);
  for (let place = 0; place + 1 < offsets.length; place++) {
    let last = 0;
    for (let token = offsets[place]!; token < offsets[place + 1]!; token++) {
      const step = read();
      spans[2 * token] = last + (step % 2 === 1 ? -(step + 1) / 2 : step / 2);
      spans[2 * token + 1] = spans[2 * token]! + read();
      last = spans[2 * token + 1]!;
    }
  }
  return spans;
}

/** Lists of documents with a frequency each. */
export interface DocumentLists {
  /** `[terms + 1]` */
  readonly offsets: Uint32Array;
  /** Ascending in each list. */
  readonly documents: Uint32Array;
  readonly frequencies: Uint32Array;
}

/** Each document as its difference from the one before it in its list, and its frequency. */
export function encodeLists({ offsets, documents, frequencies }: DocumentLists): Uint8Array {
  const writer = new NumberWriter();
  for (let term = 0; term + 1 < offsets.length; term++) {
    let last = 0;
    for (let at = offsets[term]!; at < offsets[term + 1]!; at++) {
      writer.write(documents[at]! - last);
      writer.write(frequencies[at]!);
      last = documents[at]!;
    }
  }
  return writer.done();
}

/** The lists that `encodeLists` wrote. */
export function decodeLists(
  bytes: Uint8Array,
  offsets: Uint32Array<ArrayBuffer>,
): Pick<DocumentLists, "documents" | "frequencies"> {
  const count = offsets.at(-1) ?? 0;
  const [documents, frequencies] = [new Uint32Array(count), new Uint32Array(count)];
  const read = readNumbers(bytes);
  for (let term = 0; term + 1 < offsets.length; term++) {
    let last = 0;
    for (let at = offsets[term]!; at < offsets[term + 1]!; at++) {
      last += read();
      documents[at] = last;
      frequencies[at] = read();
    }
  }
  return { documents, frequencies };
}

/** The cluster of each token by number, in two bytes where they suffice; `runsOf` gives the runs back. */
export function encodeClusters({
  starts,
  tokens,
}: Pick<InvertedFile, "starts" | "tokens">): Uint16Array | Uint32Array {
  const isShort = starts.length <= 2 ** 16;
  const clusters = isShort ? new Uint16Array(tokens.length) : new Uint32Array(tokens.length);
  for (let cluster = 0; cluster + 1 < starts.length; cluster++) {
    for (let at = starts[cluster]!; at < starts[cluster + 1]!; at++)
      clusters[tokens[at]!] = cluster;
  }
  return clusters;
}
