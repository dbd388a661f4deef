/**
 * The bench that the reproductions of drafters share: requests, drafters run over them kind by kind, speeds
 * measured in turns, and their reports and plots.
 */

import { createRandom } from "../../core/index.ts";
import { type LoadedModel, loadModel } from "../../model/index.ts";
import {
  constantOf,
  meanOf,
  type Panel,
  type ReproductionContext,
  ratioOfSums,
  type Sample,
} from "../../reproduce/index.ts";
import type { Drafter } from "../speculative/drafter.ts";
import type { SamplingOptions } from "../types.ts";
import {
  type DraftingMeasurement,
  isSame,
  meanAcceptanceLength,
  measureInTurns,
  measureRequests,
  type PlannedKinds,
  type PlannedTask,
  planKinds,
  sumMeasurements,
  tasksPerPlanned,
  tokensPerSecond,
} from "./reproduction-drafting.ts";
import { type DecodingTaskKind, decodingTaskKinds } from "./reproduction-tasks.ts";
import { shuffleDrafts } from "./shuffled-drafts.ts";

/** Number and length of the requests. */
export interface BenchSettings {
  /** Requests of each kind that are measured. */
  readonly count: number;
  /** Most tokens of an answer. */
  readonly maxTokens: number;
  /** Longest prompt in characters. Default 1,000. */
  readonly maxCharacters?: number;
  /** Other requests of each kind that drafters learn from. Default: as many as are measured. */
  readonly others?: { readonly count: number; readonly minTokens: number };
}

/** Measured requests, and others of the same kinds that fill tables and tries. */
export interface Requests {
  readonly measured: PlannedKinds;
  readonly others: PlannedKinds;
}

/** Measurements of one drafter on the requests of each kind. */
export type ByKind = Readonly<Record<DecodingTaskKind, readonly DraftingMeasurement[]>>;

export interface CompareOptions {
  readonly kinds?: readonly DecodingTaskKind[];
  readonly details?: Readonly<Record<string, unknown>>;
}

/** A drafter and tree size whose speed is measured. */
export interface SpeedSetting {
  readonly drafter: Drafter;
  readonly maxDraft: number;
}

/** Runs drafters over requests to one model, and counts changed texts. */
export class DrafterBench<Id extends string> {
  readonly model: LoadedModel;
  readonly #context: ReproductionContext<Id>;
  readonly #settings: BenchSettings;
  readonly #runs: DraftingMeasurement[] = [];
  /** For each run, whether the text equals that of the next request: the control of identity. */
  readonly #pairedWithNext: number[] = [];

  constructor(context: ReproductionContext<Id>, model: LoadedModel, settings: BenchSettings) {
    this.#context = context;
    this.model = model;
    this.#settings = settings;
  }

  /** Decodes the requests autoregressively; drafters then decode the same ones. */
  async plan(sampling: SamplingOptions): Promise<Requests> {
    const { seed, signal } = this.#context;
    const { count, maxTokens, maxCharacters = 1000 } = this.#settings;
    const { others = { count } } = this.#settings;
    const locate = (name: string): Promise<string> => this.#context.data(name);
    const tasks = { seed, maxCharacters, locate };
    const options = { sampling: { ...sampling, seed }, maxTokens, signal };
    this.#context.progress("autoregressive decoding");
    const measured = await planKinds(this.model, { ...tasks, count }, options);
    this.#context.progress("autoregressive decoding of other requests");
    const { count: most, ...rest } = others;
    const pool = { ...tasks, count: most, skip: tasksPerPlanned * count };
    return { measured, others: await planKinds(this.model, pool, { ...options, ...rest }) };
  }

  /** Decodes all requests with one drafter, kind by kind; it learns from each for the next. */
  async measure(
    name: string,
    drafter: Drafter,
    maxDraft: number,
    requests: PlannedKinds,
  ): Promise<ByKind> {
    const { signal } = this.#context;
    const byKind: Partial<Record<DecodingTaskKind, readonly DraftingMeasurement[]>> = {};
    for (const kind of decodingTaskKinds) {
      this.#context.progress(`${name}, ${maxDraft} nodes: ${kind}`);
      const tasks = requests[kind];
      const found = await measureRequests(this.model, tasks, { drafter, maxDraft, signal });
      byKind[kind] = found;
      this.#runs.push(...found);
      for (const [at, { autoregressiveIds: own }] of tasks.entries()) {
        const next = tasks[(at + 1) % tasks.length]!.autoregressiveIds;
        this.#pairedWithNext.push(tasks.length > 1 && isSame(own, next) ? 1 : 0);
      }
    }
    return byKind as ByKind;
  }

