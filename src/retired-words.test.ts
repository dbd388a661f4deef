import { expect, test } from "vitest";
// @ts-expect-error the script has no declarations
import { findRetiredWords, findRetiredWordsIn } from "../scripts/retired-words.mjs";

test("the check finds a retired word and spares citations and code of other meaning", () => {
  const find = findRetiredWordsIn as (file: string, text: string) => { word: string }[];
  expect(find("src/a.ts", "/** The law of the next token. */").map(({ word }) => word)).toEqual([
    "law",
  ]);
  expect(find("src/a.ts", "/** One forward\n * pass. */")).toEqual([]);
  expect(find("docs/a.md", "> quoted: whoever")).toEqual([]);
});

test("source, help, README and documents use none of the retired words", () => {
  const found = (findRetiredWords as () => { file: string; line: number; word: string }[])();
  expect(found.map(({ file, line, word }) => `${file}:${line}: ${word}`)).toEqual([]);
});
