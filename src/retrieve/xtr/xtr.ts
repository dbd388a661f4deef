/**
 * XTR's inference (Lee and others, 2023) written out over all products of a query's tokens with a corpus's: what
 * the index computes from segments and clusters, and what it is tested against.
 */
import { JetonError } from "../../core/index.ts";
import { kthLargest } from "../tokens/kth-largest.ts";

/** Products of a query's tokens with all tokens of a corpus. */
export interface TokenProducts {
  /** `[query tokens, corpus tokens]` */
  readonly products: Float32Array;
  /** Number of the document that each corpus token belongs to. */
  readonly documentOf: Uint32Array;
  /** Number of documents. */
  readonly documents: number;
}

/** Options of `scoreRetrieved`. */
export interface ScoreRetrievedOptions {
  /** k' of the paper: how many tokens of the corpus each query token retrieves. */
  readonly candidates: number;
  /**
   * What a query token counts that retrieved nothing of a document: the last score that it retrieved (`"last"`, default,
   * the paper's), its highest (`"first"`), or nothing (`"zero"`).
   */
  readonly missing?: "last" | "first" | "zero";
}

/**
 * Scores documents from retrieved tokens alone: the mean over query tokens of the best retrieved product with the
 * document, or of what stands for it (f_XTR' of the paper). With all tokens as candidates it is MaxSim.
 *
 * @returns a score for each document; NaN where no query token retrieved one of its tokens
 * @throws JetonError `xtr-option-invalid`
 */
export function scoreRetrieved(
  { products, documentOf, documents }: TokenProducts,
  { candidates, missing = "last" }: ScoreRetrievedOptions,
): Float64Array {
  if (!(candidates >= 1)) throw invalid("candidates", candidates, "a number from 1");
  if (!["last", "first", "zero"].includes(missing)) {
    throw invalid("missing", missing, "last, first or zero");
  }
  const tokens = documentOf.length;
  const count = tokens === 0 ? 0 : products.length / tokens;
  const sums = new Float64Array(documents);
  const isFound = new Uint8Array(documents);
  const best = new Float64Array(documents);
  for (let at = 0; at < count; at++) {
    const row = products.subarray(at * tokens, (at + 1) * tokens);
    const last = kthLargest(row.slice(), candidates);
    best.fill(Number.NEGATIVE_INFINITY);
    let first = last;
    for (let token = 0; token < tokens; token++) {
      const score = row[token]!;
      if (score < last) continue;
      const document = documentOf[token]!;
      if (score > best[document]!) best[document] = score;
      if (score > first) first = score;
      isFound[document] = 1;
    }
    const bound = missing === "zero" ? 0 : missing === "last" ? last : first;
    for (let document = 0; document < documents; document++) {
      const score = best[document]!;
      sums[document]! += score === Number.NEGATIVE_INFINITY ? bound : score;
    }
  }
  return sums.map((sum, document) => (isFound[document] === 1 ? sum / count : Number.NaN));
}

/**
 * Numbers of the corpus tokens that each query token retrieves, in no order; of equal last scores all.
 *
 * @returns one list for each query token
 */
export function retrieveTokens(
  { products, documentOf }: TokenProducts,
  candidates: number,
): Uint32Array[] {
  const tokens = documentOf.length;
  const count = tokens === 0 ? 0 : products.length / tokens;
  return Array.from({ length: count }, (_, at) => {
    const row = products.subarray(at * tokens, (at + 1) * tokens);
    const last = kthLargest(row.slice(), candidates);
    const found: number[] = [];
    for (let token = 0; token < tokens; token++) if (row[token]! >= last) found.push(token);
    return Uint32Array.from(found);
  });
}

function invalid(option: string, found: unknown, expected: string): JetonError {
  return new JetonError(`XTR option ${option}: ${String(found)}; expected ${expected}`, {
    code: "xtr-option-invalid",
    details: { option, found, expected },
  });
}
