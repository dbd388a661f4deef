/** What the compiler of statements hands on to its parts. */
import type { Executor } from "./frame.ts";
import type { Statement } from "./syntax.ts";

/** A block that has a name. */
export interface CompiledBlock {
  readonly body: Executor;
  readonly required: boolean;
}

/** Where a statement stands. */
export interface StatementContext {
  /** Inside an `if`, where an unknown filter or test fails only when it is used. */
  readonly lenient: boolean;
  /** Whether `break` and `continue` have a loop to leave. */
  readonly inLoop: boolean;
  /** Blocks of the template, which the compiler adds to. */
  readonly blocks: Map<string, CompiledBlock>;
  /** Compiles the statements inside another one. */
  readonly compileBody: (statements: readonly Statement[], context: StatementContext) => Executor;
}
