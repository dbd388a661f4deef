/**
 * What an endpoint's format of answers provides, whole or as a stream.
 */
import type { GeneratedToken, GenerateResult, ScoredToken } from "../../generate/types.ts";
import type { ErrorBody } from "../middleware/errors.ts";
import type { ServerEvent } from "./event-stream.ts";
import type { TokenUsage } from "./usage.ts";

/** All that one choice brought. */
export interface ChoiceOutcome {
  /** Scores of the prompt's tokens without the first, where asked for. */
  readonly scores: readonly ScoredToken[] | undefined;
  readonly tokens: readonly GeneratedToken[];
  readonly result: GenerateResult;
}

/** Reads the usage so far. */
export type UsageReader = () => TokenUsage;

/** Writes one answer. It keeps state, so it serves one request. */
export interface AnswerWriter {
  /** Whether `[DONE]` ends a stream. */
  readonly isDoneMarked: boolean;
  /** The answer as one document. */
  document(outcomes: readonly ChoiceOutcome[], usage: TokenUsage): object;
  /** Events before anything is known. */
  begin(): readonly ServerEvent[];
  /** Events of a scored prompt. */
  prompt(index: number, scores: readonly ScoredToken[]): readonly ServerEvent[];
  /** Events of one token; none where it adds nothing to see. */
  token(index: number, token: GeneratedToken, usage: UsageReader): readonly ServerEvent[];
  /** Events of the end of one choice. */
  end(index: number, result: GenerateResult, usage: UsageReader): readonly ServerEvent[];
  /** Events after the end of all choices. */
  finish(usage: TokenUsage): readonly ServerEvent[];
  /** Events of a failure; nothing follows them. */
  fail(error: ErrorBody): readonly ServerEvent[];
}
