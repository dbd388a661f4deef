/** Statistics of a generation, as text: one line, or all of them. */
import { formatBytes, formatDuration, formatRate } from "../../core/progress.ts";
import type { GenerateResult } from "../../generate/types.ts";
import type { ModelMemory } from "../../model/types.ts";
import { describeDrafting } from "./drafting.ts";

/** Items per second; null if no time passed. */
export function rate(count: number, seconds: number): number | null {
  return seconds > 0 ? count / seconds : null;
}

/** What a generation is described by. */
export interface GenerationFigures {
  readonly result: GenerateResult;
  readonly memory: ModelMemory;
  /** Whether the prompt was read behind an opening, whose tokens count as the prompt's. */
  readonly isOpened: boolean;
}

/** One line: rates, the gain of speculative decoding, memory. */
export function describeRates({ result, memory, isOpened }: GenerationFigures): string {
  const { promptTokens, reusedTokens, ids, prefillSeconds, decodeSeconds, drafting } = result;
  const promptRate = rate(promptTokens - reusedTokens, prefillSeconds);
  const decodeRate = rate(ids.length, decodeSeconds);
  const parts = [
    `prompt ${promptTokens} tokens` +
      (isOpened ? " with an opening (--raw: without)" : "") +
      (reusedTokens > 0 ? ` (${reusedTokens} from the cache)` : "") +
      (promptRate === null ? "" : ` at ${formatRate(promptRate)}/s`),
    `generated ${ids.length}${decodeRate === null ? "" : ` at ${formatRate(decodeRate)}/s`}` +
      (drafting === undefined || drafting.forwardPasses === 0
        ? ""
        : `, ${drafting.meanAcceptanceLength.toFixed(2)} per forward pass`),
    describeMemory(memory),
  ];
  return parts.join("; ");
}

/** One line about memory. */
export function describeMemory({ resident, weights, cache }: ModelMemory): string {
  return `${formatBytes(resident)} resident (weights ${formatBytes(weights)}, cache ${formatBytes(cache)})`;
}

/** All statistics, in several lines. */
export function describeStatistics(figures: GenerationFigures): string {
  const { result } = figures;
  const { prefillSeconds, decodeSeconds, seed, finishReason, drafting } = result;
  const lines = [
    describeRates(figures),
    `prompt in ${formatDuration(prefillSeconds)}, text in ${formatDuration(decodeSeconds)}; ` +
      `ended by ${finishReason === "stop" ? "an end token or stop text" : "the maximum length"}; seed ${seed}`,
  ];
  if (drafting !== undefined && drafting.forwardPasses > 0) lines.push(describeDrafting(drafting));
  return lines.join("\n");
}
