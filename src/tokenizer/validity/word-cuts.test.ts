/** What is remembered of alike ends holds for each of them. */
import { expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { readPreTokenizer } from "../pre-tokenizers/pre-tokenizers.ts";
import { type KnownPattern, knownPatterns } from "../pre-tokenizers/scanners.ts";
import { boundary, joinShapes, type ShapeRules, shapeOfBytes } from "./text-shapes.ts";
import { reductionOf, WordCuts } from "./word-cuts.ts";

const characters = [..."aBs1 \n\t'/-", "é", "Ω", "中", "ǅ", "ʰ", "²", "\u0301", "\u00a0"];

test.each(Object.keys(knownPatterns) as KnownPattern[])(
  "%s: an end of classes is cut as the text is that it stands for",
  (name) => {
    const pattern = { Regex: knownPatterns[name] };
    const read = { type: "Split", pattern, behavior: "Isolated", invert: false };
    const { steps } = readPreTokenizer(read, "pre_tokenizer", false);
    // Without its scanner the pattern itself cuts.
    const plain = steps.map((step) => {
      if (step.kind !== "split") return step;
      const { scan: _, ...others } = step;
      return others;
    });
    const space = name === "metaspace" ? "\u2581" : " ";
    const rules: ShapeRules = { text: "utf8", reduces: reductionOf(steps) };
    expect(rules.reduces).toBe(name === "o200k" ? "classes" : "letters");
    const whole: ShapeRules = { text: "utf8", reduces: "nothing" };
    const exact = new WordCuts(plain, whole, space);
    const alike = new WordCuts(steps, rules, space);
    const judging = new WordCuts(steps, rules, space);
    const random = createRandom(11, "ends", name);
    const shapeOf = (pieces: readonly string[], own: ShapeRules): string =>
      pieces.reduce((end, piece, at) => {
        const shape = shapeOfBytes(new TextEncoder().encode(piece), own);
        return at === 0 ? shape : joinShapes(end + boundary, shape, own)!;
      }, "");
    let possible = 0;
    for (let round = 0; round < 4000; round++) {
      const pieces = Array.from({ length: 1 + random.integer(3) }, () =>
        Array.from(
          { length: 1 + random.integer(4) },
          () => characters[random.integer(characters.length)]!,
        ).join(""),
      );
      const { isPossible, endsWord, isWhole } = exact.facts(shapeOf(pieces, whole));
      const shape = shapeOf(pieces, rules);
      const found = alike.facts(shape);
      const told = JSON.stringify(pieces);
      expect([found.isPossible, found.endsWord, found.isWhole], told).toEqual([
        isPossible,
        endsWord,
        isWhole,
      ]);
      const { isPossible: judged, endsWord: ends } = judging.judge(shape);
      expect([judged, ends], told).toEqual([isPossible, endsWord]);
      if (isPossible) possible++;
    }
    expect(possible).toBeGreaterThan(300);
  },
);
