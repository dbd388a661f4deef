/** Runs a reproduction: gives it its surroundings, collects what it found, and judges it. */
import { rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { createRandom, JetonError } from "../core/index.ts";
import { digestCode } from "./code-digest.ts";
import type { Claim, Measurement, Reproduction } from "./define-reproduction.ts";
import { describeMachine, type Machine, type MachineLoad, watchLoad } from "./machine.ts";
import { type MeasuredModel, measuredModels, withModels } from "./measured-models.ts";
import { type MissingFile, openContext } from "./open-context.ts";
import type { Plot } from "./plot.ts";
import { type Sample, wholeValue } from "./sample.ts";
import { type Interval, judge, type Verdict } from "./verdict.ts";

/** What the paper reports, beside what was found. */
export type PaperResult =
  | {
      readonly value: number;
      readonly unit: string;
      readonly setting?: string;
      /** Ours minus the paper's, where both are the same quantity. */
      readonly distance?: number;
    }
  | { readonly words: string };

/** An end of an interval; JSON has no infinite numbers. */
export type IntervalEnd = number | "inf" | "-inf";

/** A claim with what was found. */
export interface ClaimResult {
  readonly id: string;
  readonly text: string;
  readonly paper: PaperResult;
  readonly measured: number;
  readonly baseline: number | null;
  readonly unit: string;
  readonly verdict: Verdict;
  /** True for quick runs, which have thresholds of their own and few units. */
  readonly indicative?: true;
  /** What varies, and how many of it were measured. */
  readonly units: { readonly name: string; readonly count: number };
  /** What was judged, and what it had to reach. */
  readonly effect: {
    readonly kind: Claim["effect"];
    readonly direction: Claim["direction"];
    /** Null for an infinite ratio: nothing is left of the baseline. */
    readonly value: number | null;
    /** Ends of the 95 % interval (paired bootstrap over the units). */
    readonly interval: readonly [IntervalEnd, IntervalEnd];
    readonly reproduced: number;
    readonly partly: number;
  };
  readonly control: {
    readonly name: string;
    readonly measured: number;
    readonly effect: number | null;
    /** How far the method is beyond the control, 95 % interval. */
    readonly margin: readonly [IntervalEnd, IntervalEnd];
    /** A control that passes as well makes the claim fail. */
    readonly passes: boolean;
  };
  /** The original, and how much larger than it the measured number is, in percent. */
  readonly original?: { readonly value: number; readonly distancePercent: number };
  readonly baselineName?: string;
  /** How busy the machine was while a claim about speed was measured. */
  readonly load?: MachineLoad;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The result of a reproduction, as `--json` prints it and a record holds it. */
export interface ReproductionResult {
  readonly system: string;
  readonly seed: number;
  readonly quick: boolean;
  /** When the run ended, ISO 8601. */
  readonly date: string;
  /** When verdicts were taken anew by other levels of the claims (`scripts/rejudge-records.mjs`). */
  readonly judged?: string;
  /** Digest of the code that measured. */
  readonly code: string;
  /** The models of the package that were measured or trained on. */
  readonly models?: readonly MeasuredModel[];
  /** Time that all of it took, trainings that earlier runs did included. */
  readonly seconds: number;
  readonly claims: readonly ClaimResult[];
  /** What could not be measured because files are missing. */
  readonly skipped?: { readonly files: readonly MissingFile[]; readonly claims: readonly string[] };
  /** Claims about speed that were left out because it was asked for. */
  readonly withoutSpeed?: readonly string[];
  readonly machine: Machine;
  readonly load: MachineLoad;
}

/** Options of `runReproduction`. */
export interface RunReproductionOptions {
  /** Default 0. */
  seed?: number;
  /** Default false. */
  quick?: boolean;
  /** Leave out the claims about speed. Default false. */
  skipSpeed?: boolean;
  /** Minutes that each measurement of time waits for a quiet machine before it begins. Default 0. */
  waitQuiet?: number;
  /** Forget what earlier runs left in the folders of this system. Default false. */
  fresh?: boolean;
  signal?: AbortSignal;
  /**
   * Called with a line for people whenever something goes on, and with undefined where what the last line says has ended
   * and nothing else is said.
   */
  onProgress?: (line: string | undefined) => void;
  /** Called with lines that people should keep, e.g. that a result is a remembered one. */
  onNotice?: (line: string) => void;
  /** Default `process.env`: `JETON_DATA` and `JETON_CACHE` are read. */
  environment?: Readonly<Record<string, string | undefined>>;
}

/**
 * Runs a reproduction.
 *
 * @throws JetonError `reproduction-claim-unmeasured` when it leaves a claim out without a missing file
 *   to blame, `reproduction-claim-unknown`, those of `judge`, and the measurement's own errors.
 */
export async function runReproduction(
  reproduction: Reproduction,
  options: RunReproductionOptions = {},
): Promise<{ result: ReproductionResult; plot: Plot | undefined }> {
  const { seed = 0, quick = false, skipSpeed = false, fresh = false, waitQuiet = 0 } = options;
  const { environment = process.env, signal = new AbortController().signal } = options;
  const { system, module } = reproduction;
  const cache = environment["JETON_CACHE"] || join(homedir(), ".cache", "jeton");
  const root = join(cache, "reproduce", system);
  if (fresh) await rm(root, { recursive: true, force: true });
  const machine = await describeMachine();
  let read: Promise<string> | undefined;
  const code = (): Promise<string> => {
    read ??= digestCode(module, [machine.onnxruntime]);
    return read;
  };
  const models = await measuredModels(reproduction.models ?? []);
  const digest = async (): Promise<string> => withModels(await code(), models);

  const began = performance.now();
  const endLoad = watchLoad();
  const { onProgress, onNotice } = options;
  const { context, measurements, missing, loads, chargedSeconds } = openContext(reproduction, {
    ...{ seed, quick, speed: !skipSpeed, waitQuiet, signal, environment, root, digest },
    ...{ onProgress, onNotice },
  });
  const plot = (await context.part(() => reproduction.run(context))) ?? undefined;
  signal.throwIfAborted();
  const load = endLoad();
  const asked = reproduction.claims.filter(
    (claim) => !(quick && claim.quick === "full-only") && !(skipSpeed && claim.speed),
  );
  const unmeasured = asked.filter((claim) => !measurements.has(claim.id)).map(({ id }) => id);
  if (unmeasured.length > 0 && missing.size === 0) {
    throw new JetonError(`${system} did not measure ${unmeasured.join(", ")}`, {
      code: "reproduction-claim-unmeasured",
      details: { claims: unmeasured },
    });
  }
  const seconds = (performance.now() - began) / 1000 + chargedSeconds();
  const claims = asked.flatMap((claim) => {
    const measurement = measurements.get(claim.id);
    if (measurement === undefined) return [];
    const judged = judgeClaim(claim, measurement, { seed, quick });
    const timedLoad = claim.speed ? loads.get(claim.id) : undefined;
    return [timedLoad ? { ...judged, load: timedLoad } : judged];
  });
  const left = reproduction.claims.filter(({ speed }) => skipSpeed && speed).map(({ id }) => id);
  const result: ReproductionResult = {
    ...{ system, seed, quick },
    date: new Date().toISOString(),
    code: await code(),
    ...(models.length > 0 && { models }),
    seconds: Math.round(seconds * 10) / 10,
    claims,
    ...(missing.size > 0 && { skipped: { files: [...missing.values()], claims: unmeasured } }),
    ...(left.length > 0 && { withoutSpeed: left }),
    ...{ machine, load },
  };
  return { result, plot };
}

function judgeClaim(
  claim: Claim,
  measurement: Measurement,
  { seed, quick }: { readonly seed: number; readonly quick: boolean },
): ClaimResult {
  const { id, text, unit, effect: kind, direction, units } = claim;
  const { baseline, baselineName, details } = measurement;
  const thresholds = quick && claim.quick !== "full-only" ? claim.quick : claim;
  const { verdict, effect, interval, control } = judge(claim, measurement, {
    thresholds,
    // Intervals over two units are wide, and quick verdicts only indicate.
    minUnits: quick ? 2 : 5,
    random: createRandom(seed, "bootstrap", id),
  });
  const measured = wholeValue(measurement.measured);
  const { reproduced, partly } = thresholds;
  return {
    ...{ id, text, paper: besidePaper(claim, measured, effect), measured },
    baseline: baseline === undefined ? null : wholeValue(baseline),
    ...{ unit, verdict },
    ...(quick && { indicative: true }),
    units: { name: units, count: measurement.measured.count },
    effect: {
      ...{ kind, direction, value: finite(effect), interval: endsOf(interval) },
      ...{ reproduced, partly },
    },
    control: {
      name: claim.control,
      measured: wholeValue(measurement.control),
      effect: finite(control.effect),
      margin: endsOf(control.margin),
      passes: control.passes,
    },
    ...(measurement.original && { original: besideOriginal(measured, measurement.original) }),
    ...(baselineName !== undefined && { baselineName }),
    ...(details !== undefined && { details }),
  };
}

function besidePaper({ paper }: Claim, measured: number, effect: number): PaperResult {
  if (!("value" in paper)) return paper;
  const { value, unit, setting, compares } = paper;
  const ours = { measured, effect }[compares ?? "measured"];
  const isComparable = compares !== undefined && Number.isFinite(ours);
  return {
    ...{ value, unit },
    ...(setting !== undefined && { setting }),
    ...(isComparable && { distance: ours - value }),
  };
}

function besideOriginal(measured: number, original: Sample): NonNullable<ClaimResult["original"]> {
  const value = wholeValue(original);
  return { value, distancePercent: 100 * (measured / value - 1) };
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function endsOf(interval: Interval): [IntervalEnd, IntervalEnd] {
  const end = (value: number): IntervalEnd => {
    if (Number.isFinite(value)) return value;
    return value > 0 ? "inf" : "-inf";
  };
  return [end(interval[0]), end(interval[1])];
}
