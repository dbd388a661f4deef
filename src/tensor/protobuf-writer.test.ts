import fc from "fast-check";
import protobuf from "protobufjs";
import { expect, test } from "vitest";
import { encodeMessage, type MessageFields } from "./protobuf-writer.ts";

const proto = `
syntax = "proto3";
message Inner { string text = 2; repeated Inner inner = 15; }
message Outer {
  int64 whole = 1; float real = 2; bytes raw = 9; string text = 16; Inner inner = 17;
  repeated int64 wholes = 20; repeated float reals = 21; repeated string texts = 22; repeated Inner inners = 2047;
}`;
const innerFields: { [name: string]: MessageFields[string] } = { text: [2, "string"] };
innerFields["inner"] = [15, [innerFields]];
const fields: MessageFields = {
  whole: [1, "int"],
  real: [2, "float"],
  raw: [9, "bytes"],
  text: [16, "string"],
  inner: [17, innerFields],
  wholes: [20, ["int"]],
  reals: [21, ["float"]],
  texts: [22, ["string"]],
  inners: [2047, [innerFields]],
};
const outer = protobuf.parse(proto, { keepCase: true }).root.lookupType("Outer");

const { inner } = fc.letrec<{ inner: { text?: string; inner?: unknown[] } }>((tie) => ({
  inner: fc.record(
    {
      text: fc.string({ unit: "grapheme" }),
      inner: fc.array(tie("inner"), { maxLength: 2 }),
    },
    { requiredKeys: [] },
  ),
}));
const message = fc.record(
  {
    whole: fc.maxSafeInteger(),
    real: fc.float(),
    raw: fc.uint8Array({ maxLength: 300 }),
    text: fc.string({ unit: "grapheme" }),
    inner,
    wholes: fc.array(fc.maxSafeInteger()),
    reals: fc.array(fc.float()),
    texts: fc.array(fc.string({ unit: "grapheme" })),
    inners: fc.array(inner),
  },
  { requiredKeys: [] },
);

/** What another implementation reads; it leaves defaults out when it writes. */
const read = (bytes: Uint8Array) =>
  outer.toObject(outer.decode(bytes), { longs: String, bytes: Array, defaults: true });

test("another implementation reads what its own bytes say", () => {
  fc.assert(
    fc.property(message, (value) => {
      expect(read(encodeMessage(fields, value))).toEqual(read(outer.encode(value).finish()));
    }),
  );
});

test("a BigInt is the number of the same value", () => {
  for (const value of [0, 1, -1, 127, 128, 2 ** 53 - 1]) {
    expect(encodeMessage(fields, { whole: BigInt(value) })).toEqual(
      encodeMessage(fields, { whole: value }),
    );
  }
});

test.each([{ whole: 0.5 }, { whole: "1" }, { wholes: [2 ** 53] }, { other: 1 }])(
  "what cannot be written is refused: %j",
  (value) => {
    expect(() => encodeMessage(fields, value)).toThrowCode("protobuf-field");
  },
);
