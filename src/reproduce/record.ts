/** The record of a result: what `reproductions/` holds. */
import { mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { JetonError } from "../core/index.ts";
import type { Reproduction } from "./define-reproduction.ts";
import type { MachineLoad } from "./machine.ts";
import type { ClaimResult, IntervalEnd, ReproductionResult } from "./run-reproduction.ts";
import { verdictOf } from "./verdict.ts";

/** Names of the claims about speed that are measured: without them the load of the machine does not matter. */
export function speedClaims({ claims }: Pick<Reproduction, "claims">, skipSpeed = false): string[] {
  if (skipSpeed) return [];
  return claims.filter((claim) => claim.speed).map(({ id }) => id);
}

/**
 * Refuses to record claims about speed that were measured on a loaded machine.
 *
 * @throws JetonError `reproduction-machine-loaded`
 */
export function checkLoad(
  reproduction: Pick<Reproduction, "system" | "claims">,
  load: MachineLoad,
  skipSpeed = false,
): void {
  const { system } = reproduction;
  const speed = speedClaims(reproduction, skipSpeed);
  if (load.quiet || speed.length === 0) return;
  const { loadAverage, coresBusyElsewhere } = load;
  throw new JetonError(
    `${system} measures speed (${speed.join(", ")}) and this machine is loaded ` +
      `(load average ${loadAverage}, ${coresBusyElsewhere} cores busy elsewhere): record it on a quiet one, ` +
      "or give --skip-speed to record the other claims",
    {
      code: "reproduction-machine-loaded",
      details: { claims: speed, found: load, expected: "at most 0.25 cores busy elsewhere" },
    },
  );
}

/**
 * The result without the claims about speed that were measured while the machine was loaded: hours of other
 * measurements are not lost for them.
 */
export function withoutLoadedSpeed(
  result: ReproductionResult,
  reproduction: Pick<Reproduction, "claims">,
): ReproductionResult {
  const speed = speedClaims(reproduction);
  const isLost = ({ id, load = result.load }: ClaimResult): boolean =>
    speed.includes(id) && !load.quiet;
  const lost = result.claims.filter(isLost).map(({ id }) => id);
  if (lost.length === 0) return result;
  return {
    ...result,
    claims: result.claims.filter((claim) => !isLost(claim)),
    withoutSpeed: [...(result.withoutSpeed ?? []), ...lost],
  };
}

/**
 * The record with the verdicts that its numbers have by the levels of the claims as they are now. Claims
 * whose levels are the same are the same objects.
 */
export function rejudge(
  record: ReproductionResult,
  { claims }: Pick<Reproduction, "claims">,
): ReproductionResult {
  const numberOf = (end: IntervalEnd): number =>
    typeof end === "number" ? end : end === "inf" ? Infinity : -Infinity;
  const judged = record.claims.map((found) => {
    const claim = claims.find(({ id }) => id === found.id);
    if (claim === undefined) return found;
    const { reproduced, partly } = claim;
    const { effect, control } = found;
    if (effect.reproduced === reproduced && effect.partly === partly) return found;
    const [low, high] = effect.interval;
    const interval = [numberOf(low), numberOf(high)] as const;
    const margin = [numberOf(control.margin[0]), numberOf(control.margin[1])] as const;
    const controlEffect = control.effect ?? Number.NaN;
    const { verdict, passes } = verdictOf(claim, { interval, controlEffect, margin }, claim);
    return {
      ...{ ...found, verdict },
      effect: { ...effect, reproduced, partly },
      control: { ...control, passes },
    };
  });
  return { ...record, claims: judged };
}

/** Writes `<system>.json` and `<system>.svg` into the folder, each whole or not at all. */
export async function recordResult(
  folder: string,
  result: ReproductionResult,
  svg: string,
): Promise<{ json: string; svg: string }> {
  const paths = {
    json: join(folder, `${result.system}.json`),
    svg: join(folder, `${result.system}.svg`),
  };
  await mkdir(folder, { recursive: true });
  await writeWhole(paths.svg, svg);
  await writeWhole(paths.json, `${JSON.stringify(result, null, 2)}\n`);
  return paths;
}

/** Writes a file beside its place and moves it there, so that readers see all of it or nothing. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(temporary, "w");
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
