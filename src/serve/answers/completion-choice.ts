/**
 * Choices of `/v1/completions`.
 */
import type { GeneratedToken, GenerateResult, ScoredToken } from "../../generate/types.ts";
import type { ServeContext } from "../context.ts";
import type { ChoiceOutcome } from "./answer-writer.ts";
import type { ChoiceWriter } from "./chunk-writer.ts";
import type { SequencePlan } from "./generation-run.ts";
import { type ReportedToken, reportedTokens, writeLogProbability } from "./log-probability.ts";
import { writePromptLogProbabilities } from "./prompt-log-probabilities.ts";
import { countCodePoints, TextOffsets } from "./text-offsets.ts";

/** OpenAI's older form of log-probabilities: four lists, one entry for each token. */
interface CompletionLogProbabilities {
  tokens: string[];
  token_logprobs: (number | null)[];
  top_logprobs: (Record<string, number> | null)[] | null;
  text_offset: number[];
}

export interface CompletionChoiceOptions {
  readonly context: ServeContext;
  readonly plan: SequencePlan;
  /** Text of the prompt, where it stands before the answer. */
  readonly echo: string;
  /** Where the prompt's tokens begin in it, where their log-probabilities are wanted. */
  readonly promptOffsets: (() => readonly number[]) | undefined;
  /** Alternatives of each token; undefined: no log-probabilities. */
  readonly alternatives: number | undefined;
  /** Whether vLLM's `prompt_logprobs` are wanted. */
  readonly withPromptLogProbabilities: boolean;
}

/** Writes one choice. */
export class CompletionChoice implements ChoiceWriter {
  readonly #options: CompletionChoiceOptions;
  readonly #offsets: TextOffsets;

  constructor(options: CompletionChoiceOptions) {
    this.#options = options;
    const { context, plan, echo } = options;
    this.#offsets = new TextOffsets({
      tokenizer: context.model.tokenizer,
      describeToken: context.describeToken,
      start: countCodePoints(echo),
      context: plan.ids,
    });
  }

  start(scores: readonly ScoredToken[] | undefined): object | undefined {
    const { echo, promptOffsets } = this.#options;
    const lists = scores && promptOffsets ? this.#promptLists(scores, promptOffsets()) : null;
    return echo === "" && lists === null ? undefined : this.#write(echo, lists, null);
  }

  delta(token: GeneratedToken): object | undefined {
    if (token.text === "" && this.#options.alternatives === undefined) return undefined;
    return this.#write(token.text, this.#tokenLists([token]), null);
  }

  end(result: GenerateResult): object {
    const ending = reportedTokens([], result);
    const lists = ending.length > 0 ? this.#tokenLists(ending) : null;
    return this.#write(result.tail, lists, result.finishReason);
  }

  whole({ scores, tokens, result }: ChoiceOutcome): object {
    const { echo, promptOffsets, context } = this.#options;
    const prompt = scores && promptOffsets ? this.#promptLists(scores, promptOffsets()) : null;
    const lists = joinLists(prompt, this.#tokenLists(reportedTokens(tokens, result)));
    return {
      ...this.#write(echo + result.text, lists, result.finishReason),
      ...(scores &&
        this.#options.withPromptLogProbabilities && {
          prompt_logprobs: writePromptLogProbabilities(scores, context.describeToken),
        }),
    };
  }

  #write(
    text: string,
    logprobs: CompletionLogProbabilities | null,
    finishReason: string | null,
  ): object {
    return { index: this.#options.plan.index, text, logprobs, finish_reason: finishReason };
  }

  /** Lists of the prompt's tokens; nothing precedes the first, so it has no probability. */
  #promptLists(
    scores: readonly ScoredToken[],
    offsets: readonly number[],
  ): CompletionLogProbabilities {
    const first = this.#options.plan.ids[0]!;
    const lists = this.#emptyLists();
    lists.tokens.push(this.#options.context.describeToken(first).name);
    lists.token_logprobs.push(null);
    lists.top_logprobs?.push(null);
    lists.text_offset.push(offsets[0]!);
    for (const [index, score] of scores.entries()) this.#add(lists, score, offsets[index + 1]!);
    return lists;
  }

  #tokenLists(tokens: readonly ReportedToken[]): CompletionLogProbabilities | null {
    if (this.#options.alternatives === undefined) return null;
    const lists = this.#emptyLists();
    for (const token of tokens) this.#add(lists, token, this.#offsets.next(token.id));
    return lists;
  }

  #emptyLists(): CompletionLogProbabilities {
    const top = (this.#options.alternatives ?? 0) > 0 ? [] : null;
    return { tokens: [], token_logprobs: [], top_logprobs: top, text_offset: [] };
  }

  #add(lists: CompletionLogProbabilities, token: ReportedToken, offset: number): void {
    const { context, alternatives = 0 } = this.#options;
    const { name } = context.describeToken(token.id);
    lists.tokens.push(name);
    lists.token_logprobs.push(writeLogProbability(token.logProbability));
    lists.text_offset.push(offset);
    if (lists.top_logprobs === null) return;
    const top: Record<string, number> = Object.create(null);
    for (const other of (token.topLogProbabilities ?? []).slice(0, alternatives)) {
      top[context.describeToken(other.id).name] = writeLogProbability(other.logProbability);
    }
    // The token itself is always among them, so there may be one more than asked for.
    top[name] ??= writeLogProbability(token.logProbability);
    lists.top_logprobs.push(top);
  }
}

function joinLists(
  first: CompletionLogProbabilities | null,
  second: CompletionLogProbabilities | null,
): CompletionLogProbabilities | null {
  if (first === null || second === null) return first ?? second;
  return {
    tokens: [...first.tokens, ...second.tokens],
    token_logprobs: [...first.token_logprobs, ...second.token_logprobs],
    top_logprobs: first.top_logprobs && [...first.top_logprobs, ...(second.top_logprobs ?? [])],
    text_offset: [...first.text_offset, ...second.text_offset],
  };
}
