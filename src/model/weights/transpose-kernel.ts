/** The kernel that turns rows of bytes into columns. */

import { advance } from "./vector-code.ts";
import {
  block,
  i32,
  leaveIf,
  load,
  op,
  repeatWhile,
  shuffle,
  store,
  type WasmFunction,
} from "./wasm-assembler.ts";

const lowBytes = Array.from({ length: 16 }, (_, i) => (i >> 1) + (i % 2 === 0 ? 0 : 16));

const highBytes = lowBytes.map((byte) => byte + 8);

/** Tiles of 16 by 16: rows i and i + 8 are interleaved, four times. */
export const transpose: WasmFunction = {
  name: "transpose",
  parameters: ["i32", "i32", "i32", "i32", "i32", "i32"],
  body: ([source, sourceStride, target, targetStride, columns, groups], local) => {
    const column = local("i32");
    const group = local("i32");
    const from = local("i32");
    const to = local("i32");
    const at = local("i32");
    let rows = Array.from({ length: 16 }, () => local("v128"));
    let other = Array.from({ length: 16 }, () => local("v128"));
    const tile: number[] = [...at.set(from.get)];
    for (const row of rows) {
      tile.push(...row.set(load.v128(at.get)), ...advance(at, sourceStride!.get));
    }
    for (let stage = 0; stage < 4; stage++) {
      for (let i = 0; i < 8; i++) {
        const [a, b] = [rows[i]!.get, rows[i + 8]!.get];
        tile.push(
          ...other[2 * i]!.set(shuffle(a, b, lowBytes)),
          ...other[2 * i + 1]!.set(shuffle(a, b, highBytes)),
        );
      }
      [rows, other] = [other, rows];
    }
    const stores: number[] = [...at.set(to.get)];
    for (const [i, row] of rows.entries()) {
      stores.push(
        ...leaveIf(op("i32.ge_u", op("i32.add", column.get, i32(i)), columns!.get)),
        ...store.v128(at.get, row.get),
        ...advance(at, targetStride!.get),
      );
    }
    return repeatWhile(
      op("i32.lt_u", column.get, columns!.get),
      from.set(op("i32.add", source!.get, column.get)),
      to.set(op("i32.add", target!.get, op("i32.mul", column.get, targetStride!.get))),
      group.set(i32(0)),
      repeatWhile(
        op("i32.lt_u", group.get, groups!.get),
        tile,
        block(stores),
        from.set(op("i32.add", from.get, op("i32.shl", sourceStride!.get, i32(4)))),
        advance(to, i32(16)),
        advance(group, i32(1)),
      ),
      advance(column, i32(16)),
    );
  },
};
