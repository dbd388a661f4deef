/**
 * What a reproduction is: the claims of a paper, each with the effect that counts as reproduced and a control
 * with which it would have to fail, and a function that measures them unit by unit.
 */
import type { BundledModelName } from "../checkpoint/index.ts";
import { JetonError } from "../core/index.ts";
import type { Plot } from "./plot.ts";
import type { Sample } from "./sample.ts";
import { noEffectOf, scoreOf } from "./verdict.ts";

/** What the paper reports. */
export type PaperFigure =
  | {
      readonly value: number;
      readonly unit: string;
      /**
       * What of ours it can be compared with: the measured number or the effect. Absent where the paper
       * reports another quantity, e.g. a speedup on other hardware.
       */
      readonly compares?: "measured" | "effect";
      /** Where it was measured, or further figures, in a few words. */
      readonly setting?: string;
    }
  /** Only where the paper has no number. */
  | { readonly words: string };

/** The effects that count. Chosen before the measurement. */
export interface Thresholds {
  /**
   * The least effect: the claim is reproduced where the whole interval is at least this, or at most this for a
   * `"value"` of which lower is better.
   */
  readonly reproduced: number;
  /** Weaker than `reproduced` or equal to it, and beyond no effect. */
  readonly partly: number;
}

interface ClaimFields<Id extends string> extends Thresholds {
  /** Short and stable, kebab-case. */
  readonly id: Id;
  /** What should hold, in one sentence, with the data and the model it is measured on. */
  readonly text: string;
  readonly paper: PaperFigure;
  /** Unit of what is measured and of the baseline, e.g. `"%"`, `"tokens/pass"`. */
  readonly unit: string;
  /** Which way is better for the method. */
  readonly direction: "higher" | "lower";
  /** What varies, in the plural: `"requests"`, `"texts"`, `"seeds"`. The interval is over these. */
  readonly units: string;
  /** With what the claim would have to fail, e.g. `"rows of random other tokens"`. */
  readonly control: string;
  /** Thresholds of quick runs, whose verdicts are indicative, or `"full-only"`. */
  readonly quick: Thresholds | "full-only";
  /**
   * The claim is that the method is no worse than the baseline: `partly` may lie at no effect or short of it.
   * Default false.
   */
  readonly noWorse?: boolean;
  /** Depends on the load of the machine: never recorded on a loaded one. Default false. */
  readonly speed?: boolean;
}

/**
 * One claim of a paper, as it can be measured here. `effect` says what is judged. `"value"`: the measured
 * number itself, and `noEffect` is the number of a method that does nothing. `"difference"`: how far it is
 * beyond the baseline, in `unit`. `"ratio"`: how many times better than the baseline it is (baseline over
 * measured where lower is better).
 */
export type Claim<Id extends string = string> = ClaimFields<Id> &
  (
    | { readonly effect: "value"; readonly noEffect: number }
    | { readonly effect: "difference" | "ratio"; readonly noEffect?: never }
  );

