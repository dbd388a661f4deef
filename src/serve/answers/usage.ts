/**
 * The `usage` of an answer: tokens, and what drafting brought.
 */
import type { DraftStatistics } from "../../generate/speculative/statistics.ts";
import type { GenerateResult } from "../../generate/types.ts";
import type { SequencePlan } from "./generation-run.ts";

/** Token counts of an answer so far. */
export interface TokenUsage {
  readonly promptTokens: number;
  /** Prompt tokens whose keys and values were still in the cache. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
  /** OpenAI's and jeton's fields about drafting; empty without a drafter. */
  readonly drafting: object;
}

/** Counts the tokens of one request. A prompt counts once however many choices it has. */
export class UsageCounter {
  readonly #plans: readonly SequencePlan[];
  readonly #results: Map<number, GenerateResult> = new Map();
  readonly #generated: Map<number, number> = new Map();

  constructor(plans: readonly SequencePlan[]) {
    this.#plans = plans;
  }

  countToken(index: number): void {
    this.#generated.set(index, (this.#generated.get(index) ?? 0) + 1);
  }

  countResult(index: number, result: GenerateResult): void {
    this.#results.set(index, result);
    this.#generated.set(index, result.ids.length);
  }

  /** Counts so far. */
  current(): TokenUsage {
    let promptTokens = 0;
    let cachedTokens = 0;
    let completionTokens = 0;
    const counted = new Set<number>();
    for (const plan of this.#plans) {
      completionTokens += this.#generated.get(plan.index) ?? 0;
      if (counted.has(plan.promptNumber)) continue;
      counted.add(plan.promptNumber);
      promptTokens += plan.ids.length;
      cachedTokens += this.#results.get(plan.index)?.reusedTokens ?? 0;
    }
    const drafting = describeDrafting(
      this.#plans.map(({ index }) => this.#results.get(index)?.drafting),
    );
    return { promptTokens, cachedTokens, completionTokens, drafting };
  }
}

/** Usage as completions and chat write it. */
export function writeUsage(usage: TokenUsage): object {
  const { promptTokens, completionTokens } = usage;
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
    ...usage.drafting,
  };
}

interface DrafterShare {
  forwardPasses: number;
  drafted: number;
  accepted: number;
}

/** Drafting statistics of all sequences of a request. */
function describeDrafting(each: readonly (DraftStatistics | undefined)[]): object {
  const counted = each.filter((drafting) => drafting !== undefined);
  if (counted.length === 0) return {};
  const sum = (value: (drafting: DraftStatistics) => number): number =>
    counted.reduce((total, drafting) => total + value(drafting), 0);
  const forwardPasses = sum((drafting) => drafting.forwardPasses);
  const drafted = sum((drafting) => drafting.drafted);
  const accepted = sum((drafting) => drafting.accepted);
  const tokens = sum((drafting) => drafting.tokens);
  return {
    completion_tokens_details: {
      accepted_prediction_tokens: accepted,
      rejected_prediction_tokens: drafted - accepted,
    },
    drafting: {
      drafter: counted[0]!.drafter,
      forward_passes: forwardPasses,
      drafted_tokens: drafted,
      accepted_tokens: accepted,
      mean_acceptance_length: forwardPasses === 0 ? 0 : tokens / forwardPasses,
      by_drafter: writeDrafterShares(counted),
      acceptance_by_depth: acceptanceByDepth(counted),
      seconds: {
        draft: sum((drafting) => drafting.draftSeconds),
        forward: sum((drafting) => drafting.forwardSeconds),
        verify: sum((drafting) => drafting.verifySeconds),
      },
    },
  };
}

function writeDrafterShares(counted: readonly DraftStatistics[]): Record<string, object> {
  const byDrafter = new Map<string, DrafterShare>();
  for (const share of counted.flatMap((drafting) => drafting.byDrafter)) {
    const known = byDrafter.get(share.drafter) ?? { forwardPasses: 0, drafted: 0, accepted: 0 };
    known.forwardPasses += share.forwardPasses;
    known.drafted += share.drafted;
    known.accepted += share.accepted;
    byDrafter.set(share.drafter, known);
  }
  return Object.fromEntries(
    [...byDrafter].map(([name, share]) => [
      name,
      {
        forward_passes: share.forwardPasses,
        drafted_tokens: share.drafted,
        accepted_tokens: share.accepted,
      },
    ]),
  );
}

/** Share of draft tokens that were accepted, by depth. */
function acceptanceByDepth(counted: readonly DraftStatistics[]): number[] {
  const byDepth: { tried: number; accepted: number }[] = [];
  for (const drafting of counted) {
    for (const [index, entry] of drafting.byDepth.entries()) {
      const known = byDepth[index] ?? { tried: 0, accepted: 0 };
      byDepth[index] = {
        tried: known.tried + entry.tried,
        accepted: known.accepted + entry.accepted,
      };
    }
  }
  return byDepth.map(({ tried, accepted }) => accepted / tried);
}
