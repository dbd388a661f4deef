/** Rows of tokens that were met before: the latest are kept. */
import { JetonError } from "../../core/index.ts";

/** Hits and misses of a cache. */
export interface CacheUse {
  readonly hits: number;
  readonly misses: number;
}

/** A cache of embedding rows by byte form. What a batch needs is never evicted for that batch. */
export class RowCache {
  readonly #capacity: number;
  /** In order of use, the oldest first. */
  readonly #rows: Map<string, Float32Array> = new Map();
  #hits = 0;
  #misses = 0;

  /** @param capacity rows that are kept */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get use(): CacheUse {
    return { hits: this.#hits, misses: this.#misses };
  }

  get size(): number {
    return this.#rows.size;
  }

  /**
   * The rows of distinct forms; `predict` is asked for those that are missing.
   *
   * @throws JetonError `dynamic-cache-too-small` when one batch has more forms than the cache holds
   */
  async take(
    forms: readonly string[],
    predict: (missing: readonly string[]) => Promise<readonly Float32Array[]>,
  ): Promise<Map<string, Float32Array>> {
    if (forms.length > this.#capacity) {
      throw new JetonError(
        `the batch holds ${forms.length} distinct tokens, the cache ${this.#capacity} rows`,
        {
          code: "dynamic-cache-too-small",
          details: { found: forms.length, expected: this.#capacity },
        },
      );
    }
    const taken = new Map<string, Float32Array>();
    const missing: string[] = [];
    for (const form of forms) {
      const row = this.#rows.get(form);
      if (!row) {
        missing.push(form);
        continue;
      }
      taken.set(form, row);
      this.#rows.delete(form);
      this.#rows.set(form, row);
    }
    this.#hits += taken.size;
    this.#misses += missing.length;
    if (missing.length > 0) {
      const rows = await predict(missing);
      for (const [place, form] of missing.entries()) {
        taken.set(form, rows[place]!);
        this.#rows.set(form, rows[place]!);
      }
    }
    // Rows just used are at the end of the map, so they are not among the evicted ones.
    for (const form of this.#rows.keys()) {
      if (this.#rows.size <= this.#capacity) break;
      this.#rows.delete(form);
    }
    return taken;
  }
}
