/**
 * Measures the mean acceptance length of drafters, over requests that are the same for all of them.
 *
 * Small models fall into loops under greedy decoding, where every drafter is accepted: each request ends
 * where its autoregressive text begins to repeat itself.
 */
import { JetonError } from "../../core/index.ts";
import type { LoadedModel } from "../../model/index.ts";
import { complete } from "../generate.ts";
import { promptIds } from "../prompt.ts";
import type { Drafter } from "../speculative/drafter.ts";
import type { SamplingOptions } from "../types.ts";
import {
  type DecodingTask,
  type DecodingTaskKind,
  type DecodingTasksOptions,
  decodingTaskKinds,
  decodingTasks,
} from "./reproduction-tasks.ts";

/** A request with its autoregressive text. */
export interface PlannedTask extends DecodingTask {
  readonly promptIds: readonly number[];
  readonly sampling: SamplingOptions;
  /** The autoregressive text up to the first loop. */
  readonly autoregressiveIds: readonly number[];
}

export interface PlanTasksOptions {
  readonly sampling: SamplingOptions;
  /** Most tokens of an answer. */
  readonly maxTokens: number;
  /** Answers that are shorter before their loop are left out. Default 8. */
  readonly minTokens?: number;
  /** Number of planned requests. Default: all that are long enough. */
  readonly count?: number;
  readonly signal?: AbortSignal;
}

/** Decodes autoregressively, and plans each request up to where its text begins to loop. */
export async function planTasks(
  model: LoadedModel,
  tasks: readonly DecodingTask[],
  options: PlanTasksOptions,
): Promise<PlannedTask[]> {
  const { sampling, maxTokens, minTokens = 8, count = tasks.length, signal } = options;
  const planned: PlannedTask[] = [];
  for (const [index, task] of tasks.entries()) {
    if (planned.length === count) break;
    const ids = promptIds(model, task.prompt);
    const keyed = { ...sampling, seed: (sampling.seed ?? 0) + index };
    const { ids: autoregressive } = await complete(model, ids, {
      ...keyed,
      maxTokens: Math.min(maxTokens, model.contextLength - ids.length),
      ...(signal && { signal }),
    });
    const autoregressiveIds = autoregressive.slice(0, lengthWithoutLoop(autoregressive));
    if (autoregressiveIds.length < minTokens) continue;
    planned.push({ ...task, promptIds: ids, sampling: keyed, autoregressiveIds });
  }
  return planned;
}

/** Planned requests of all kinds. */
export type PlannedKinds = Readonly<Record<DecodingTaskKind, readonly PlannedTask[]>>;

/** Tasks tried for each planned one: small models answer some with a loop from the start. */
export const tasksPerPlanned = 3;

/** Plans `count` requests of each kind, out of `tasksPerPlanned` times as many tasks after `skip`. */
export async function planKinds(
  model: LoadedModel,
  tasks: Omit<DecodingTasksOptions, "kind">,
  options: PlanTasksOptions,
): Promise<PlannedKinds> {
  const planned: Record<DecodingTaskKind, PlannedTask[]> = {
    prose: [],
    code: [],
    recall: [],
    answer: [],
  };
  const { count } = tasks;
  for (const kind of decodingTaskKinds) {
    const pool = await decodingTasks({ ...tasks, kind, count: tasksPerPlanned * count });
    planned[kind] = await planTasks(model, pool, { ...options, count });
    if (planned[kind].length > 0) continue;
    throw new JetonError(`${model.name} answers no request of kind ${kind} without a loop`, {
      code: "drafting-only-loops",
      details: { kind, tried: pool.length },
    });
  }
  return planned;
}

/** Longest period that counts as a loop, in tokens. */
const maxPeriod = 32;

/**
 * Number of tokens before a sequence repeats one period until its end, at least three times and over at least
 * 12 tokens. The first period does not count as a loop.
 */
export function lengthWithoutLoop(ids: readonly number[]): number {
  let shortest = ids.length;
  for (let period = 1; period <= Math.min(maxPeriod, ids.length - 1); period++) {
    let start = ids.length - period;
    while (start > 0 && ids[start - 1] === ids[start - 1 + period]) start--;
    const looping = ids.length - start;
    if (looping >= Math.max(12, 3 * period)) shortest = Math.min(shortest, start + period);
  }
  return shortest;
}

