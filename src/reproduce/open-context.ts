/** What a run gives to its reproduction: files, folders, progress, and a place for what it finds. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type BundledModelName, bundledModelFolder } from "../checkpoint/index.ts";
import { createProgressMeter, formatDuration, JetonError } from "../core/index.ts";
import { type DataFile, locateData } from "../data/index.ts";
import type { Measurement, Reproduction, ReproductionContext } from "./define-reproduction.ts";
import { type MachineLoad, sampleLoad, watchLoad } from "./machine.ts";
import { openFolders, openMemory } from "./remember.ts";

/** A file that was not there. */
export interface MissingFile {
  readonly file: string;
  /** Where it comes from. */
  readonly source: string;
  readonly licence: string;
  /** How it was made from its source; absent where `jeton data fetch` downloads it. */
  readonly derived?: string;
}

export interface OpenContextOptions {
  readonly seed: number;
  readonly quick: boolean;
  readonly speed: boolean;
  /** Minutes that a measurement of time waits for a quiet machine. */
  readonly waitQuiet: number;
  readonly signal: AbortSignal;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Folder of what is kept between runs of the system. */
  readonly root: string;
  /** Digest of the reproduction's code and of the bundled weights that it measures. */
  readonly digest: () => Promise<string>;
  readonly onProgress: ((line: string | undefined) => void) | undefined;
  readonly onNotice: ((line: string) => void) | undefined;
}

/** A context and what was collected through it. */
export interface OpenedContext {
  readonly context: ReproductionContext;
  readonly measurements: ReadonlyMap<string, Measurement>;
  readonly missing: ReadonlyMap<string, MissingFile>;
  /** How busy the machine was while a claim was timed, by claim. */
  readonly loads: ReadonlyMap<string, MachineLoad>;
  chargedSeconds(): number;
}

export function openContext(
  reproduction: Reproduction,
  options: OpenContextOptions,
): OpenedContext {
  const { system } = reproduction;
  const { seed, quick, speed, signal, environment, onNotice } = options;
  const measurements = new Map<string, Measurement>();
  const missing = new Map<string, MissingFile>();
  const loads = new Map<string, MachineLoad>();
  /** Claims that the measurement of time reported, while one goes on. */
  let timed: string[] | undefined;
  let charged = 0;
  const kept = {
    folder: openFolders(options),
    charge(seconds: number): void {
      charged += seconds;
    },
    notice: (line: string): void => onNotice?.(`${system}: ${line}`),
  };
  const progress = progressOf(system, options.onProgress);
  const context: ReproductionContext = {
    seed,
    quick,
    speed,
    signal,
    ...kept,
    progress,
    remember: openMemory(kept),
    data: (name) => locateData(name, { environment }),
    async model(name = "jeton-nano") {
      if (reproduction.models?.includes(name)) return locateBundledModel(name);
      throw new JetonError(`${system} does not say that it measures ${name}`, {
        code: "reproduction-invalid",
        details: { found: name, expected: reproduction.models ?? [] },
      });
    },
    async part(body) {
      try {
        return await body();
      } catch (error) {
        for (const file of missingFilesOf(error)) missing.set(file.file, file);
        return undefined;
      }
    },
    async timed(body) {
      // Waiting is not work: the run's seconds go on without it.
      const ended = (): void => options.onProgress?.(undefined);
      const wait = { minutes: options.waitQuiet, signal, progress, ended };
      kept.charge(-(await waitUntilQuiet(wait)));
      const end = watchLoad();
      timed = [];
      try {
        return await body();
      } finally {
        const load = end();
        for (const id of timed) loads.set(id, load);
        timed = undefined;
      }
    },
    report(id, measurement) {
      if (!reproduction.claims.some((claim) => claim.id === id)) {
        throw new JetonError(`${system} makes no claim ${JSON.stringify(id)}`, {
          code: "reproduction-claim-unknown",
          details: { found: id, expected: reproduction.claims.map((known) => known.id) },
        });
      }
      measurements.set(id, measurement);
      timed?.push(id);
    },
  };
  return { context, measurements, missing, loads, chargedSeconds: () => charged };
}

/** Waits until the machine is quiet, or the time is up; returns the seconds that it took. */
async function waitUntilQuiet({
  minutes,
  signal,
  progress,
  ended,
}: {
  readonly minutes: number;
  readonly signal: AbortSignal;
  readonly progress: ReproductionContext["progress"];
  /** Called where the wait was said and is over. */
  readonly ended: () => void;
}): Promise<number> {
  const began = performance.now();
  const seconds = (): number => (performance.now() - began) / 1000;
  let isSaid = false;
  while (seconds() < 60 * minutes) {
    signal.throwIfAborted();
    const { quiet, coresBusyElsewhere } = await sampleLoad();
    if (quiet) break;
    progress(`waiting for a quiet machine (${coresBusyElsewhere} cores busy elsewhere)`);
    isSaid = true;
  }
  if (isSaid) ended();
  return seconds();
}

function progressOf(
  system: string,
  onProgress: ((line: string) => void) | undefined,
): ReproductionContext["progress"] {
  let stageNow = "";
  let meter = createProgressMeter();
  return (stage, done, total) => {
    if (stage !== stageNow) meter = createProgressMeter({ window: 30 });
    stageNow = stage;
    if (done === undefined) return onProgress?.(`${system}: ${stage}`);
    const { secondsLeft } = meter.update(done, total);
    const end = total === undefined ? "" : ` of ${total}`;
    const left = secondsLeft === undefined ? "" : `, ${formatDuration(secondsLeft)} left`;
    onProgress?.(`${system}: ${stage}, ${done}${end}${left}`);
  };
}

/** The files that an error says are missing; other errors are thrown again. */
function missingFilesOf(error: unknown): MissingFile[] {
  if (!JetonError.isInstance(error) || error.code !== "data-missing") throw error;
  return ((error.details["files"] ?? []) as readonly DataFile[]).map(
    ({ name, address, licence, derived }) => ({
      ...{ file: name, source: address, licence },
      ...(derived !== undefined && { derived }),
    }),
  );
}

function locateBundledModel(name: BundledModelName): string {
  const folder = bundledModelFolder(name);
  if (existsSync(join(folder, "config.json"))) return folder;
  throw new JetonError(`the model models/${name} is not there`, {
    code: "data-missing",
    details: {
      files: [{ name: `models/${name}`, address: "comes with jeton", licence: "Apache-2.0" }],
    },
  });
}
