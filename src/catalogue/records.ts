/** Recorded results as the page, feeds and the digest show them. */
import { readFile } from "node:fs/promises";
import { isJsonObject, type JsonValue, parseJson } from "../checkpoint/json.ts";
import { JetonError } from "../core/index.ts";
import { describePaper, formatInterval, formatNumber } from "../reproduce/figures.ts";
import type { ClaimResult, IntervalEnd } from "../reproduce/run-reproduction.ts";
import { describeFigure } from "./describe-figure.ts";

/** Folder of the records; the same relative path from `src` and `dist`. */
const recordsFolder = new URL("../../reproductions/", import.meta.url);

/** Days of records from before records said them, from the repository's history. */
const daysOfOldRecords: Readonly<Record<string, string>> = {
  aded: "2026-11-24",
  "data-mixture-inference": "2026-11-24",
  dyspec: "2026-11-28",
  lookahead: "2026-11-24",
  "token-recycling": "2026-11-24",
  zett: "2026-11-24",
};

/** One claim of a record, its figures written out. */
export interface RecordedClaim {
  readonly id: string;
  /** What should hold, with data and model. */
  readonly text: string;
  /** What the paper reports. */
  readonly paper: string;
  /** What was measured here, with its unit. */
  readonly measured: string;
  /** The baseline's figure and name, where there is one. */
  readonly baseline?: string;
  /** The effect's 95 % interval and over what; absent in records from before intervals. */
  readonly interval?: string;
  /** The control's figure and name; absent in records from before controls. */
  readonly control?: string;
  readonly verdict: "reproduced" | "partly" | "not reproduced";
}

/** The last recorded full run of a system. */
export interface SystemRecord {
  /** When it was recorded, ISO 8601, where the record says it. Not a part of what a seed repeats. */
  readonly recorded?: string;
  readonly seconds: number;
  /** `"points"`: judged by single numbers, before intervals and controls. */
  readonly judgedBy: "intervals" | "points";
  readonly claims: readonly RecordedClaim[];
}

/**
 * Reads the record of a system.
 *
 * @returns undefined where nothing is recorded
 * @throws JetonError `catalogue-record-invalid` for a file that holds no record
 */
export async function readRecord(slug: string): Promise<SystemRecord | undefined> {
  const url = new URL(`${slug}.json`, recordsFolder);
  const text = await readFile(url, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const recorded = daysOfOldRecords[slug];
  return { ...(recorded !== undefined && { recorded }), ...recordOf(text, `${slug}.json`) };
}

/** Address of a system's recorded plot. */
export function plotFile(slug: string): URL {
  return new URL(`${slug}.svg`, recordsFolder);
}

/** Reads the text of a record. @throws JetonError `catalogue-record-invalid` */
export function recordOf(text: string, source: string): SystemRecord {
  const record = parseJson(text, { source, code: "catalogue-record-invalid" });
  if (!isJsonObject(record) || !Array.isArray(record["claims"])) {
    throw new JetonError(`${source} holds no claims`, {
      code: "catalogue-record-invalid",
      details: { path: source, found: typeof record, expected: "{ claims: […] }" },
    });
  }
  const claims = record["claims"] as readonly JsonValue[];
  const parts = claims as unknown as readonly StoredClaim[];
  return {
    ...(typeof record["date"] === "string" && { recorded: record["date"] }),
    seconds: Number(record["seconds"] ?? 0),
    judgedBy: parts.every(({ control }) => control !== undefined) ? "intervals" : "points",
    claims: parts.map(describeClaim),
  };
}

/** A claim as records hold it: since intervals, and before them. */
type StoredClaim = Omit<ClaimResult, "paper" | "units" | "control" | "effect"> & {
  readonly paper: ClaimResult["paper"] | string | number | null;
  readonly units?: ClaimResult["units"];
  readonly control?: ClaimResult["control"];
  readonly effect?: { readonly interval?: readonly [IntervalEnd, IntervalEnd] };
};

const digits = 3;

function describeClaim(claim: StoredClaim): RecordedClaim {
  const { id, text, measured, baseline, baselineName, unit, units, effect, control } = claim;
  const number = (value: number): string => formatNumber(value, digits);
  const interval = effect?.interval;
  return {
    id,
    text,
    paper: paperText(claim),
    measured: describeFigure(measured, unit),
    ...(baseline !== null && { baseline: `${number(baseline)} (${baselineName ?? "baseline"})` }),
    ...(interval !== undefined &&
      units !== undefined && {
        interval: `${formatInterval(interval, digits)} (${units.count} ${units.name})`,
      }),
    ...(control !== undefined && {
      control: `${number(control.measured)} (${control.name})${control.passes ? ": passes as well" : ""}`,
    }),
    verdict: claim.verdict,
  };
}

function paperText({ paper, unit }: StoredClaim): string {
  if (paper === null || paper === undefined) return "not reported";
  if (typeof paper === "string") return paper;
  if (typeof paper === "number") return describeFigure(paper, unit);
  return describePaper(paper, { digits, writeFigure: describeFigure });
}
