import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type DrafterState, openState, sealState } from "./drafter-state.ts";

const sample: DrafterState = {
  kind: "table",
  key: "tokens-3-ü",
  fields: { width: 8, rate: 0.25 },
  body: Int32Array.of(1, -2, 2 ** 31 - 1, -(2 ** 31)),
};

describe("the state of a drafter as bytes", () => {
  test("is restored, also from the middle of a buffer", () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.string(),
        fc.dictionary(fc.string(), fc.double({ noNaN: true, noDefaultInfinity: true })),
        fc.int32Array({ maxLength: 50 }),
        fc.nat(9),
        (kind, key, fields, body, offset) => {
          const sealed = sealState({ kind, key, fields, body });
          const buffer = new Uint8Array(sealed.length + offset);
          buffer.set(sealed, offset);
          const state = openState(buffer.subarray(offset), { kind, key });
          expect(state.body).toEqual(body);
          expect(JSON.stringify(state.fields)).toBe(JSON.stringify(fields));
        },
      ),
    );
  });

  test("has the standard CRC-32", () => {
    const sealed = sealState({ ...sample, body: new Int32Array(0) });
    // The CRC-32 of data followed by their own CRC-32 is a constant.
    const residue = new Uint32Array(1);
    let crc = 0xffffffff;
    for (const byte of sealed) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    }
    residue[0] = ~crc;
    expect(residue[0]).toBe(0x2144df1c);
  });

  test("is rejected when any byte is changed, and when any number of bytes is missing", () => {
    const sealed = sealState(sample);
    for (let at = 0; at < sealed.length; at++) {
      const changed = sealed.slice();
      changed[at]! ^= 1 << (at % 8);
      expect(() => openState(changed, sample)).toThrowCode(
        expect.stringMatching(/^drafter-state-(damaged|version)$/),
      );
      const cut = sealed.subarray(0, at);
      expect(() => openState(cut, sample)).toThrowCode("drafter-state-damaged");
    }
  });

  test("is rejected by another drafter and for another model", () => {
    const sealed = sealState(sample);
    expect(() => openState(sealed, { ...sample, kind: "trie" })).toThrowCode(
      "drafter-state-other-kind",
    );
    expect(() => openState(sealed, { ...sample, key: "tokens-4" })).toThrowCode(
      "drafter-state-other-model",
    );
  });

  test("random bytes end in a JetonError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(() => openState(bytes, sample)).toThrowCode("drafter-state-damaged");
      }),
    );
  });
});
