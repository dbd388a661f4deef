/** What an index is made with, and whether that is what its folder keeps. */
import { isDeepStrictEqual } from "node:util";
import { JetonError } from "../../core/index.ts";
import { describeValue, objectRule } from "../../core/option-rules.ts";
import {
  type AnalyzerOptions,
  type Bm25FormulaOptions,
  createAnalyzer,
  resolveBm25Formula,
} from "../../lexical/index.ts";
import type { StoredSettings } from "./manifest.ts";

/** What an index is made with; kept in its folder, and given again only to say so. */
export interface IndexSettings {
  /** How text becomes terms. Default letters and digits of all scripts, in lower case. */
  analyzer?: AnalyzerOptions;
  /** Default Lucene's. */
  bm25?: Bm25FormulaOptions;
  /** From how many token vectors on a segment gets an inverted file. Default 20,000. */
  invertFrom?: number;
  /** How inverted files keep vectors: four bits a number (default), or exact. */
  residuals?: "4-bit" | "exact";
  /** Texts to remember with the index, e.g. the model that made its vectors. */
  metadata?: Readonly<Record<string, string>>;
}

/**
 * Settings with their defaults.
 *
 * @throws JetonError `index-option-invalid`, `analyzer-option-invalid`, `bm25-option-invalid`
 */
export function resolveSettings(settings: IndexSettings): StoredSettings {
  const { analyzer = {}, bm25 = {}, invertFrom = 20_000 } = settings;
  const { residuals = "4-bit", metadata = {} } = settings;
  checkCount("invertFrom", invertFrom);
  if (residuals !== "4-bit" && residuals !== "exact") {
    throw invalidOption("residuals", residuals, "4-bit or exact");
  }
  const isTexts =
    objectRule.test(metadata) && Object.values(metadata).every((text) => typeof text === "string");
  if (!isTexts) throw invalidOption("metadata", describeValue(metadata), "an object of texts");
  createAnalyzer(analyzer);
  resolveBm25Formula(bm25);
  return { analyzer, bm25, invertFrom, residuals, metadata };
}

/** Compares settings that are given with those of an index. @throws JetonError `index-settings` */
export function checkSettings(given: IndexSettings, stored: StoredSettings): void {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const found = stored[name as keyof StoredSettings];
    if (isDeepStrictEqual(asStored(found), asStored(value))) continue;
    throw new JetonError(`the index was made with ${describeChange(name, found, value)}`, {
      code: "index-settings",
      details: { setting: name, found: value, expected: found },
    });
  }
}

/** A setting without what JSON leaves out. */
function asStored(value: unknown): unknown {
  return typeof value === "object" ? JSON.parse(JSON.stringify(value)) : value;
}

/** What a setting was and what is asked for; of an object the first entry that differs. */
function describeChange(name: string, found: unknown, asked: unknown): string {
  const [before, now] = [found, asked] as (Readonly<Record<string, unknown>> | undefined)[];
  const key =
    typeof before === "object" && typeof now === "object" && before !== null && now !== null
      ? Object.keys({ ...before, ...now }).find(
          (one) => JSON.stringify(before[one]) !== JSON.stringify(now[one]),
        )
      : undefined;
  if (key !== undefined) return describeChange(key, before![key], now![key]);
  const write = (value: unknown): string => (value === undefined ? "none" : JSON.stringify(value));
  return `${name} ${write(found)}, not ${write(asked)}`;
}

/** A whole number from 1, or infinity. @throws JetonError `index-option-invalid` */
export function checkCount(option: string, found: number): void {
  const isCount = Number.isInteger(found) || found === Number.POSITIVE_INFINITY;
  if (!(isCount && found > 0)) throw invalidOption(option, found, "a whole number from 1");
}

/** The error of an option, `index-option-invalid`. */
export function invalidOption(option: string, found: unknown, expected: string): JetonError {
  return new JetonError(`index option ${option}: ${String(found)}; expected ${expected}`, {
    code: "index-option-invalid",
    details: { option, found, expected },
  });
}
