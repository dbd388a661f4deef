/** The state of a running template. */
import type { Runtime } from "./python/runtime-type.ts";
import type { Value } from "./python/values.ts";
import type { Scope } from "./scope.ts";

/** A part of a text: from `start` to before `end`, in UTF-16 units as `slice` takes them. */
export interface TextSpan {
  readonly start: number;
  readonly end: number;
}

/** Text that is being written, with the parts of it that `generation` blocks wrote. */
export interface Output {
  text: string;
  readonly spans: TextSpan[];
}

/** A text that a macro or block gave back, and the `generation` parts in it. */
export interface SpannedText {
  readonly text: string;
  readonly spans: readonly TextSpan[];
}

/** State of one rendering. */
export interface Rendering extends Runtime {
  autoescape: boolean;
  /** Line of the statement that runs. */
  line: number;
  /** Nesting of macro calls and recursive loops. */
  depth: number;
  /** Texts with `generation` parts that are values now and may be printed later. */
  readonly spannedTexts: SpannedText[];
  /** Names of the template's outermost statements, which its blocks see. */
  readonly topScope: Scope;
}

/** Where a statement runs. */
export interface Frame {
  scope: Scope;
  output: Output;
  readonly rendering: Rendering;
}

/** A compiled expression. */
export type Evaluator = (frame: Frame) => Value;

/** What a statement ends with: usually nothing, else how it leaves its loop. */
export type Completion = "done" | "break" | "continue";

/** A compiled statement. */
export type Executor = (frame: Frame) => Completion;
