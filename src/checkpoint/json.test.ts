import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JetonError } from "../core/index.ts";
import { parseJson } from "./json.ts";

const codeOf = (text: string, options?: Parameters<typeof parseJson>[1]): string => {
  try {
    parseJson(text, options);
    return "accepted";
  } catch (error) {
    if (!JetonError.isInstance(error)) throw error;
    return error.code;
  }
};

describe("parseJson", () => {
  test("equals JSON.parse on any JSON value, with any white space", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), fc.constantFrom(0, 1, "\t", "\r\n"), (text, space) => {
        const value = JSON.parse(text);
        fc.pre(!text.includes("__proto__"));
        const spaced = JSON.stringify(value, null, 2).replaceAll(
          "\n",
          `\n${space || ""}`.replace(/[01]/, ""),
        );
        expect(parseJson(text)).toEqual(value);
        expect(parseJson(spaced)).toEqual(JSON.parse(spaced));
      }),
    );
  });

  test("equals JSON.parse on strings with any escapes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (string) => {
        const escaped = `"${[...string].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`).join("")}"`;
        expect(parseJson(escaped)).toBe(JSON.parse(escaped));
        expect(parseJson(JSON.stringify(string))).toBe(string);
      }),
    );
    expect(parseJson(String.raw`"\"\\\/\b\f\n\r\t"`)).toBe('"\\/\b\f\n\r\t');
  });

  test("accepts exactly what JSON.parse accepts, on mutated text", () => {
    const text = `{"a":[1,-2.5e3,"x\\n",null,true,{"b":{}}],"c":"\\u00e9"}`;
    fc.assert(
      fc.property(
        fc.nat(text.length - 1),
        fc.nat(3),
        fc.constantFrom(...'{}[]",:\\0123eE+-.tfn u\u0001'),
        (at, cut, letter) => {
          const mutated = text.slice(0, at) + letter + text.slice(at + cut);
          let expected: unknown;
          try {
            expected = JSON.parse(mutated);
          } catch {
            expect(codeOf(mutated)).toBe("json-invalid");
            return;
          }
          expect(parseJson(mutated)).toEqual(expected);
        },
      ),
      { numRuns: 5000 },
    );
  });

  test("repeated keys: the last holds, or the error that was asked for", () => {
    const text = `{"a":1,"b":{"x":1,"\\u0078":2}}`;
    expect(parseJson(text)).toEqual({ a: 1, b: { x: 2 } });
    expect(codeOf(text, { duplicateKeyCode: "twice" })).toBe("twice");
  });

  test("refuses __proto__ however it is spelt", () => {
    expect(codeOf('{"__proto__":{"polluted":1}}')).toBe("json-invalid");
    expect(codeOf('{"a":{"\\u005f_proto__":1}}')).toBe("json-invalid");
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  test("non-finite numbers on request", () => {
    const text = "[NaN, Infinity, -Infinity, 1]";
    expect(parseJson(text, { allowNonFinite: true })).toEqual([Number.NaN, Infinity, -Infinity, 1]);
    expect(codeOf(text)).toBe("json-invalid");
  });

  test("deep nesting ends in an error, not in an overflow of the stack", () => {
    expect(codeOf("[".repeat(1_000_000))).toBe("json-invalid");
    expect(codeOf('{"a":'.repeat(1_000_000))).toBe("json-invalid");
    expect(codeOf(`${"[".repeat(64)}${"]".repeat(64)}`)).toBe("accepted");
  });
});
