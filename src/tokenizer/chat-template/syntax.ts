/** The syntax tree of a template. */
import type { Value } from "./python/values.ts";

export interface CallSyntax {
  readonly positional: readonly Expression[];
  readonly keyword: readonly (readonly [string, Expression])[];
  readonly spread: Expression | undefined;
  readonly keywordSpread: Expression | undefined;
}

export type BinaryOperator = "+" | "-" | "*" | "/" | "//" | "%" | "**";
export type CompareOperator = "==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not in";

export type Expression =
  | { readonly kind: "constant"; readonly value: Value }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "list" | "tuple" | "concat"; readonly items: readonly Expression[] }
  | { readonly kind: "dict"; readonly entries: readonly (readonly [Expression, Expression])[] }
  | { readonly kind: "attribute"; readonly object: Expression; readonly name: string }
  | { readonly kind: "item"; readonly object: Expression; readonly key: Expression }
  | {
      readonly kind: "slice";
      readonly start: Expression | undefined;
      readonly stop: Expression | undefined;
      readonly step: Expression | undefined;
    }
  | { readonly kind: "call"; readonly callee: Expression; readonly arguments: CallSyntax }
  | FilterSyntax
  | {
      readonly kind: "test";
      readonly value: Expression;
      readonly name: string;
      readonly arguments: CallSyntax;
      readonly line: number;
    }
  | {
      readonly kind: "binary";
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly kind: "unary"; readonly operator: "+" | "-" | "not"; readonly operand: Expression }
  | {
      readonly kind: "and" | "or";
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly kind: "compare";
      readonly first: Expression;
      readonly rest: readonly (readonly [CompareOperator, Expression])[];
    }
  | {
      readonly kind: "condition";
      readonly test: Expression;
      readonly consequent: Expression;
      readonly otherwise: Expression | undefined;
    };

/** `value | name(…)`; the value of a block's filter is the block's text. */
export interface FilterSyntax {
  readonly kind: "filter";
  readonly value: Expression | undefined;
  readonly name: string;
  readonly arguments: CallSyntax;
  readonly line: number;
}

/** What an assignment or a loop assigns to. */
export type Target =
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "field"; readonly object: string; readonly field: string }
  | { readonly kind: "targets"; readonly items: readonly Target[] };

/** Parameters and body of a macro or call block. */
export interface MacroSyntax {
  readonly name: string | undefined;
  readonly parameters: readonly string[];
  /** Defaults of the last parameters. */
  readonly defaults: readonly Expression[];
  readonly body: readonly Statement[];
}

export interface ForSyntax {
  readonly kind: "for";
  readonly target: Target;
  readonly iterable: Expression;
  readonly test: Expression | undefined;
  readonly recursive: boolean;
  readonly body: readonly Statement[];
  readonly otherwise: readonly Statement[];
  readonly line: number;
}

export interface BlockSyntax {
  readonly kind: "block";
  readonly name: string;
  readonly scoped: boolean;
  readonly required: boolean;
  readonly body: readonly Statement[];
  readonly line: number;
}

export type Statement =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "output"; readonly value: Expression; readonly line: number }
  | {
      readonly kind: "if";
      readonly branches: readonly (readonly [Expression, readonly Statement[]])[];
      readonly otherwise: readonly Statement[];
      readonly line: number;
    }
  | ForSyntax
  | { readonly kind: "break" | "continue"; readonly line: number }
  | {
      readonly kind: "set";
      readonly target: Target;
      readonly value: Expression;
      readonly line: number;
    }
  | {
      readonly kind: "setBlock";
      readonly target: Target;
      readonly filter: Expression | undefined;
      readonly body: readonly Statement[];
      readonly line: number;
    }
  | { readonly kind: "macro"; readonly macro: MacroSyntax; readonly line: number }
  | {
      readonly kind: "call";
      readonly call: Expression;
      readonly caller: MacroSyntax;
      readonly line: number;
    }
  | {
      readonly kind: "filterBlock";
      readonly filter: Expression;
      readonly body: readonly Statement[];
      readonly line: number;
    }
  | {
      readonly kind: "with";
      readonly targets: readonly (readonly [Target, Expression])[];
      readonly body: readonly Statement[];
      readonly line: number;
    }
  | {
      readonly kind: "autoescape";
      readonly enabled: Expression;
      readonly body: readonly Statement[];
      readonly line: number;
    }
  | { readonly kind: "generation"; readonly body: readonly Statement[]; readonly line: number }
  | BlockSyntax
  /** `include`, `import`, `from` and `extends`: there is nothing to load from. */
  | { readonly kind: "load"; readonly line: number };
