/** A cursor over the tokens of a template. */
import { syntaxFailure, type TemplateFailure } from "./python/failure.ts";
import { describeToken, describeType, type Token, type TokenType } from "./token.ts";

export class TokenStream {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get current(): Token {
    return this.#tokens[this.#at]!;
  }

  /** The token after the current one. */
  get following(): Token {
    return this.#tokens[Math.min(this.#at + 1, this.#tokens.length - 1)]!;
  }

  /** The current token; the next one becomes current. The last token stays. */
  next(): Token {
    const token = this.current;
    if (token.type !== "end") this.#at++;
    return token;
  }

  is(type: TokenType): boolean {
    return this.current.type === type;
  }

  isOperator(...operators: readonly string[]): boolean {
    return this.is("operator") && operators.includes(this.current.text);
  }

  isName(...names: readonly string[]): boolean {
    return this.is("name") && names.includes(this.current.text);
  }

  /** Passes over an operator; false when another token stands there. */
  skipOperator(operator: string): boolean {
    const found = this.isOperator(operator);
    if (found) this.next();
    return found;
  }

  /** Passes over a name; false when another token stands there. */
  skipName(name: string): boolean {
    const found = this.isName(name);
    if (found) this.next();
    return found;
  }

  expect(type: TokenType): Token {
    if (!this.is(type)) throw this.#unexpected(describeType(type));
    return this.next();
  }

  expectOperator(operator: string): void {
    if (!this.skipOperator(operator)) throw this.#unexpected(operator);
  }

  expectName(name: string): void {
    if (!this.skipName(name)) throw this.#unexpected(name);
  }

  fail(message: string): TemplateFailure {
    return syntaxFailure(message, this.current.line);
  }

  #unexpected(wanted: string): TemplateFailure {
    return this.is("end")
      ? this.fail(`unexpected end of template, expected '${wanted}'.`)
      : this.fail(`expected token '${wanted}', got '${describeToken(this.current)}'`);
  }
}
