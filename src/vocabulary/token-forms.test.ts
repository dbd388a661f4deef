import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type TrainableKind, trainTokenizer } from "../tokenizer/index.ts";
import {
  cutByLongestTokens,
  decompose,
  formOfText,
  readTokenForms,
  textOfForm,
} from "./token-forms.ts";

const texts = [
  "Fremde Wörter, über und über; häufig geschriebene Wörter häufen sich.",
  "Wörter Wörter",
];

const formsOf = async (kind: TrainableKind) =>
  readTokenForms((await trainTokenizer({ kind, vocabSize: 320, texts })).tokenizer);

describe("byte forms", () => {
  test("round trip for every text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(textOfForm(formOfText(text))).toBe(text);
      }),
    );
  });

  test.each(["byte-level-bpe", "byte-fallback-bpe", "unigram"] as const)(
    "of the tokens of a %s join to the bytes of the text",
    async (kind) => {
      const { tokenizer, forms } = await formsOf(kind);
      const ids = tokenizer.encodeIds(texts[0]!, { addSpecialTokens: false });
      const joined = [...ids].map((id) => forms[id]).join("");
      // These two put a space before the text.
      const space = kind === "byte-level-bpe" ? "" : " ";
      expect(textOfForm(joined)).toBe(space + texts[0]);
    },
  );

  test("of WordPiece say where a word begins", async () => {
    const { tokenizer, forms, style } = await formsOf("wordpiece");
    expect(style).toBe("word-piece");
    const ids = tokenizer.encodeIds("fremde", { addSpecialTokens: false });
    expect([...ids].map((id) => forms[id]).join("")).toBe("Ġfremde");
  });
});

describe("decompose", () => {
  test.each(["byte-level-bpe", "byte-fallback-bpe", "unigram"] as const)(
    "spells what it cuts with tokens of a %s",
    async (kind) => {
      const vocabulary = await formsOf(kind);
      for (const text of [" Wörter", "häuf", "ö", " x"]) {
        const ids = decompose(vocabulary, formOfText(text));
        expect(ids.map((id) => vocabulary.forms[id]).join("")).toBe(formOfText(text));
      }
      // A part of a character has no text.
      const half = formOfText("ö").slice(0, 1);
      expect(decompose(vocabulary, half).map((id) => vocabulary.forms[id])).toEqual([half]);
    },
  );

  test("by longest tokens equals a search from the longest down", async () => {
    const { ids, longest } = await formsOf("byte-level-bpe");
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...ids.keys()), { maxLength: 6 }), (parts) => {
        const form = parts.join("");
        const expected: number[] = [];
        for (let at = 0; at < form.length; ) {
          let best = "";
          for (const token of ids.keys()) {
            if (token.length > best.length && form.startsWith(token, at)) best = token;
          }
          expected.push(ids.get(best)!);
          at += best.length;
        }
        expect(cutByLongestTokens({ ids, longest }, form)).toEqual(expected);
      }),
    );
  });
});
