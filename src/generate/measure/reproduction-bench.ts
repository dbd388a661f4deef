/**
 * The bench that the reproductions of drafters share: requests, drafters run over them kind by kind, speeds
 * measured in turns, and their reports and plots.
 */
import { type LoadedModel, loadModel } from "../../model/index.ts";
import type { Panel, ReproductionContext } from "../../reproduce/index.ts";
import type { Drafter } from "../speculative/drafter.ts";
import type { SamplingOptions } from "../types.ts";
import {
  type DraftingMeasurement,
  meanAcceptanceLength,
  measureDrafting,
  measureInTurns,
  type PlannedKinds,
  type PlannedTask,
  planKinds,
  sumMeasurements,
  tasksPerPlanned,
  tokensPerSecond,
} from "./reproduction-drafting.ts";
import { type DecodingTaskKind, decodingTaskKinds } from "./reproduction-tasks.ts";

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

/** Measurement of one drafter on each kind of request. */
export type ByKind = Readonly<Record<DecodingTaskKind, DraftingMeasurement>>;

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
    const byKind: Partial<Record<DecodingTaskKind, DraftingMeasurement>> = {};
    for (const kind of decodingTaskKinds) {
      this.#context.progress(`${name}, ${maxDraft} nodes: ${kind}`);
      const options = { drafter, maxDraft, signal };
      byKind[kind] = await measureDrafting(this.model, requests[kind], options);
      this.#runs.push(byKind[kind]);
    }
    return byKind as ByKind;
  }

  /** Reports tokens per forward pass over all kinds beside the one of autoregressive decoding. */
  reportLength(id: Id, byKind: ByKind, details: Readonly<Record<string, unknown>> = {}): void {
    const { tasks, tokens } = together(byKind);
    this.#context.report(id, {
      measured: lengthOf(byKind),
      baseline: 1,
      baselineName: "autoregressive decoding",
      details: { byKind: lengthsOf(byKind), requests: tasks, tokens, ...details },
    });
  }

  /** Reports tokens per forward pass beside those of another drafter, over some kinds or all. */
  compare(
    id: Id,
    measured: ByKind,
    baseline: ByKind,
    baselineName: string,
    {
      kinds = decodingTaskKinds,
      details = {},
    }: { kinds?: readonly DecodingTaskKind[]; details?: Readonly<Record<string, unknown>> } = {},
  ): void {
    this.#context.report(id, {
      measured: lengthOf(measured, kinds),
      baseline: lengthOf(baseline, kinds),
      baselineName,
      details: { measured: lengthsOf(measured), baseline: lengthsOf(baseline), ...details },
    });
  }

  /** Reports how many of all texts so far are those of autoregressive decoding. */
  reportIdentity(id: Id): void {
    const { identical, tasks } = sumMeasurements(this.#runs);
    this.#context.report(id, { measured: (100 * identical) / tasks, details: { runs: tasks } });
  }

  /**
   * Decodes requests autoregressively and in several settings, in turns, and reports the fastest setting.
   *
   * @returns the measurement of each setting by its name
   */
  async reportSpeed<Name extends string>(
    id: Id,
    tasks: readonly PlannedTask[],
    settings: Readonly<Record<Name, SpeedSetting>>,
  ): Promise<Readonly<Record<Name, DraftingMeasurement>>> {
    const { signal } = this.#context;
    this.#context.progress("speed");
    const names = Object.keys(settings) as Name[];
    const [autoregressive, ...measured] = await measureInTurns(this.model, tasks, [
      { signal },
      ...names.map((name) => ({ ...settings[name], signal })),
    ]);
    const found = Object.fromEntries(names.map((name, at) => [name, measured[at]!])) as Record<
      Name,
      DraftingMeasurement
    >;
    const speedOf = (name: Name): number => tokensPerSecond(found[name]);
    const best = names.reduce((a, b) => (speedOf(b) > speedOf(a) ? b : a));
    this.#context.report(id, {
      measured: speedOf(best),
      baseline: tokensPerSecond(autoregressive!),
      baselineName: "autoregressive decoding",
      details: {
        best,
        autoregressiveMilliseconds: round(
          (1000 * autoregressive!.seconds) / autoregressive!.forwardPasses,
        ),
        ...Object.fromEntries(names.map((name) => [name, timesOf(found[name])])),
      },
    });
    return found;
  }

  /** Reports the time of drafting and learning as a share of that of the forward passes. */
  reportDraftingTime(id: Id, { seconds, draftSeconds, forwardPasses }: DraftingMeasurement): void {
    this.#context.report(id, {
      measured: (100 * draftSeconds) / (seconds - draftSeconds),
      details: { microsecondsPerForward: round((1e6 * draftSeconds) / forwardPasses) },
    });
  }
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

/** Prompts with their autoregressive answers. */
export function textsOf(requests: PlannedKinds): number[][] {
  return tasksOf(requests).map(({ promptIds, autoregressiveIds }) => [
    ...promptIds,
    ...autoregressiveIds,
  ]);
}

/** All kinds as one measurement. */
export function together(byKind: ByKind): DraftingMeasurement {
  return sumMeasurements(Object.values(byKind));
}

/** Tokens per forward pass over some kinds, or all. */
export function lengthOf(
  byKind: ByKind,
  kinds: readonly DecodingTaskKind[] = decodingTaskKinds,
): number {
  return meanAcceptanceLength(sumMeasurements(kinds.map((kind) => byKind[kind])));
}

/** Tokens per forward pass by kind, for records. */
export function lengthsOf(byKind: ByKind): Record<string, number> {
  return Object.fromEntries(
    decodingTaskKinds.map((kind) => [kind, round(meanAcceptanceLength(byKind[kind]))]),
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
