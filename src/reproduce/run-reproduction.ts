/** Runs a reproduction: gives it its surroundings, collects what it found, and judges it. */
import { createHash } from "node:crypto";
import { mkdir, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createProgressMeter, formatDuration, JetonError } from "../core/index.ts";
import { type DataFile, locateData } from "../data/index.ts";
import type {
  Claim,
  Measurement,
  Reproduction,
  ReproductionContext,
} from "./define-reproduction.ts";
import { describeMachine, type Machine } from "./machine.ts";
import type { Plot } from "./plot.ts";
import { effectOf, judge, type Verdict } from "./verdict.ts";

/** A claim with what was found. */
export interface ClaimResult {
  readonly id: string;
  readonly text: string;
  readonly paper: number | string;
  readonly measured: number;
  readonly baseline: number | null;
  readonly unit: string;
  readonly verdict: Verdict;
  /** What was judged, and what it had to reach. */
  readonly effect: {
    readonly kind: Claim["effect"];
    readonly direction: Claim["direction"];
    /** Null for an infinite ratio: nothing is left of the baseline. */
    readonly value: number | null;
    readonly reproduced: number;
    readonly partly: number;
  };
  readonly baselineName?: string;
  readonly uncertainty?: number;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** A file that was not there. */
export interface MissingFile {
  readonly file: string;
  /** Where it comes from. */
  readonly source: string;
  readonly licence: string;
}

/** The result of a reproduction, as `--json` prints it and a record holds it. */
export interface ReproductionResult {
  readonly system: string;
  readonly seed: number;
  readonly quick: boolean;
  /** Time that all of it took, trainings that earlier runs did included. */
  readonly seconds: number;
  readonly claims: readonly ClaimResult[];
  /** What could not be measured because files are missing. */
  readonly skipped?: { readonly files: readonly MissingFile[]; readonly claims: readonly string[] };
  readonly machine: Machine;
}

/** Options of `runReproduction`. */
export interface RunReproductionOptions {
  /** Default 0. */
  seed?: number;
  /** Default false. */
  quick?: boolean;
  /** Forget what earlier runs left in the folders of this system. Default false. */
  fresh?: boolean;
  signal?: AbortSignal;
  /** Called with a line for people whenever something goes on. */
  onProgress?: (line: string) => void;
  /** Default `process.env`: `JETON_DATA` and `JETON_CACHE` are read. */
  environment?: Readonly<Record<string, string | undefined>>;
}

const bundledModel = new URL("../../models/jeton-nano/", import.meta.url);

/**
 * Runs a reproduction.
 *
 * @throws JetonError `reproduction-claim-unmeasured` when it leaves a claim out without a missing file
 *   to blame, `reproduction-claim-unknown`, `reproduction-measurement-invalid`, and the measurement's own errors
 *   itself.
 */
export async function runReproduction(
  reproduction: Reproduction,
  options: RunReproductionOptions = {},
): Promise<{ result: ReproductionResult; plot: Plot | undefined }> {
  const { seed = 0, quick = false, fresh = false, onProgress } = options;
  const { environment = process.env, signal = new AbortController().signal } = options;
  const { system } = reproduction;
  const claims = reproduction.claims.filter((claim) => !quick || !claim.fullOnly);
  const root = join(
    environment["JETON_CACHE"] || join(homedir(), ".cache", "jeton"),
    "reproduce",
    system,
  );
  if (fresh) await rm(root, { recursive: true, force: true });

  const measurements = new Map<string, Measurement>();
  const missing = new Map<string, MissingFile>();
  const began = performance.now();
  let chargedSeconds = 0;
  let stageNow = "";
  let meter = createProgressMeter();

  /** Notes the files that an error says are missing; other errors are none of ours. */
  const noteMissing = (error: unknown): void => {
    if (!JetonError.isInstance(error) || error.code !== "data-missing") throw error;
    for (const file of (error.details["files"] ?? []) as readonly DataFile[]) {
      const { name, address, licence } = file;
      missing.set(name, { file: name, source: address, licence });
    }
  };

  const context: ReproductionContext = {
    seed,
    quick,
    signal,
    progress(stage, done, total) {
      if (stage !== stageNow) meter = createProgressMeter({ window: 30 });
      stageNow = stage;
      if (done === undefined) return onProgress?.(`${system}: ${stage}`);
      const { secondsLeft } = meter.update(done, total);
      const end = total === undefined ? "" : ` of ${total}`;
      const left = secondsLeft === undefined ? "" : `, ${formatDuration(secondsLeft)} left`;
      onProgress?.(`${system}: ${stage}, ${done}${end}${left}`);
    },
    data: (name) => locateData(name, { environment }),
    async model() {
      if (await exists(new URL("config.json", bundledModel))) return fileURLToPath(bundledModel);
      throw new JetonError("the model models/jeton-nano is not there", {
        code: "data-missing",
        details: {
          files: [
            { name: "models/jeton-nano", address: "comes with jeton", licence: "Apache-2.0" },
          ],
        },
      });
    },
    async part(body) {
      try {
        return await body();
      } catch (error) {
        noteMissing(error);
        return undefined;
      }
    },
    async folder(name, configuration) {
      const key = createHash("sha256")
        .update(JSON.stringify([seed, quick, configuration ?? null]))
        .digest("hex")
        .slice(0, 12);
      const folder = join(root, `${name}-${key}`);
      await mkdir(folder, { recursive: true });
      return folder;
    },
    charge(seconds) {
      chargedSeconds += seconds;
    },
    report(id, measurement) {
      const claim = reproduction.claims.find((candidate) => candidate.id === id);
      if (claim === undefined) {
        throw new JetonError(`${system} makes no claim ${JSON.stringify(id)}`, {
          code: "reproduction-claim-unknown",
          details: { found: id, expected: reproduction.claims.map((known) => known.id) },
        });
      }
      effectOf(claim, measurement);
      measurements.set(id, measurement);
    },
  };

  const plot = (await context.part(() => reproduction.run(context))) ?? undefined;
  signal.throwIfAborted();
  const unmeasured = claims.filter((claim) => !measurements.has(claim.id)).map(({ id }) => id);
  if (unmeasured.length > 0 && missing.size === 0) {
    throw new JetonError(`${system} did not measure ${unmeasured.join(", ")}`, {
      code: "reproduction-claim-unmeasured",
      details: { claims: unmeasured },
    });
  }
  const seconds = (performance.now() - began) / 1000 + chargedSeconds;
  const result: ReproductionResult = {
    system,
    seed,
    quick,
    seconds: Math.round(seconds * 10) / 10,
    claims: claims.flatMap((claim) => {
      const measurement = measurements.get(claim.id);
      return measurement === undefined ? [] : [judgeClaim(claim, measurement)];
    }),
    ...(missing.size > 0 && { skipped: { files: [...missing.values()], claims: unmeasured } }),
    machine: await describeMachine(),
  };
  return { result, plot };
}

function judgeClaim(claim: Claim, measurement: Measurement): ClaimResult {
  const { id, text, paper, unit, effect, direction, reproduced, partly } = claim;
  const { measured, baseline = null, ...rest } = measurement;
  const size = effectOf(claim, measurement);
  const value = Number.isFinite(size) ? size : null;
  return {
    id,
    text,
    paper,
    measured,
    baseline,
    unit,
    verdict: judge(claim, measurement),
    effect: { kind: effect, direction, value, reproduced, partly },
    ...rest,
  };
}

function exists(path: URL): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
