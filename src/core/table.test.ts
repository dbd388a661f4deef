import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { displayWidth, formatTable } from "./table.ts";

describe("formatTable", () => {
  test("aligns columns by what a terminal shows", () => {
    const table = formatTable(
      [{ title: "word" }, { title: "n", align: "right" }],
      [
        ["语言", "1"],
        ["e\u0301te\u0301", "22"],
        ["\u001b[31mred\u001b[39m", "333"],
      ],
    );
    expect(table.split("\n")).toEqual([
      "word    n",
      "语言    1",
      "e\u0301te\u0301    22",
      "\u001b[31mred\u001b[39m   333",
    ]);
  });

  test("every cell of a column begins at the same place", () => {
    const word = fc.stringMatching(/^[a-z語é]{0,8}$/);
    fc.assert(
      fc.property(fc.array(fc.tuple(word, word), { minLength: 1 }), (rows) => {
        const marked = rows.map(([a, b]) => [a, `|${b}|`]);
        const lines = formatTable([{ title: "" }, { title: "" }], marked).split("\n");
        const starts = lines.map((line) => displayWidth(line.slice(0, line.indexOf("|"))));
        expect(new Set(starts).size).toBe(1);
        expect(lines).toHaveLength(rows.length);
      }),
    );
  });
});