  /** The control: the same drafter with the tokens of each tree shuffled among its nodes. */
  measureShuffled(drafter: Drafter, maxDraft: number, requests: PlannedKinds): Promise<ByKind> {
    const random = createRandom(this.#context.seed, "shuffled-drafts");
    return this.measure("shuffled drafts", shuffleDrafts(drafter, random), maxDraft, requests);
  }

  /** Reports tokens per forward pass over some kinds or all, beside the one of autoregressive decoding. */
  reportLength(id: Id, byKind: ByKind, control: ByKind, options: CompareOptions = {}): void {
    const { kinds = decodingTaskKinds, details } = options;
    const measured = lengthSample(byKind, kinds);
    const { tokens } = sumMeasurements(requestsOf(byKind, kinds));
    this.#context.report(id, {
      measured,
      baseline: constantOf(1, measured.count),
      baselineName: "autoregressive decoding",
      control: lengthSample(control, kinds),
      details: { byKind: lengthsOf(byKind), control: lengthsOf(control), tokens, ...details },
    });
  }

  /** Reports tokens per forward pass beside those of another drafter, over some kinds or all. */
  compare(
    id: Id,
    measured: ByKind,
    [baselineName, baseline]: readonly [string, ByKind],
    control: ByKind,
    { kinds = decodingTaskKinds, details = {} }: CompareOptions = {},
  ): void {
    this.#context.report(id, {
      measured: lengthSample(measured, kinds),
      baseline: lengthSample(baseline, kinds),
      baselineName,
      control: lengthSample(control, kinds),
      details: { measured: lengthsOf(measured), baseline: lengthsOf(baseline), ...details },
    });
  }

  /** Reports how many of all texts so far are those of autoregressive decoding. */
  reportIdentity(id: Id): void {
    this.#context.report(id, {
      measured: meanOf(this.#runs.map(({ identical }) => 100 * identical)),
      control: meanOf(this.#pairedWithNext.map((same) => 100 * same)),
    });
  }

  /**
   * Decodes requests autoregressively, in several settings and with shuffled drafts of the first, in turns,
   * and reports the fastest setting.
   *
   * @returns the measurements of each setting by its name
   */
  async reportSpeed<Name extends string>(
    id: Id,
    tasks: readonly PlannedTask[],
    settings: Readonly<Record<Name, SpeedSetting>>,
  ): Promise<Readonly<Record<Name, readonly DraftingMeasurement[]>>> {
    const { signal, seed } = this.#context;
    this.#context.progress("speed");
    const names = Object.keys(settings) as Name[];
    const { drafter, maxDraft } = settings[names[0]!];
    const shuffled = shuffleDrafts(drafter, createRandom(seed, "shuffled-drafts"));
    const [autoregressive, control, ...measured] = await measureInTurns(this.model, tasks, [
      { signal },
      { drafter: shuffled, maxDraft, signal },
      ...names.map((name) => ({ ...settings[name], signal })),
    ]);
    const found = Object.fromEntries(
      names.map((name, at) => [name, measured[at]!]),
    ) as unknown as Record<Name, readonly DraftingMeasurement[]>;
    const speedOf = (name: Name): number => tokensPerSecond(sumMeasurements(found[name]));
    const best = names.reduce((a, b) => (speedOf(b) > speedOf(a) ? b : a));
    const plain = sumMeasurements(autoregressive!);
    this.#context.report(id, {
      measured: speedSample(found[best]),
      baseline: speedSample(autoregressive!),
      baselineName: "autoregressive decoding",
      control: speedSample(control!),
      details: {
        best,
        autoregressiveMilliseconds: round((1000 * plain.seconds) / plain.forwardPasses),
        ...Object.fromEntries(names.map((name) => [name, timesOf(sumMeasurements(found[name]))])),
      },
    });
    return found;
  }

  /**
   * Reports the time of drafting and learning as a share of that of the forward passes. The control: drafting
   * that takes as long as the forward passes do.
   */
  reportDraftingTime(id: Id, requests: readonly DraftingMeasurement[]): void {
    const { draftSeconds, forwardPasses } = sumMeasurements(requests);
    const shareOf = (draft: (one: DraftingMeasurement) => number): Sample =>
      ratioOfSums(
        requests.map((one) => ({
          sum: 100 * draft(one),
          weight: one.seconds - one.draftSeconds,
        })),
      );
    this.#context.report(id, {
      measured: shareOf((one) => one.draftSeconds),
      control: shareOf((one) => one.seconds),
      details: { microsecondsPerForward: round((1e6 * draftSeconds) / forwardPasses) },
    });
  }
}

