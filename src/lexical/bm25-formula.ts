/**
 * The variants of BM25 by name. They differ in two parts: the weight of a term, from how many documents
 * hold it, and how its occurrences in a document count.
 */
import { JetonError } from "../core/index.ts";
import { checkOptionNames } from "../core/option-rules.ts";

/**
 * Weight of a term that n of N documents hold.
 * - `lucene`: ln(1 + (N - n + 0.5) / (n + 0.5))
 * - `robertson`: ln((N - n + 0.5) / (n + 0.5)), at least 0
 * - `atire`: ln(N / n)
 * - `plus`: ln((N + 1) / n)
 * - `l`: ln((N + 1) / (n + 0.5))
 */
export type Bm25Weight = "lucene" | "robertson" | "atire" | "plus" | "l";

/**
 * What f occurrences count in a document of length |d|, where L is the mean length and
 * B = 1 - b + b |d| / L. A term that does not occur counts 0 in all of them.
 * - `plain`: f / (f + k1 B)
 * - `scaled`: (k1 + 1) f / (f + k1 B)
 * - `plus`: delta + (k1 + 1) f / (f + k1 B)
 * - `l`: (k1 + 1) (c + delta) / (k1 + c + delta) with c = f / B
 */
export type Bm25Saturation = "plain" | "scaled" | "plus" | "l";

/** A formula of BM25. */
export interface Bm25Formula {
  readonly weight: Bm25Weight;
  readonly saturation: Bm25Saturation;
  /** How slowly occurrences saturate; 0 counts presence alone. */
  readonly k1: number;
  /** How much the length of a document counts, 0 to 1. */
  readonly b: number;
  /** Lower bound of a term that occurs; only of `plus` and `l`. */
  readonly delta: number;
}

/** Names of the variants. */
export type Bm25VariantName = "lucene" | "lucene-0.9-0.4" | "robertson" | "atire" | "plus" | "l";

const lucene: Bm25Formula = { weight: "lucene", saturation: "plain", k1: 1.2, b: 0.75, delta: 0 };

/**
 * The variants. `lucene` is what Lucene computes since version 8, with exact document lengths;
 * `lucene-0.9-0.4` has Anserini's parameters; `robertson` (1995), `atire` (Trotman and others, 2012),
 * `plus` and `l` (Lv and Zhai, 2011).
 */
export const bm25Variants: Readonly<Record<Bm25VariantName, Bm25Formula>> = {
  lucene,
  "lucene-0.9-0.4": { ...lucene, k1: 0.9, b: 0.4 },
  robertson: { ...lucene, weight: "robertson", saturation: "scaled" },
  atire: { ...lucene, weight: "atire", saturation: "scaled" },
  plus: { ...lucene, weight: "plus", saturation: "plus", delta: 1 },
  l: { ...lucene, weight: "l", saturation: "l", delta: 0.5 },
};

/** Which formula: a variant by name, with other parameters where they are given. */
export interface Bm25FormulaOptions {
  /** Default `"lucene"`. */
  variant?: Bm25VariantName | Pick<Bm25Formula, "weight" | "saturation">;
  /** Default the variant's. */
  k1?: number;
  /** Default the variant's. */
  b?: number;
  /** Default the variant's. An error for variants that have none. */
  delta?: number;
}

/**
 * The formula that options ask for.
 *
 * @throws JetonError `bm25-option-invalid` for an unknown variant, or a parameter out of its range
 */
export function resolveBm25Formula(options: Bm25FormulaOptions = {}): Bm25Formula {
  checkOptionNames(options, ["variant", "k1", "b", "delta"], {
    what: "BM25",
    invalidCode: "bm25-option-invalid",
  });
  const { variant = "lucene" } = options;
  if (typeof variant !== "string") {
    checkOptionNames(variant, ["weight", "saturation", "k1", "b", "delta"], {
      what: "a BM25 variant",
      invalidCode: "bm25-option-invalid",
    });
  }
  const base = typeof variant === "string" ? bm25Variants[variant] : { ...lucene, ...variant };
  if (base === undefined || !isOneOf(weights, base.weight)) {
    throw invalid("variant", variant, Object.keys(bm25Variants).join(", "));
  }
  if (!isOneOf(saturations, base.saturation)) {
    throw invalid("variant", variant, saturations.join(", "));
  }
  const { k1 = base.k1, b = base.b, delta = base.delta } = options;
  if (!(k1 >= 0 && Number.isFinite(k1))) throw invalid("k1", k1, "a number from 0");
  if (!(b >= 0 && b <= 1)) throw invalid("b", b, "a number from 0 to 1");
  if (!(delta >= 0 && Number.isFinite(delta))) throw invalid("delta", delta, "a number from 0");
  const hasDelta = base.saturation === "plus" || base.saturation === "l";
  if (options.delta !== undefined && !hasDelta) {
    throw invalid("delta", delta, "no delta: this variant has none");
  }
  return { ...base, k1, b, delta };
}

const weights: readonly string[] = ["lucene", "robertson", "atire", "plus", "l"];
const saturations: readonly string[] = ["plain", "scaled", "plus", "l"];

function isOneOf(names: readonly string[], name: unknown): boolean {
  return typeof name === "string" && names.includes(name);
}

function invalid(option: string, found: unknown, expected: string): JetonError {
  return new JetonError(`BM25 option ${option}: ${JSON.stringify(found)}; expected ${expected}`, {
    code: "bm25-option-invalid",
    details: { option, found, expected },
  });
}

/** The weight of a term that `holding` (at least 1) of `documents` documents hold. */
export function weightOfTerm(weight: Bm25Weight, documents: number, holding: number): number {
  const odds = (documents - holding + 0.5) / (holding + 0.5);
  switch (weight) {
    case "lucene":
      return Math.log(1 + odds);
    case "robertson":
      return Math.max(0, Math.log(odds));
    case "atire":
      return Math.log(documents / holding);
    case "plus":
      return Math.log((documents + 1) / holding);
    case "l":
      return Math.log((documents + 1) / (holding + 0.5));
  }
}

/**
 * All saturations in one form: constant + factor (f + shift B) / (f + slope B), so that one loop serves
 * every variant.
 */
export interface SaturationForm {
  readonly constant: number;
  readonly factor: number;
  readonly shift: number;
  readonly slope: number;
}

/** The form of a formula's saturation. */
export function saturationForm({ saturation, k1, delta }: Bm25Formula): SaturationForm {
  switch (saturation) {
    case "plain":
      return { constant: 0, factor: 1, shift: 0, slope: k1 };
    case "scaled":
      return { constant: 0, factor: k1 + 1, shift: 0, slope: k1 };
    case "plus":
      return { constant: delta, factor: k1 + 1, shift: 0, slope: k1 };
    case "l":
      return { constant: 0, factor: k1 + 1, shift: delta, slope: k1 + delta };
  }
}
