/**
 * Cuts a template into tokens, with the white space rules of chat templates: `trim_blocks` (a line
 * break after a block or comment goes) and `lstrip_blocks` (so does the indentation before one).
 */
import { syntaxFailure } from "./python/failure.ts";
import { stripEnd, whitespaceClass } from "./python/strings/text.ts";
import { readStringLiteral } from "./string-literal.ts";
import type { Token, TokenType } from "./token.ts";

const space = `[${whitespaceClass}]`;
const blank = new RegExp(`^${space}*$`);
/** Beginnings of tags; `raw` comes with its whole first tag. */
const tagBegin = new RegExp(
  `\\{%([-+]?)${space}*raw${space}*(?:-%\\}${space}*|%\\})|\\{([%#{])([-+]?)`,
  "g",
);
const rawEnd = new RegExp(
  `\\{%([-+]?)${space}*endraw${space}*(?:\\+%\\}|-%\\}${space}*|%\\}\\n?)`,
  "g",
);
const commentEnd = new RegExp(`(?:\\+#\\}|-#\\}${space}*|#\\}\\n?)`, "g");
const blockEnd = new RegExp(`\\+%\\}|-%\\}${space}*|%\\}\\n?`, "y");
const variableEnd = new RegExp(`-\\}\\}${space}*|\\}\\}`, "y");
const skipped = new RegExp(`${space}+`, "y");
const float = /(?<!\.)(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy;
const integer = /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy;
const name = /[\p{ID_Continue}\p{L}\p{N}]+/uy;
const string = /'([^'\\]*(?:\\[\s\S][^'\\]*)*)'|"([^"\\]*(?:\\[\s\S][^"\\]*)*)"/y;
const operator = /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}><=.:|,;]/y;
const closing: Readonly<Record<string, string>> = { ")": "(", "]": "[", "}": "{" };

/** The tokens of a template. Throws a syntax failure with its line. */
export function tokenize(template: string): Token[] {
  return new Lexer(template).tokenize();
}

/** Line breaks of all systems become `\n`, and one at the end goes. */
function normalize(template: string): string {
  return template.replace(/\r\n?/g, "\n").replace(/\n$/, "");
}

class Lexer {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  #counted = 0;
  #lineStarts = true;

  constructor(template: string) {
    this.#source = normalize(template);
  }

  tokenize(): Token[] {
    while (this.#at < this.#source.length) this.#readText();
    this.#add("end", "", this.#source.length);
    return this.#tokens;
  }

  /** Line of a place that is not before the last one asked for. */
  #lineAt(at: number): number {
    for (; this.#counted < at; this.#counted++) {
      if (this.#source[this.#counted] === "\n") this.#line++;
    }
    return this.#line;
  }

  #add(type: TokenType, text: string, at: number): void {
    this.#tokens.push({ type, text, line: this.#lineAt(at) });
  }

  #fail(message: string): never {
    throw syntaxFailure(message, this.#lineAt(this.#at));
  }

  /** Text up to the next tag, and that tag. */
  #readText(): void {
    tagBegin.lastIndex = this.#at;
    const match = tagBegin.exec(this.#source);
    if (match === null) {
      this.#add("data", this.#source.slice(this.#at), this.#at);
      this.#at = this.#source.length;
      return;
    }
    const [whole, rawSign, kind, sign] = match;
    const text = this.#source.slice(this.#at, match.index);
    this.#addText(text, rawSign ?? sign ?? "", kind === "{");
    this.#moveTo(match.index + whole.length);
    if (kind === undefined) this.#readRaw();
    else if (kind === "#") this.#readComment();
    else this.#readTag(kind, match.index);
  }

  #moveTo(at: number): void {
    this.#at = at;
    this.#lineStarts = this.#source[at - 1] === "\n";
  }

  /** Text before a tag, cut at its end as the tag's sign and `lstrip_blocks` want. */
  #addText(text: string, sign: string, beforeVariable: boolean): void {
    let kept = text;
    if (sign === "-") {
      kept = stripEnd(text, null);
    } else if (sign !== "+" && !beforeVariable) {
      const start = text.lastIndexOf("\n") + 1;
      if ((start > 0 || this.#lineStarts) && blank.test(text.slice(start))) {
        kept = text.slice(0, start);
      }
    }
    if (kept !== "") this.#add("data", kept, this.#at);
  }

  #readRaw(): void {
    rawEnd.lastIndex = this.#at;
    const match = rawEnd.exec(this.#source);
    if (match === null) this.#fail("Missing end of raw directive");
    this.#addText(this.#source.slice(this.#at, match.index), match[1]!, false);
    this.#moveTo(match.index + match[0].length);
  }

  #readComment(): void {
    commentEnd.lastIndex = this.#at;
    const match = commentEnd.exec(this.#source);
    if (match === null) this.#fail("Missing end of comment tag");
    this.#moveTo(match.index + match[0].length);
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#source);
  }

  /** The tokens inside `{{ … }}` or `{% … %}`. */
  #readTag(kind: string, start: number): void {
    const isVariable = kind === "{";
    this.#add(isVariable ? "variable_begin" : "block_begin", "", start);
    const open: string[] = [];
    while (this.#at < this.#source.length) {
      // A bracket that is still open takes precedence over the end of the tag.
      const end = open.length === 0 ? this.#match(isVariable ? variableEnd : blockEnd) : null;
      if (end !== null) {
        this.#add(isVariable ? "variable_end" : "block_end", "", this.#at);
        this.#moveTo(this.#at + end[0].length);
        return;
      }
      this.#readToken(open);
    }
  }

  #readToken(open: string[]): void {
    const gap = this.#match(skipped);
    if (gap !== null) {
      this.#moveTo(this.#at + gap[0].length);
      return;
    }
    for (const [type, pattern] of [
      ["float", float],
      ["integer", integer],
      ["name", name],
      ["string", string],
      ["operator", operator],
    ] as const) {
      const match = this.#match(pattern);
      if (match === null) continue;
      const [text] = match;
      if (type === "operator") this.#checkBalance(text, open);
      if (type === "name" && !/^[\p{ID_Start}_][\p{ID_Continue}]*$/u.test(text)) {
        this.#fail("Invalid character in identifier");
      }
      const line = this.#lineAt(this.#at);
      const value = type === "string" ? readStringLiteral(match[1] ?? match[2] ?? "", line) : text;
      this.#add(type, value, this.#at);
      this.#moveTo(this.#at + text.length);
      return;
    }
    this.#fail(`unexpected char '${String.fromCodePoint(this.#source.codePointAt(this.#at)!)}'`);
  }

  #checkBalance(text: string, open: string[]): void {
    if ("([{".includes(text)) {
      open.push(text);
      return;
    }
    const opener = closing[text];
    if (opener === undefined) return;
    const last = open.pop();
    if (last === undefined) this.#fail(`unexpected '${text}'`);
    if (last !== opener) this.#fail(`unexpected '${text}', which does not close '${last}'`);
  }
}