/** What was found for a claim, unit by unit. All samples are over the same units, in the same order. */
export interface Measurement {
  /** In the claim's unit. */
  readonly measured: Sample;
  /** The baseline in the same unit; may be absent where the effect is a `"value"`. */
  readonly baseline?: Sample;
  /** What the baseline is, in a few words. */
  readonly baselineName?: string;
  /** The claim's control, in the place of `measured`. */
  readonly control: Sample;
  /** The original, where the paper speaks of "within x of the original". */
  readonly original?: Sample;
  /** Numbers behind this one, for readers who want to know more. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** What a reproduction is given. */
export interface ReproductionContext<Id extends string = string> {
  /** Everything random derives from it. */
  readonly seed: number;
  /** Small enough for every change: about 30 seconds on two cores. */
  readonly quick: boolean;
  /** Claims about speed are measured; false where they are left out (`--skip-speed`). */
  readonly speed: boolean;
  readonly signal: AbortSignal;
  /** Says on one line of standard error what goes on. */
  progress(stage: string, done?: number, total?: number): void;
  /** Says something that stays on standard error, e.g. that a result is a remembered one. */
  notice(line: string): void;
  /**
   * Path of a file or folder of the data registry. Where it is missing this throws, the run ends, and
   * what has not been measured yet is reported as skipped.
   */
  data(name: string): Promise<string>;
  /**
   * Folder of a model that comes with jeton; where it is missing the run is skipped likewise.
   *
   * @param name one of the reproduction's `models`; default `"jeton-nano"`
   */
  model(name?: BundledModelName): Promise<string>;
  /**
   * Runs a part that needs data (or the bundled model) and lets the rest go on without it: what the
   * part would have measured is reported as skipped. Gives what the part returns, or undefined.
   */
  part<T>(body: () => Promise<T>): Promise<T | undefined>;
  /**
   * A folder for what is worth keeping between runs, such as a resumable training: the same for the
   * same code, seed, `quick` and `configuration` (anything that JSON can hold), under `JETON_CACHE`.
   */
  folder(name: string, configuration?: unknown): Promise<string>;
  /**
   * A measurement that is taken once: what an earlier run of the same code found is read from its folder,
   * said with its date, and the time that it took is charged.
   *
   * @param configuration everything that the value depends on besides code, seed and `quick`
   */
  remember<T>(name: string, configuration: unknown, measure: () => Promise<T>): Promise<T>;
  /**
   * A measurement of time. The load of the machine meanwhile decides whether the claims about speed that are
   * reported in it can be recorded, and no load before or after it. With `waitQuiet` it begins when the machine is quiet.
   */
  timed<T>(body: () => Promise<T>): Promise<T>;
  /** Adds time that an earlier run spent on what this one takes from a folder. */
  charge(seconds: number): void;
  /** Notes what was found for a claim. */
  report(id: Id, measurement: Measurement): void;
}

/** A reproduction of one system. */
export interface Reproduction<Id extends string = string> {
  /** The system's slug in the catalogue. */
  readonly system: string;
  /** `import.meta.url` of the module that measures: remembered results are those of this code. */
  readonly module: string;
  /**
   * Models of the package that are measured or trained on: remembered results are those of these weights, and the record
   * names them. Default none.
   */
  readonly models?: readonly BundledModelName[];
  readonly claims: readonly Claim<Id>[];
  /** Measures the claims. May return a plot; otherwise one is drawn from the claims. */
  // biome-ignore lint/suspicious/noConfusingVoidType: a reproduction without a plot returns nothing
  run(context: ReproductionContext<Id>): Promise<Plot | void>;
}

/**
 * Checks a reproduction and its claims.
 *
 * @throws JetonError `reproduction-invalid` for no claims, an identifier that is not kebab-case or not unique,
 *   no control or units, a `partly` that asks for more than `reproduced`, or a `partly` at or short of no
 *   effect in a claim that does not say `noWorse`.
 */
export function defineReproduction<const Id extends string>(
  reproduction: Reproduction<Id>,
): Reproduction {
  const { system, claims } = reproduction;
  if (claims.length === 0) throw invalid(system, "it makes no claim");
  const seen = new Set<string>();
  for (const claim of claims) {
    const { id, control, units } = claim;
    if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(id)) throw invalid(id, "an identifier is kebab-case");
    if (seen.has(id)) throw invalid(id, "two claims have this identifier");
    seen.add(id);
    if (control.trim() === "") throw invalid(id, "the claim names no control");
    if (units.trim() === "") throw invalid(id, "the claim names no units");
    checkThresholds(claim, claim);
    if (claim.quick !== "full-only") checkThresholds(claim, claim.quick);
  }
  return reproduction as unknown as Reproduction;
}

function checkThresholds(claim: Claim, { reproduced, partly }: Thresholds): void {
  const found = { id: claim.id, reproduced, partly };
  const [strong, weak] = [scoreOf(claim, reproduced), scoreOf(claim, partly)];
  if (!(weak <= strong)) throw invalid(found, '"partly" asks for more than "reproduced"');
  const none = noEffectOf(claim);
  if (!claim.noWorse && !(weak > scoreOf(claim, none))) {
    throw invalid({ ...found, noEffect: none }, '"partly" is no effect, or a loss');
  }
}

function invalid(found: unknown, why: string): JetonError {
  return new JetonError(`the reproduction cannot be used: ${JSON.stringify(found)}: ${why}`, {
    code: "reproduction-invalid",
    details: { found },
  });
}
