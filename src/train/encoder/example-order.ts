/** The order in which examples are learned from: shuffled anew for each pass over them. */
import { createRandom, JetonError } from "../../core/index.ts";

/** Where the data stands. */
export interface ExamplePosition {
  readonly pass: number;
  /** Examples of the pass that were read. */
  readonly at: number;
}

/** Examples of a batch, and where the data stands behind it. */
export interface ExampleBatch<T> {
  readonly examples: readonly T[];
  readonly next: ExamplePosition;
}

/**
 * Reads batches of examples. The order depends on the seed and the pass alone; a rest too small for a batch is left
 * out.
 */
export class ExampleOrder<T> {
  readonly start: ExamplePosition = { pass: 0, at: 0 };
  readonly #examples: readonly T[];
  readonly #batch: number;
  readonly #seed: number;
  #shuffled: { readonly pass: number; readonly order: readonly number[] } | undefined;

  /** @throws JetonError `option-invalid` where there are fewer examples than a batch holds */
  constructor(
    examples: readonly T[],
    { batch, seed }: { readonly batch: number; readonly seed: number },
  ) {
    if (examples.length < batch) {
      throw new JetonError(
        `a batch of ${batch} needs as many examples, there are ${examples.length}`,
        {
          code: "option-invalid",
          details: { option: "batch", found: batch, expected: `at most ${examples.length}` },
        },
      );
    }
    this.#examples = examples;
    this.#batch = batch;
    this.#seed = seed;
  }

  read({ pass, at }: ExamplePosition): ExampleBatch<T> {
    if (at + this.#batch > this.#examples.length) return this.read({ pass: pass + 1, at: 0 });
    const order = this.#order(pass).slice(at, at + this.#batch);
    return {
      examples: order.map((index) => this.#examples[index]!),
      next: { pass, at: at + this.#batch },
    };
  }

  #order(pass: number): readonly number[] {
    if (this.#shuffled?.pass !== pass) {
      const order = [...this.#examples.keys()];
      createRandom(this.#seed, "examples", pass).shuffle(order);
      this.#shuffled = { pass, order };
    }
    return this.#shuffled.order;
  }
}
