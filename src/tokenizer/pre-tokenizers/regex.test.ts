import { describe, expect, test } from "vitest";
import { JetonError } from "../../core/error.ts";
import { findMatches } from "./pattern.ts";
import { compileLiteral, compilePattern } from "./regex.ts";

function pieces(pattern: string, text: string): string[] {
  const bounds = findMatches(compilePattern(pattern), text);
  return bounds.flatMap((start, i) => (i % 2 === 0 ? [text.slice(start, bounds[i + 1])] : []));
}

describe("Oniguruma patterns in JavaScript", () => {
  // What the native library's Oniguruma gives.
  const cases: [string, string, string[]][] = [
    ["\\s+", "a\u0085b\ufeffc\u00a0", ["\u0085", "\u00a0"]],
    ["\\w+", "a_b\u0301 ⓐ²-x⁴", ["a_b\u0301", "ⓐ²", "x"]],
    ["\\d+", "12٣²", ["12٣"]],
    ["(?i:'s|'LL)", "'S 'll 'ſ", ["'S", "'ll", "'ſ"]],
    ["(?i)k|x", "K \u212a X", ["K", "\u212a", "X"]],
    ["(?i:[a-c])", "aBcD", ["a", "B", "c"]],
    ["a++b|.", "aaab", ["aaab"]],
    ["a++a|.", "aaa", ["a", "a", "a"]],
    ["(?>a|ab)c|.", "abc", ["a", "b", "c"]],
    ["a{2}+", "aaaaa", ["aaaa"]],
    ["a{,2}b", "aaab", ["aab"]],
    ["\\p{Han}+", "漢字 kana かな", ["漢字"]],
    ["\\p{^L}+", "ab1 2c", ["1 2"]],
    ["[[:alpha:]&&[^b]]+", "abc1", ["a", "c"]],
    ["[^\\s\\p{L}]+", "a!? b", ["!?"]],
    ["[a\\-z]+", "a-z b", ["a-z"]],
    ["[]a]+", "]a]", ["]a]"]],
    ["\\A.|.\\z", "abc", ["a", "c"]],
    ["^b", "a\nb", ["b"]],
    [".+", "a\nb", ["a", "b"]],
    ["\\x41\\u0042\\x{43}", "ABC", ["ABC"]],
    ["(?<name>a)(?:b)", "ab", ["ab"]],
    ["\\h+", "xfF0g", ["fF0"]],
    ["{|}", "{}", ["{", "}"]],
    ["(?#comment)a", "a", ["a"]],
    // In brackets a word is stricter than outside.
    ["\\w+", "b½c", ["b½c"]],
    ["[\\w-]+", "b½-c", ["b", "-c"]],
    ["[[:word:]]+", "b½c", ["b", "c"]],
    ["[[:graph:]]+", "a€ \u200b\u0001b", ["a€", "\u200b", "b"]],
    ["[[:print:]]+", "a \u2028b\n", ["a ", "b"]],
    ["\\p{Alnum}+|\\p{^Print}", "a1-²\n", ["a1", "\n"]],
    ["\\pL", "apLb", ["pL"]],
    ["(?i:ſ)", "S s ſ", ["S", "s", "ſ"]],
    // Empty matches stand between characters, never inside of one.
    ["$", "a😀\n", ["", ""]],
  ];
  test.each(cases)("%s", (pattern, text, expected) => {
    expect(pieces(pattern, text)).toEqual(expected);
  });

  test("a literal matches itself, for any characters", () => {
    const text = "a.*+?^$}{()|[]\\/-&&~~😀";
    expect(findMatches(compileLiteral(text), `x${text}`)).toEqual([1, 1 + text.length]);
  });

  const refused = ["(", ")", "[a", "*a", "a**?(", "\\", "\\p{Nonsense}", "\\p{L", "(?x)a", "\\1"];
  refused.push(
    "[z-a]",
    "(?<!",
    "a{2000}",
    "\\k<a>",
    "(".repeat(500),
    "x".repeat(30_000),
    "[[:no:]]",
  );
  test.each(refused)("%s is refused", (pattern) => {
    let caught: unknown;
    try {
      compilePattern(pattern);
    } catch (error) {
      caught = error;
    }
    expect(JetonError.isInstance(caught) ? caught.code : caught).toBe(
      "tokenizer-regex-unsupported",
    );
  });
});