/** The requests of some kinds, or all, in one list. */
export function requestsOf(
  byKind: ByKind,
  kinds: readonly DecodingTaskKind[] = decodingTaskKinds,
): DraftingMeasurement[] {
  return kinds.flatMap((kind) => byKind[kind]);
}

/** Tokens per forward pass over requests that can be drawn anew. */
export function lengthSample(
  byKind: ByKind,
  kinds: readonly DecodingTaskKind[] = decodingTaskKinds,
): Sample {
  const requests = requestsOf(byKind, kinds);
  return ratioOfSums(
    requests.map(({ tokens, forwardPasses }) => ({ sum: tokens, weight: forwardPasses })),
  );
}

function speedSample(requests: readonly DraftingMeasurement[]): Sample {
  return ratioOfSums(requests.map(({ tokens, seconds }) => ({ sum: tokens, weight: seconds })));
}

function timesOf(found: DraftingMeasurement): Record<string, number> {
  const { seconds, draftSeconds, forwardPasses } = found;
  return {
    tokensPerSecond: round(tokensPerSecond(found)),
    draftMilliseconds: round((1000 * draftSeconds) / forwardPasses),
    forwardMilliseconds: round((1000 * (seconds - draftSeconds)) / forwardPasses),
  };
}

/** Runs `body` on the tiny TinyStories model of the data registry, with greedy requests that fit its context. */
export async function onTinyStories<Id extends string>(
  context: ReproductionContext<Id>,
  settings: BenchSettings,
  body: (bench: DrafterBench<Id>, requests: Requests) => Promise<void>,
): Promise<void> {
  const folder = await context.data("models/tinystories-260k");
  // The methods verify whole trees.
  await using model = await loadModel(folder, { format: "f32", exact: false });
  const bench = new DrafterBench(context, model, { ...settings, maxCharacters: 400 });
  await body(bench, await bench.plan({ greedy: true }));
}

/** The requests of some kinds, or all, in one list. */
export function tasksOf(
  requests: PlannedKinds,
  kinds: readonly DecodingTaskKind[] = decodingTaskKinds,
): PlannedTask[] {
  return kinds.flatMap((kind) => requests[kind]);
}

/** The first requests of each kind; drafters learn from the same others. */
export function firstOf({ measured, others }: Requests, count: number): Requests {
  const first: Partial<Record<DecodingTaskKind, readonly PlannedTask[]>> = {};
  for (const kind of decodingTaskKinds) first[kind] = measured[kind].slice(0, count);
  return { measured: first as PlannedKinds, others };
}

/** Prompts with their autoregressive answers. */
export function textsOf(requests: PlannedKinds): number[][] {
  return tasksOf(requests).map(({ promptIds, autoregressiveIds }) => [
    ...promptIds,
    ...autoregressiveIds,
  ]);
}

/** All kinds as one measurement. */
export function together(byKind: ByKind): DraftingMeasurement {
  return sumMeasurements(requestsOf(byKind));
}

/** Tokens per forward pass over some kinds, or all. */
export function lengthOf(
  byKind: ByKind,
  kinds: readonly DecodingTaskKind[] = decodingTaskKinds,
): number {
  return meanAcceptanceLength(sumMeasurements(requestsOf(byKind, kinds)));
}

/** Tokens per forward pass by kind, for records. */
export function lengthsOf(byKind: ByKind): Record<string, number> {
  return Object.fromEntries(
    decodingTaskKinds.map((kind) => [kind, round(lengthOf(byKind, [kind]))]),
  );
}

/** Tokens per forward pass over all kinds by drafter, for records. */
export function lengthsByName(named: Readonly<Record<string, ByKind>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(named).map(([name, byKind]) => [name, round(lengthOf(byKind))]),
  );
}

/** Bars of several drafters for each kind of request. */
export function kindsPanel(title: string, named: Readonly<Record<string, ByKind>>): Panel {
  return {
    title,
    kind: "bar",
    x: { title: "kind of request", scale: "category" },
    y: { title: "tokens per forward pass" },
    series: Object.entries(named).map(([name, byKind]) => ({
      name,
      points: Object.entries(lengthsOf(byKind)).map(([x, y]) => ({ x, y })),
    })),
  };
}

/** Three digits after the point. */
export function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
