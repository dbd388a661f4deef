import { expect, test } from "vitest";
import { readRowsOf } from "../weights/repeated-tensor.ts";
import type { DecoderConfig } from "./config.ts";
import { decoderNames } from "./decoder-names.ts";
import { withStoredHead } from "./stored-names.ts";

const { head, embedding } = decoderNames;
const stored = { dtype: "F16", shape: [3, 2] };
const config = { tieWordEmbeddings: true } as DecoderConfig;

/** Whether the head stays tied, where it is stored with these bytes behind so many others. */
async function staysTied(bytes: readonly number[], offset: number): Promise<boolean> {
  const own = new Uint8Array(offset + bytes.length);
  own.set(bytes, offset);
  const tensors = new Map([
    [head, stored],
    [embedding, stored],
  ]);
  const views = new Map([
    [head, own.subarray(offset)],
    [embedding, Uint8Array.from({ length: 12 }, (_, at) => at)],
  ]);
  const read = readRowsOf({ tensors, bytes: views });
  return (await withStoredHead(config, tensors, read)).tieWordEmbeddings;
}

test.each([0, 2, 4])(
  "a head that repeats the embeddings stays tied, wherever its bytes begin: %d",
  async (offset) => {
    const same = Array.from({ length: 12 }, (_, at) => at);
    expect(await staysTied(same, offset)).toBe(true);
    expect(await staysTied(same.with(11, 0), offset)).toBe(false);
  },
);
