/**
 * Regular expressions of tokenizer files, written for Oniguruma (Ruby syntax), as JavaScript ones.
 *
 * A small parser rewrites what differs: `\s`, `\w`, `\d` and `\h` mean other sets; possessive
 * quantifiers and atomic groups become a look-ahead with a back-reference; `(?i:…)` is written out
 * as sets of both cases; `^`, `$` and `.` are line-wise; properties get JavaScript's names. What has
 * no equivalent ends in an error.
 */

import { JetonError } from "../../core/error.ts";
import { describeValue } from "../formats/json-reader.ts";
import { whitespaceClass } from "./character-classes.ts";
import {
  bracketProperties,
  casesOf,
  classRange,
  literal,
  looseWordClass,
  newline,
  posixSets,
  propertyNameOf,
  wordClass,
} from "./regex-characters.ts";

/** Longest pattern that is accepted, in UTF-16 units. */
const maxPattern = 20_000;

const deepestNesting = 200;

/**
 * Compiles a pattern of a tokenizer file. The result is global and matches code points.
 * Throws a JetonError `tokenizer-regex-unsupported` when the pattern is malformed or has no
 * JavaScript equivalent.
 */
export function compilePattern(pattern: string): RegExp {
  const source = translatePattern(pattern);
  try {
    return new RegExp(source, "gv");
  } catch (cause) {
    throw unsupported(pattern, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** A regular expression that matches exactly `text`. */
export function compileLiteral(text: string): RegExp {
  let source = "";
  for (const character of text) source += literal(character.codePointAt(0)!);
  return new RegExp(source, "gv");
}

/** Code points beyond ASCII that an expression names, ascending: those of ranges by their first and last. */
export function namedCharacters({ source }: RegExp): number[] {
  const named = source.matchAll(
    /\\u\{([\da-f]+)\}|\\u([\da-f]{4})|\\x([\da-f]{2})|[\u{80}-\u{10ffff}]/giu,
  );
  const points = Array.from(named, ([all, ...forms]) => {
    const digits = forms.find((form) => form !== undefined);
    return digits === undefined ? all.codePointAt(0)! : Number.parseInt(digits, 16);
  });
  return [...new Set(points.filter((point) => point > 0x7f))].sort((a, b) => a - b);
}

/** The JavaScript source (flag `v`) of an Oniguruma pattern. */
export function translatePattern(pattern: string): string {
  if (pattern.length > maxPattern) {
    throw unsupported(pattern, `it is longer than ${maxPattern} characters`);
  }
  return new PatternTranslator(pattern).translate();
}

function unsupported(pattern: string, reason: string, cause?: unknown): JetonError {
  return new JetonError(
    `the regular expression ${describeValue(pattern)} cannot be used: ${reason}`,
    { code: "tokenizer-regex-unsupported", details: { pattern, reason }, cause },
  );
}

class PatternTranslator {
  readonly #pattern: string;
  readonly #characters: string[];
  #at = 0;
  #atomicGroups = 0;
  #depth = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
    this.#characters = [...pattern];
  }

  translate(): string {
    const source = this.#alternation(false);
    if (this.#at < this.#characters.length)
      throw this.#refuse("a closing bracket has no opening one");
    return source;
  }

  #refuse(reason: string): JetonError {
    return unsupported(this.#pattern, `${reason} (at character ${this.#at})`);
  }

  #peek(ahead = 0): string | undefined {
    return this.#characters[this.#at + ahead];
  }

  #next(): string {
    const character = this.#characters[this.#at];
    if (character === undefined) throw this.#refuse("it ends too early");
    this.#at++;
    return character;
  }

  #take(text: string): boolean {
    if (!this.#sees(text)) return false;
    this.#at += text.length;
    return true;
  }

  #sees(text: string): boolean {
    for (let i = 0; i < text.length; i++) if (this.#peek(i) !== text[i]) return false;
    return true;
  }

  #alternation(ignoreCase: boolean): string {
    if (++this.#depth > deepestNesting) throw this.#refuse("it is nested too deeply");
    let source = "";
    for (;;) {
      const character = this.#peek();
      if (character === undefined || character === ")") break;
      if (character === "|") {
        this.#at++;
        source += "|";
        continue;
      }
      // `(?i)` holds to the end of the enclosing group, across alternatives.
      const switched = this.#caseSwitch();
      if (switched !== undefined) {
        source += `(?:${this.#alternation(switched)})`;
        break;
      }
      source += this.#quantified(this.#atom(ignoreCase));
    }
    this.#depth--;
    return source;
  }

  #caseSwitch(): boolean | undefined {
    if (this.#take("(?i)")) return true;
    if (this.#take("(?-i)")) return false;
    return undefined;
  }

  #quantified(atom: { source: string; quantifiable: boolean }): string {
    let { source } = atom;
    for (;;) {
      const quantifier = this.#quantifier();
      if (quantifier === undefined) return source;
      if (!atom.quantifiable) throw this.#refuse("a quantifier follows nothing that can repeat");
      if (quantifier.possessive) {
        source = this.#atomic(source + quantifier.source);
      } else {
        source = `(?:${source}${quantifier.source})`;
      }
    }
  }

  #quantifier(): { source: string; possessive: boolean } | undefined {
    const character = this.#peek();
    if (character === "*" || character === "+" || character === "?") {
      this.#at++;
      if (this.#take("?")) return { source: `${character}?`, possessive: false };
      return { source: character, possessive: this.#take("+") };
    }
    if (character !== "{") return undefined;
    const text = this.#characters.slice(this.#at, this.#at + 24).join("");
    const interval = /^\{(\d*)(,?)(\d*)\}/.exec(text);
    if (interval === null || (interval[1] === "" && interval[3] === "")) return undefined;
    this.#at += interval[0].length;
    const minimum = interval[1] === "" ? "0" : interval[1]!;
    const lazy = interval[2] === "," && this.#take("?") ? "?" : "";
    const bound = Number(interval[3] === "" ? minimum : interval[3]);
    if (Number(minimum) > 1000 || bound > 1000) throw this.#refuse("a repetition exceeds 1000");
    return { source: `{${minimum}${interval[2]}${interval[3]}}${lazy}`, possessive: false };
  }

  /** `(?>x)`: a look-ahead never gives back what it has matched. */
  #atomic(source: string): string {
    const name = `atomic${this.#atomicGroups++}`;
    return `(?:(?=(?<${name}>${source}))\\k<${name}>)`;
  }

  #atom(ignoreCase: boolean): { source: string; quantifiable: boolean } {
    const character = this.#next();
    switch (character) {
      case "(":
        return this.#group(ignoreCase);
      case "[":
        return { source: this.#characterClass(ignoreCase), quantifiable: true };
      case ".":
        return { source: `[^${newline}]`, quantifiable: true };
      case "^":
        return { source: `(?<![^${newline}])`, quantifiable: false };
      case "$":
        return { source: `(?![^${newline}])`, quantifiable: false };
      case "*":
      case "+":
      case "?":
        throw this.#refuse("a quantifier follows nothing");
      case "\\":
        return this.#escape(ignoreCase);
      default:
        return { source: this.#cased(character.codePointAt(0)!, ignoreCase), quantifiable: true };
    }
  }

  #cased(codePoint: number, ignoreCase: boolean): string {
    const cases = ignoreCase ? casesOf(codePoint) : [codePoint];
    return cases.length === 1 ? literal(codePoint) : `[${cases.map(literal).join("")}]`;
  }

  #group(ignoreCase: boolean): { source: string; quantifiable: boolean } {
    let open = "(?:";
    let quantifiable = true;
    let atomic = false;
    let inner = ignoreCase;
    if (this.#take("?")) {
      if (this.#take(":")) open = "(?:";
      else if (this.#take("=")) open = "(?=";
      else if (this.#take("!")) open = "(?!";
      else if (this.#take("<=")) open = "(?<=";
      else if (this.#take("<!")) open = "(?<!";
      else if (this.#take(">")) atomic = true;
      else if (this.#take("i:")) inner = true;
      else if (this.#take("-i:")) inner = false;
      else if (this.#take("#")) {
        while (this.#next() !== ")");
        return { source: "", quantifiable: false };
      } else if (this.#peek() === "<" || this.#sees("P<")) {
        while (this.#next() !== ">");
      } else {
        throw this.#refuse(`the group (?${this.#peek() ?? ""}…) has no JavaScript equivalent`);
      }
      quantifiable = open === "(?:";
    }
    const source = this.#alternation(inner);
    if (!this.#take(")")) throw this.#refuse("a group is not closed");
    return { source: atomic ? this.#atomic(source) : `${open}${source})`, quantifiable };
  }

  #escape(ignoreCase: boolean): { source: string; quantifiable: boolean } {
    const character = this.#peek();
    if (character === "A") return this.#anchor("(?<![\\s\\S])");
    if (character === "z") return this.#anchor("(?![\\s\\S])");
    if (character === "Z") return this.#anchor(`(?!${newline}?[\\s\\S])`);
    if (character === "b" || character === "B") {
      const word = `[${looseWordClass}]`;
      const edge = `(?<=${word})(?!${word})|(?<!${word})(?=${word})`;
      const inside = `(?<=${word})(?=${word})|(?<!${word})(?!${word})`;
      return this.#anchor(`(?:${character === "b" ? edge : inside})`);
    }
    if (character === "R") {
      this.#at++;
      const source = "(?:\\r\\n|[\\n-\\r\\u0085\\u2028\\u2029])";
      return { source, quantifiable: true };
    }
    const set = this.#classEscape(looseWordClass);
    if (set !== undefined) return { source: set, quantifiable: true };
    return { source: this.#cased(this.#escapedCodePoint(), ignoreCase), quantifiable: true };
  }

  #anchor(source: string): { source: string; quantifiable: boolean } {
    this.#at++;
    return { source, quantifiable: false };
  }

  /** An escape that names a set (after the backslash), as a class; undefined for anything else. */
  #classEscape(word: string = wordClass): string | undefined {
    const character = this.#peek();
    const sets: Record<string, string> = {
      s: `[${whitespaceClass}]`,
      S: `[^${whitespaceClass}]`,
      d: "\\p{Nd}",
      D: "\\P{Nd}",
      w: `[${word}]`,
      W: `[^${word}]`,
      h: "[0-9a-fA-F]",
      H: "[^0-9a-fA-F]",
    };
    if (character === undefined) return undefined;
    if (Object.hasOwn(sets, character)) {
      this.#at++;
      return sets[character];
    }
    // Ruby's syntax wants braces: `\\pL` is the text "pL".
    if ((character !== "p" && character !== "P") || this.#peek(1) !== "{") return undefined;
    this.#at++;
    let negated = character === "P";
    this.#at++;
    if (this.#take("^")) negated = !negated;
    let name = "";
    for (let c = this.#next(); c !== "}"; c = this.#next()) name += c;
    const key = name.trim().toLowerCase();
    if (Object.hasOwn(bracketProperties, key))
      return `[${negated ? "^" : ""}${bracketProperties[key]}]`;
    const plain = name.trim();
    const property = propertyNameOf(plain);
    if (property === undefined) throw this.#refuse(`unknown property ${plain}`);
    return `\\${negated ? "P" : "p"}{${property}}`;
  }

  /** An escape that names one character (after the backslash). */
  #escapedCodePoint(): number {
    const character = this.#next();
    const controls: Record<string, number> = { n: 10, r: 13, t: 9, f: 12, v: 11, a: 7, e: 27 };
    if (Object.hasOwn(controls, character)) return controls[character]!;
    if (character === "x" || character === "u") {
      let digits = "";
      if (character === "x" && this.#take("{")) {
        for (let c = this.#next(); c !== "}"; c = this.#next()) digits += c;
      } else {
        const count = character === "x" ? 2 : 4;
        while (digits.length < count && /^[0-9a-fA-F]$/.test(this.#peek() ?? ""))
          digits += this.#next();
      }
      const codePoint = /^[0-9a-fA-F]{1,8}$/.test(digits) ? Number.parseInt(digits, 16) : -1;
      if (codePoint < 0 || codePoint > 0x10ffff) throw this.#refuse("a malformed character code");
      return codePoint;
    }
    if (character === "0") return 0;
    if (/^[A-OQ-Za-oq-z0-9]$/.test(character))
      throw this.#refuse(`the escape \\${character} is unknown`);
    return character.codePointAt(0)!;
  }

  /** A bracketed class, after its `[`. Intersections bind looser than unions, as in JavaScript's `v`. */
  #characterClass(ignoreCase: boolean): string {
    if (++this.#depth > deepestNesting) throw this.#refuse("it is nested too deeply");
    const negated = this.#take("^");
    const operands: string[] = [];
    let union = "";
    // A closing bracket that comes first is a literal.
    for (let first = true; first || this.#peek() !== "]"; first = false) {
      if (this.#take("&&")) {
        operands.push(union);
        union = "";
      } else {
        union += this.#classItem(ignoreCase);
      }
    }
    this.#at++;
    this.#depth--;
    operands.push(union);
    const body =
      operands.length === 1 ? union : operands.map((operand) => `[${operand}]`).join("&&");
    return `[${negated ? "^" : ""}${body}]`;
  }

  /** One item of a class: a nested class, a named set, a character or a range. */
  #classItem(ignoreCase: boolean): string {
    if (this.#sees("[:")) return this.#posixClass();
    if (this.#take("[")) return this.#characterClass(ignoreCase);
    let low: number;
    if (this.#take("\\")) {
      const set = this.#classEscape();
      if (set !== undefined) return set;
      low = this.#take("b") ? 8 : this.#escapedCodePoint();
    } else {
      low = this.#next().codePointAt(0)!;
    }
    const isRange = this.#peek() === "-" && this.#peek(1) !== "]" && this.#peek(1) !== undefined;
    if (!isRange) return classRange(low, low, ignoreCase);
    this.#at++;
    // Before a class or an intersection the hyphen is a literal.
    if (this.#sees("[") || this.#sees("&&")) return classRange(low, low, ignoreCase) + literal(45);
    let high: number;
    if (this.#take("\\")) {
      const set = this.#classEscape();
      if (set !== undefined) return classRange(low, low, ignoreCase) + literal(45) + set;
      high = this.#escapedCodePoint();
    } else {
      high = this.#next().codePointAt(0)!;
    }
    if (high < low) throw this.#refuse("a range of characters is empty");
    return classRange(low, high, ignoreCase);
  }

  #posixClass(): string {
    const name = /^\[:(\^?)([a-z]+):\]/.exec(
      this.#characters.slice(this.#at, this.#at + 16).join(""),
    );
    if (name === null || !Object.hasOwn(posixSets, name[2]!))
      throw this.#refuse("an unknown POSIX class");
    this.#at += name[0].length;
    return `[${name[1]}${posixSets[name[2]!]}]`;
  }
}
