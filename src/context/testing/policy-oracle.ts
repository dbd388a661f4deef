/** Expected results of context policies by an independent float64 program, where `JETON_DATA` holds them. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { ContextPolicy, LoadedModel, PolicyOptions, StepResult } from "../../model/index.ts";

const root = process.env["JETON_DATA"];
const folder = root ? join(root, "context/policies") : "";

/** Whether the expected results are there. */
export const hasPolicyOracle: boolean = folder !== "" && existsSync(folder);

/** A run of a policy and what it must give. */
export interface OracleCase {
  readonly policy: string;
  readonly name: string;
  readonly model: string;
  readonly settings: Readonly<Record<string, string | number | boolean | null>>;
  readonly steps: number;
  /** Prompt tokens fed at once; absent: all. */
  readonly chunk?: number;
  readonly promptIds: readonly number[];
  readonly expected: OracleResults;
}

/** Results of a run; those of one policy only are optional. */
export interface OracleResults {
  readonly logitsAfterPrompt: readonly number[];
  readonly greedyIds: readonly number[];
  readonly logitsAfterSteps: readonly number[];
  readonly selections?: readonly {
    readonly layer: number;
    readonly tokens: number;
    readonly selected?: readonly number[];
    readonly blocks?: readonly number[];
  }[];
  readonly choices?: readonly {
    readonly layer: number;
    readonly query: number;
    readonly chunks: readonly (readonly number[])[];
  }[];
  readonly largestPosition?: number;
  readonly retrieved?: readonly {
    readonly layer: number;
    readonly firstQuery: number;
    readonly cachedBlocks: number;
    readonly chosen: readonly (readonly (readonly number[])[])[];
  }[];
  readonly kept?: readonly { readonly kept: readonly (readonly number[])[] }[];
  readonly keptAtTheEnd?: readonly { readonly kept: readonly (readonly number[])[] }[];
  readonly hits?: readonly string[];
  readonly cosines?: readonly (readonly (number | null)[])[];
  readonly scores?: readonly number[];
  readonly pooled?: readonly number[];
  readonly indices?: readonly number[];
}

/** The cases of one policy. */
export function oracleCases(policy: string): OracleCase[] {
  if (!hasPolicyOracle) return [];
  const text = gunzipSync(readFileSync(join(folder, `${policy}.json.gz`))).toString("utf8");
  return (JSON.parse(text) as { cases: OracleCase[] }).cases;
}

/** Folder of a case's model. */
export function oracleModel({ model }: Pick<OracleCase, "model">): string {
  return model === "tinystories-260k" ? join(root!, "models", model) : join(folder, model);
}

/** A case's settings as options of the policy, under our names. */
export function oracleOptions({ settings, policy, chunk }: OracleCase): PolicyOptions {
  const { theta, ...rest } = settings;
  const options = Object.entries(rest).filter(([, value]) => value !== null);
  return {
    ...(Object.fromEntries(options) as PolicyOptions),
    ...(typeof theta === "number" && { cache: theta }),
    ...(["token-select", "block-selection"].includes(policy) && chunk && { chunk }),
  };
}

/** A step as the runs below see it. */
export interface ObservedStep {
  /** Tokens of the sequence after it. */
  readonly tokens: number;
  readonly isPrompt: boolean;
  readonly result: StepResult;
}

/** What a run gave. */
export interface OracleRun {
  readonly logitsAfterPrompt: Float32Array;
  readonly greedyIds: readonly number[];
  readonly logitsAfterSteps: Float32Array;
  readonly steps: readonly ObservedStep[];
}

/** Options of `runOracle`. */
export interface RunOracleOptions {
  /** Steps of the prompt end at these lengths too. */
  readonly cuts?: readonly number[];
  /** Tokens to decode. */
  readonly steps: number;
  /** Prompt tokens of a step. Default all. */
  readonly chunk?: number;
  /** Ask which tokens are attended to. */
  readonly attended: boolean;
  /** One more step at the end, for what is kept then. Default false. */
  readonly isContinued?: boolean;
}

/** Reads a prompt and decodes greedily, never stopped at an end token, with all logits. */
export async function runOracle(
  model: LoadedModel,
  policy: ContextPolicy,
  ids: readonly number[],
  options: RunOracleOptions,
): Promise<OracleRun> {
  const view = model.withContextPolicy!(policy);
  const sequence = await view.openSequence({ promptLength: ids.length });
  const { chunk = ids.length, cuts = [], attended } = options;
  const steps: ObservedStep[] = [];
  const run = async (given: readonly number[], isPrompt: boolean): Promise<Float32Array> => {
    const result = await sequence.step({ ids: given, logits: true, ...(attended && { attended }) });
    steps.push({ tokens: sequence.length, isPrompt, result });
    return result.logits!;
  };
  try {
    let logits: Float32Array = new Float32Array();
    for (let at = 0; at < ids.length; ) {
      const cut = cuts.find((end) => end > at) ?? ids.length;
      const end = Math.min(ids.length, at + chunk, cut);
      logits = await run(ids.slice(at, end), true);
      at = end;
    }
    const logitsAfterPrompt = logits;
    const greedyIds: number[] = [];
    for (let step = 0; step < options.steps; step++) {
      const id = argmax(logits);
      greedyIds.push(id);
      logits = await run([id], false);
    }
    const logitsAfterSteps = logits;
    if (options.isContinued) await run([argmax(logits)], false);
    return { logitsAfterPrompt, greedyIds, logitsAfterSteps, steps };
  } finally {
    await sequence.release();
  }
}

function argmax(values: Float32Array): number {
  return values.indexOf(values.reduce((a, b) => Math.max(a, b)));
}

/** Places that the last token of a step attends to, in one layer and head; -1 where marks are not 0 or 1. */
export function attendedPlaces(
  { result }: ObservedStep,
  { layer, head, heads, layers }: { layer: number; head: number; heads: number; layers: number },
): number[] {
  const marks = result.attended!;
  const capacity = marks.length / (layers * heads);
  const from = (layer * heads + head) * capacity;
  const places: number[] = [];
  for (let at = 0; at < capacity; at++) {
    const mark = marks[from + at]!;
    if (mark === 1) places.push(at);
    else if (mark !== 0) return [-1];
  }
  return places;
}

/** The largest difference of two lists. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = a.length === b.length ? 0 : Number.POSITIVE_INFINITY;
  for (let at = 0; at < b.length; at++) largest = Math.max(largest, Math.abs(a[at]! - b[at]!));
  return largest;
}
