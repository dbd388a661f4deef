import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JetonError } from "../core/error.ts";
import { byteLevelFile, type TokenizerFile, tokenizerFiles } from "./testing/fixtures.ts";
import { createTokenizer } from "./tokenizer.ts";

describe("errors", () => {
  const cases: [string, (file: TokenizerFile) => void, string][] = [
    ["no model", (f) => Object.assign(f, { model: undefined }), "tokenizer-json-invalid"],
    ["wrong type", (f) => Object.assign(f.model, { vocab: 7 }), "tokenizer-json-invalid"],
    [
      "negative id",
      (f) => Object.assign(f.model["vocab"] as object, { x: -1 }),
      "tokenizer-json-invalid",
    ],
    [
      "huge id",
      (f) => Object.assign(f.model["vocab"] as object, { x: 1e300 }),
      "tokenizer-json-invalid",
    ],
    [
      "shared id",
      (f) => Object.assign(f.model["vocab"] as object, { x1: 3 }),
      "tokenizer-json-invalid",
    ],
    [
      "merge of an absent token",
      (f) => (f.model["merges"] as unknown[]).push("zz zz"),
      "tokenizer-merge-unknown-token",
    ],
    [
      "merge of three",
      (f) => (f.model["merges"] as unknown[]).push("a b c"),
      "tokenizer-json-invalid",
    ],
    [
      "unknown component",
      (f) => Object.assign(f, { normalizer: { type: "Elsewhere" } }),
      "tokenizer-unknown-component",
    ],
    [
      "prototype key as a type",
      (f) => Object.assign(f, { decoder: { type: "__proto__" } }),
      "tokenizer-unknown-component",
    ],
    [
      "malformed expression",
      (f) =>
        Object.assign(f, {
          pre_tokenizer: { type: "Split", pattern: { Regex: "(((" }, behavior: "Isolated" },
        }),
      "tokenizer-regex-unsupported",
    ],
    [
      "unknown template token",
      (f) =>
        Object.assign(f, {
          post_processor: {
            type: "TemplateProcessing",
            single: [
              { SpecialToken: { id: "constructor", type_id: 0 } },
              { Sequence: { id: "A" } },
            ],
            pair: [{ Sequence: { id: "A" } }, { Sequence: { id: "B" } }],
            special_tokens: {},
          },
        }),
      "tokenizer-json-invalid",
    ],
  ];
  test.each(cases)("%s", (_, spoil, code) => {
    const file = byteLevelFile();
    spoil(file);
    let caught: unknown;
    try {
      createTokenizer(file);
    } catch (error) {
      caught = error;
    }
    expect(JetonError.isInstance(caught) ? caught.code : caught).toBe(code);
  });

  test("tokens named like members of Object.prototype are tokens", () => {
    const text = JSON.stringify(byteLevelFile()).replace(
      '"vocab":{',
      '"vocab":{"__proto__":500,"constructor":501,"toString":502,',
    );
    const tokenizer = createTokenizer(JSON.parse(text));
    expect(tokenizer.tokenToId("__proto__")).toBe(500);
    expect(tokenizer.tokenToId("constructor")).toBe(501);
    expect(tokenizer.tokenToId("hasOwnProperty")).toBeUndefined();
    expect(tokenizer.idToToken(500)).toBe("__proto__");
  });

  test("a mutated file gives a working tokenizer or a JetonError", () => {
    const values: unknown[] = [null, true, -1, 0, 1.5, 1e308, "", "x", "__proto__", "(", [], {}];
    values.push({ type: "Sequence" }, { Regex: "[" }, { String: "" }, [["a", "b"]], "Removed");
    const mutate = (file: unknown, choose: (bound: number) => number): void => {
      let node = file as Record<string, unknown>;
      for (let depth = 0; depth < 12; depth++) {
        const keys = Object.keys(node);
        if (keys.length === 0) return;
        const key = keys[choose(keys.length)]!;
        const child = node[key];
        if (typeof child === "object" && child !== null && choose(4) > 0) {
          node = child as Record<string, unknown>;
          continue;
        }
        const action = choose(4);
        if (action === 0) delete node[key];
        else if (action === 1) node[keys[choose(keys.length)]!] = child;
        else node[key] = structuredClone(values[choose(values.length)]);
        return;
      }
    };
    const names = Object.keys(tokenizerFiles);
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.array(fc.nat(), { minLength: 60, maxLength: 60 }),
        fc.integer({ min: 1, max: 3 }),
        (name, choices, count) => {
          const file = tokenizerFiles[name]!();
          let at = 0;
          const choose = (bound: number): number => choices[at++ % choices.length]! % bound;
          for (let i = 0; i < count; i++) mutate(file, choose);
          try {
            const tokenizer = createTokenizer(file);
            const ids = tokenizer.encodeIds("The cats don't <s> é 中 1234  <|end|>");
            tokenizer.decode(ids);
            tokenizer.encode("the cat");
          } catch (error) {
            if (!JetonError.isInstance(error)) throw error;
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
