/** Tokens of a template. */

/** `data` is text outside of tags; operators are tokens of their own kind, named as they are written. */
export type TokenType =
  | "data"
  | "variable_begin"
  | "variable_end"
  | "block_begin"
  | "block_end"
  | "name"
  | "string"
  | "integer"
  | "float"
  | "operator"
  | "end";

export interface Token {
  readonly type: TokenType;
  readonly text: string;
  /** Line of the template, from 1. */
  readonly line: number;
}

const described: Readonly<Partial<Record<TokenType, string>>> = {
  variable_begin: "begin of print statement",
  variable_end: "end of print statement",
  block_begin: "begin of statement block",
  block_end: "end of statement block",
  data: "template data / text",
  end: "end of template",
};

/** A token in an error message. */
export function describeToken(token: Token): string {
  return described[token.type] ?? token.text;
}

/** A kind of token in an error message. */
export function describeType(type: string): string {
  return described[type as TokenType] ?? type;
}
