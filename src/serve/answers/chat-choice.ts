/**
 * Choices of `/v1/chat/completions`.
 */
import type { GeneratedToken, GenerateResult } from "../../generate/types.ts";
import type { ServeContext } from "../context.ts";
import type { ChoiceOutcome } from "./answer-writer.ts";
import type { ChoiceWriter } from "./chunk-writer.ts";
import {
  type ReportedToken,
  reportedTokens,
  writeTokenLogProbabilities,
} from "./log-probability.ts";

/** Writes one choice. */
export class ChatChoice implements ChoiceWriter {
  readonly #context: ServeContext;
  readonly #index: number;
  readonly #withLogProbabilities: boolean;

  constructor(context: ServeContext, index: number, withLogProbabilities: boolean) {
    this.#context = context;
    this.#index = index;
    this.#withLogProbabilities = withLogProbabilities;
  }

  start(): object {
    return this.#chunk({ role: "assistant", content: "" }, null, null);
  }

  delta(token: GeneratedToken): object | undefined {
    if (token.text === "" && !this.#withLogProbabilities) return undefined;
    return this.#chunk({ content: token.text }, this.#logProbabilities([token]), null);
  }

  end(result: GenerateResult): object {
    const delta = result.tail === "" ? {} : { content: result.tail };
    const ending = reportedTokens([], result);
    const logprobs = ending.length > 0 ? this.#logProbabilities(ending) : null;
    return this.#chunk(delta, logprobs, result.finishReason);
  }

  whole({ tokens, result }: ChoiceOutcome): object {
    return {
      index: this.#index,
      message: { role: "assistant", content: result.text, refusal: null },
      logprobs: this.#logProbabilities(reportedTokens(tokens, result)),
      finish_reason: result.finishReason,
    };
  }

  #chunk(delta: object, logprobs: object | null, finishReason: string | null): object {
    return { index: this.#index, delta, logprobs, finish_reason: finishReason };
  }

  #logProbabilities(tokens: readonly ReportedToken[]): object | null {
    if (!this.#withLogProbabilities) return null;
    const { describeToken } = this.#context;
    return { content: writeTokenLogProbabilities(tokens, describeToken), refusal: null };
  }
}
