/**
 * How many tokens a forward brings with a drafter, over requests that are the same for all drafters.
 *
 * Small models fall into loops when they decode greedily, and in a loop every drafter looks brilliant:
 * each request ends where its plain text begins to repeat itself.
 */
import { JetonError } from "../../core/index.ts";
import type { LoadedModel } from "../../model/index.ts";
import type { Drafter } from "../drafter.ts";
import { complete } from "../generate.ts";
import { promptIds } from "../options.ts";
import type { SamplingOptions } from "../types.ts";
import type { DecodingTask } from "./decoding-tasks.ts";

/** A request with the text that plain decoding gives. */
export interface PlannedTask extends DecodingTask {
  readonly promptIds: readonly number[];
  readonly sampling: SamplingOptions;
  /** Without loops. */
  readonly plainIds: readonly number[];
}

export interface PlanTasksOptions {
  readonly sampling: SamplingOptions;
  /** Most tokens of an answer. */
  readonly maxTokens: number;
  /** Answers that are shorter without their loop are left out. Default 8. */
  readonly leastTokens?: number;
  readonly signal?: AbortSignal;
}

/** Decodes plainly, and plans each request up to where its text begins to loop. */
export async function planTasks(
  model: LoadedModel,
  tasks: readonly DecodingTask[],
  options: PlanTasksOptions,
): Promise<PlannedTask[]> {
  const { sampling, maxTokens, leastTokens = 8, signal } = options;
  const planned: PlannedTask[] = [];
  for (const [index, task] of tasks.entries()) {
    const ids = promptIds(model, task.prompt);
    const keyed = { ...sampling, seed: (sampling.seed ?? 0) + index };
    const { ids: plain } = await complete(model, ids, {
      ...keyed,
      maxTokens: Math.min(maxTokens, model.contextLength - ids.length),
      ...(signal && { signal }),
    });
    const plainIds = plain.slice(0, lengthWithoutLoop(plain));
    if (plainIds.length < leastTokens) continue;
    planned.push({ ...task, promptIds: ids, sampling: keyed, plainIds });
  }
  return planned;
}

/** Longest period that counts as a loop, in tokens. */
const longestPeriod = 32;

/**
 * Tokens before a sequence begins to repeat the same stretch until its end: three times at least, and
 * 12 tokens at least. The first passage through the stretch is no loop yet.
 */
export function lengthWithoutLoop(ids: readonly number[]): number {
  let shortest = ids.length;
  for (let period = 1; period <= Math.min(longestPeriod, ids.length - 1); period++) {
    let start = ids.length - period;
    while (start > 0 && ids[start - 1] === ids[start - 1 + period]) start--;
    const looping = ids.length - start;
    if (looping >= Math.max(12, 3 * period)) shortest = Math.min(shortest, start + period);
  }
  return shortest;
}

/** What a drafter brought over some requests. */
export interface DraftingMeasurement {
  readonly tasks: number;
  /** Tokens that forwards after the prompt decided. */
  readonly tokens: number;
  readonly forwards: number;
  readonly drafted: number;
  readonly accepted: number;
  /** Time of decoding, prompts apart. */
  readonly seconds: number;
  /** Time that the drafter itself took of it. */
  readonly draftSeconds: number;
}

/**
 * Decodes requests with a drafter, in order, so that it learns from one for the next.
 *
 * @throws JetonError `drafting-changed-text` where the text is not that of plain decoding
 */
export async function measureDrafting(
  model: LoadedModel,
  tasks: readonly PlannedTask[],
  options: { drafter?: Drafter; maximumDraft?: number; signal?: AbortSignal },
): Promise<DraftingMeasurement> {
  const sum = { tasks: 0, tokens: 0, forwards: 0, drafted: 0, accepted: 0 };
  let seconds = 0;
  let draftSeconds = 0;
  for (const { name, promptIds: prompt, plainIds, sampling } of tasks) {
    const maxTokens = plainIds.length;
    const result = await complete(model, prompt, { ...sampling, ...options, maxTokens });
    const differs = plainIds.findIndex((id, at) => result.ids[at] !== id);
    if (differs >= 0) {
      throw new JetonError(`with ${options.drafter?.name} the text of ${name} is another`, {
        code: "drafting-changed-text",
        details: { name, position: differs, expected: plainIds, found: result.ids },
      });
    }
    const { drafting } = result;
    sum.tasks++;
    sum.tokens += drafting?.tokens ?? maxTokens - 1;
    sum.forwards += drafting?.forwards ?? maxTokens - 1;
    sum.drafted += drafting?.drafted ?? 0;
    sum.accepted += drafting?.accepted ?? 0;
    seconds += result.decodeSeconds;
    draftSeconds += drafting?.draftSeconds ?? 0;
  }
  return { ...sum, seconds, draftSeconds };
}

/** Mean accepted length: tokens that a forward brings, the model's own included. */
export function tokensPerForward({ tokens, forwards }: DraftingMeasurement): number {
  return tokens / forwards;
}

/** Sums of several measurements. */
export function sumMeasurements(parts: readonly DraftingMeasurement[]): DraftingMeasurement {
  const total = (name: keyof DraftingMeasurement): number =>
    parts.reduce((sum, part) => sum + part[name], 0);
  return {
    tasks: total("tasks"),
    tokens: total("tokens"),
    forwards: total("forwards"),
    drafted: total("drafted"),
    accepted: total("accepted"),
    seconds: total("seconds"),
    draftSeconds: total("draftSeconds"),
  };
}
