/**
 * The inner loops of packing as WebAssembly with vectors of 16 bytes: the same code in Node and in a
 * browser, several times as fast as JavaScript, where rounding a number alone takes longer.
 *
 * Rows are widened to float32, padded with zeros to whole blocks, and turned into codes one by one.
 */

import { fit, packInt4 } from "./int4-kernels.ts";
import { packChannel, packInt8 } from "./int8-kernels.ts";
import { transpose } from "./transpose-kernel.ts";
import { assembleModule } from "./wasm-assembler.ts";
import { widenBF16, widenF16, widenF32 } from "./widen-kernels.ts";

/** The kernels over one memory; addresses and strides are bytes, sizes elements. */
export interface PackKernels {
  readonly memory: WebAssembly.Memory;
  /** Widens `count` bfloat16 numbers and writes zeros up to `padded`, a multiple of 8. */
  widenBF16(source: number, target: number, count: number, padded: number): void;
  widenF16(source: number, target: number, count: number, padded: number): void;
  widenF32(source: number, target: number, count: number, padded: number): void;
  /** Codes of a padded row in blocks of 4 bits, with a scale and a zero point each. */
  packInt4(row: number, blocks: number, codes: number, scales: number, zeros: number): void;
  /** Codes of a padded row in blocks of 8 bits, with a scale each. */
  packInt8(row: number, blocks: number, codes: number, scales: number): void;
  /** Codes of a row padded to 16, with one scale for all, which is returned. */
  packChannel(row: number, padded: number, codes: number): number;
  /**
   * Turns 16 · `groups` rows of bytes into columns. Where `groups` is 1 it may write up to 15 bytes
   * more behind a column than there are rows: columns are written in ascending order.
   */
  transpose(
    source: number,
    sourceStride: number,
    target: number,
    targetStride: number,
    columns: number,
    groups: number,
  ): void;
}

let compiled: Promise<WebAssembly.Module> | undefined;

/** Compiles the kernels (once for a thread) over a memory of their own. */
export async function createPackKernels(): Promise<PackKernels> {
  compiled ??= WebAssembly.compile(
    assembleModule(
      [fit, widenBF16, widenF16, widenF32, packInt4, packInt8, packChannel, transpose],
      2,
    ) as Uint8Array<ArrayBuffer>,
  );
  const memory = new WebAssembly.Memory({ initial: 16 });
  const { exports } = await WebAssembly.instantiate(await compiled, { env: { memory } });
  return { memory, ...(exports as unknown as Omit<PackKernels, "memory">) };
}
