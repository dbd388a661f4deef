/**
 * What a reproduction is: the claims of a paper, each with the effect that counts as reproduced, and
 * a function that measures them.
 */
import { JetonError } from "../core/index.ts";
import type { Plot } from "./plot.ts";

/** One claim of a paper, as it can be measured here. */
export interface Claim<Id extends string = string> {
  /** Short and stable, kebab-case. */
  readonly id: Id;
  /** What should hold, in one sentence, with the data and the model it is measured on. */
  readonly text: string;
  /** What the paper reports: a number in `unit`, or words where its setting has no such number. */
  readonly paper: number | string;
  /** Unit of what is measured and of the baseline, e.g. `"%"`, `"tokens/pass"`. */
  readonly unit: string;
  /** Which way is better for the method. */
  readonly direction: "higher" | "lower";
  /**
   * What is judged. `"value"`: the measured number itself. `"difference"`: how far it is beyond the
   * baseline, in `unit`. `"ratio"`: how many times better than the baseline it is (baseline over
   * measured where lower is better).
   */
  readonly effect: "value" | "difference" | "ratio";
  /**
   * The effect that counts as reproduced: at least this, or at most this for a `"value"` of which
   * lower is better. Chosen before the measurement.
   */
  readonly reproduced: number;
  /** The effect that counts as partly reproduced, weaker than `reproduced` or equal to it. */
  readonly partly: number;
  /** Not measured with `--quick`. Default false. */
  readonly fullOnly?: boolean;
}

/** What was found for a claim. */
export interface Measurement {
  /** In the claim's unit. */
  readonly measured: number;
  /** The baseline in the same unit; may be absent where the effect is a `"value"`. */
  readonly baseline?: number;
  /** What the baseline is, in a few words. */
  readonly baselineName?: string;
  /** Half the width of a 95 % interval of `measured`, where it was estimated. */
  readonly uncertainty?: number;
  /** Numbers behind this one, for readers who want to know more. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** What a reproduction is given. */
export interface ReproductionContext<Id extends string = string> {
  /** Everything random derives from it. */
  readonly seed: number;
  /** Small enough for every change: about 30 seconds on two cores. */
  readonly quick: boolean;
  readonly signal: AbortSignal;
  /** Says on one line of standard error what goes on. */
  progress(stage: string, done?: number, total?: number): void;
  /**
   * Path of a file or folder of the data registry. Where it is missing this throws, the run ends, and
   * what has not been measured yet is reported as skipped.
   */
  data(name: string): Promise<string>;
  /** Folder of the model that comes with jeton; where it is missing the run is skipped likewise. */
  model(): Promise<string>;
  /**
   * Runs a part that needs data (or the bundled model) and lets the rest go on without it: what the
   * part would have measured is reported as skipped. Gives what the part returns, or undefined.
   */
  part<T>(body: () => Promise<T>): Promise<T | undefined>;
  /**
   * A folder for what is worth keeping between runs, such as a resumable training: the same for the
   * same seed, `quick` and `configuration` (anything that JSON can hold), under `JETON_CACHE`.
   */
  folder(name: string, configuration?: unknown): Promise<string>;
  /** Adds time that an earlier run spent on what this one takes from a folder. */
  charge(seconds: number): void;
  /** Notes what was found for a claim. */
  report(id: Id, measurement: Measurement): void;
}

/** A reproduction of one system. */
export interface Reproduction<Id extends string = string> {
  /** The system's slug in the catalogue. */
  readonly system: string;
  readonly claims: readonly Claim<Id>[];
  /** Measures the claims. May return a plot; otherwise one is drawn from the claims. */
  // biome-ignore lint/suspicious/noConfusingVoidType: a reproduction without a plot returns nothing
  run(context: ReproductionContext<Id>): Promise<Plot | void>;
}

/**
 * Checks a reproduction and its claims.
 *
 * @throws JetonError `reproduction-invalid` for no claims, an identifier that is not kebab-case or not
 *   unique, or a `partly` that asks for more than `reproduced`.
 */
export function defineReproduction<const Id extends string>(
  reproduction: Reproduction<Id>,
): Reproduction {
  const { system, claims } = reproduction;
  if (claims.length === 0) throw invalid(system, "it makes no claim");
  const seen = new Set<string>();
  for (const claim of claims) {
    const { id, direction, effect, reproduced, partly } = claim;
    if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(id)) throw invalid(id, "an identifier is kebab-case");
    if (seen.has(id)) throw invalid(id, "two claims have this identifier");
    seen.add(id);
    const isUpperBound = effect === "value" && direction === "lower";
    if (!(isUpperBound ? partly >= reproduced : partly <= reproduced)) {
      throw invalid({ id, reproduced, partly }, '"partly" asks for more than "reproduced"');
    }
  }
  return reproduction as unknown as Reproduction;
}

function invalid(found: unknown, why: string): JetonError {
  return new JetonError(`the reproduction cannot be used: ${JSON.stringify(found)}: ${why}`, {
    code: "reproduction-invalid",
    details: { found },
  });
}