/** Totals of a drafter over some requests. */
export interface DraftingMeasurement {
  readonly tasks: number;
  /** Requests whose text is that of autoregressive decoding, token for token. */
  readonly identical: number;
  /** Tokens emitted by the forward passes after the prompt. */
  readonly tokens: number;
  readonly forwardPasses: number;
  readonly drafted: number;
  readonly accepted: number;
  /** Time of decoding without prefill. */
  readonly seconds: number;
  /** The drafter's part of it. */
  readonly draftSeconds: number;
}

export interface MeasureDraftingOptions {
  /** Default: autoregressive decoding. */
  readonly drafter?: Drafter;
  /** Most draft tokens of a forward pass. */
  readonly maxDraft?: number;
  readonly signal?: AbortSignal;
}

/** Decodes requests with a drafter, in order: it learns from each for the next. One entry a request. */
export async function measureRequests(
  model: LoadedModel,
  tasks: readonly PlannedTask[],
  options: MeasureDraftingOptions,
): Promise<DraftingMeasurement[]> {
  const parts: DraftingMeasurement[] = [];
  for (const { promptIds: prompt, autoregressiveIds, sampling } of tasks) {
    const maxTokens = autoregressiveIds.length;
    const result = await complete(model, prompt, { ...sampling, ...options, maxTokens });
    const { ids, drafting, decodeSeconds } = result;
    parts.push({
      tasks: 1,
      identical: isSame(ids, autoregressiveIds) ? 1 : 0,
      // The first token comes from the prompt's own forward.
      tokens: drafting?.tokens ?? maxTokens - 1,
      forwardPasses: drafting?.forwardPasses ?? maxTokens - 1,
      drafted: drafting?.drafted ?? 0,
      accepted: drafting?.accepted ?? 0,
      seconds: decodeSeconds,
      draftSeconds: drafting?.draftSeconds ?? 0,
    });
  }
  return parts;
}

/** Whether two texts are the same, token for token. */
export function isSame(ids: readonly number[], others: readonly number[]): boolean {
  return ids.length === others.length && ids.every((id, at) => id === others[at]);
}

/** The totals of `measureRequests`. */
export async function measureDrafting(
  model: LoadedModel,
  tasks: readonly PlannedTask[],
  options: MeasureDraftingOptions,
): Promise<DraftingMeasurement> {
  return sumMeasurements(await measureRequests(model, tasks, options));
}

/**
 * Decodes every request with each of several settings in turn, so that other load on the machine affects all
 * of them alike. Gives the requests of each setting.
 */
export async function measureInTurns(
  model: LoadedModel,
  tasks: readonly PlannedTask[],
  settings: readonly MeasureDraftingOptions[],
): Promise<DraftingMeasurement[][]> {
  const parts: DraftingMeasurement[][] = settings.map(() => []);
  for (const [turn, task] of tasks.entries()) {
    for (let at = 0; at < settings.length; at++) {
      const setting = (at + turn) % settings.length;
      parts[setting]!.push(await measureDrafting(model, [task], settings[setting]!));
    }
  }
  return parts;
}

/** Mean acceptance length: tokens per forward pass, the model's own included. */
export function meanAcceptanceLength({ tokens, forwardPasses }: DraftingMeasurement): number {
  return tokens / forwardPasses;
}

export function tokensPerSecond({ tokens, seconds }: DraftingMeasurement): number {
  return tokens / seconds;
}

/** Sums of several measurements. */
export function sumMeasurements(parts: readonly DraftingMeasurement[]): DraftingMeasurement {
  const total = (name: keyof DraftingMeasurement): number =>
    parts.reduce((sum, part) => sum + part[name], 0);
  return {
    tasks: total("tasks"),
    identical: total("identical"),
    tokens: total("tokens"),
    forwardPasses: total("forwardPasses"),
    drafted: total("drafted"),
    accepted: total("accepted"),
    seconds: total("seconds"),
    draftSeconds: total("draftSeconds"),
  };
}
