import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JetonError } from "../core/index.ts";
import { decodeDrafterState, encodeDrafterState, stateArray } from "./drafter-state.ts";

const kind = { drafter: "test", version: 2, model: "0123456789abcdef" };

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return JetonError.isInstance(error) ? error.code : `no JetonError: ${error}`;
  }
  return "no error";
}

describe("drafter state", () => {
  test("comes back as it was, whatever the arrays and wherever the bytes lie", () => {
    const array = fc.oneof(
      fc.uint8Array(),
      fc.uint16Array(),
      fc.uint32Array(),
      fc.int32Array(),
      fc.float32Array({ noNaN: true }),
      fc.float64Array({ noNaN: true }),
    );
    const names = fc.string({ minLength: 1 }).filter((name) => !name.startsWith("__"));
    fc.assert(
      fc.property(fc.dictionary(names, array), fc.nat(7), (arrays, shift) => {
        const bytes = encodeDrafterState(kind, arrays);
        const moved = new Uint8Array(bytes.length + shift).subarray(shift);
        moved.set(bytes);
        const decoded = decodeDrafterState(kind, moved);
        expect([...decoded.keys()].sort()).toEqual(Object.keys(arrays).sort());
        for (const [name, value] of Object.entries(arrays)) {
          expect(decoded.get(name)).toEqual(value);
        }
      }),
    );
  });

  test("bytes that were cut, extended or changed in the header are refused", () => {
    const bytes = encodeDrafterState(kind, { table: Int32Array.of(1, 2, 3) });
    for (let length = 0; length < bytes.length; length++) {
      const cut = bytes.subarray(0, length);
      expect(codeOf(() => decodeDrafterState(kind, cut))).toBe("drafter-state-invalid");
    }
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    expect(codeOf(() => decodeDrafterState(kind, longer))).toBe("drafter-state-invalid");
    fc.assert(
      fc.property(fc.nat(bytes.length - 13), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const wrong = bytes.slice();
        wrong[at]! ^= change;
        // A change may leave a header of equal meaning; it must never end otherwise.
        expect(["drafter-state-invalid", "no error"]).toContain(
          codeOf(() => decodeDrafterState(kind, wrong)),
        );
      }),
    );
  });

  test("a state of another drafter, version or model is refused, and so is a wrong array", () => {
    const bytes = encodeDrafterState(kind, { table: Int32Array.of(1, 2, 3) });
    for (const other of [{ drafter: "other" }, { version: 3 }, { model: "f" }]) {
      expect(codeOf(() => decodeDrafterState({ ...kind, ...other }, bytes))).toBe(
        "drafter-state-invalid",
      );
    }
    const arrays = decodeDrafterState(kind, bytes);
    expect(stateArray(arrays, "table", Int32Array, 3)).toEqual(Int32Array.of(1, 2, 3));
    expect(codeOf(() => stateArray(arrays, "table", Int32Array, 4))).toBe("drafter-state-invalid");
    expect(codeOf(() => stateArray(arrays, "table", Uint8Array))).toBe("drafter-state-invalid");
    expect(codeOf(() => stateArray(arrays, "none", Int32Array))).toBe("drafter-state-invalid");
  });
});
