/** Records which experts a sparse decoder sends tokens to. */
import { JetonError } from "../../core/index.ts";
import type { LoadedModel } from "../types.ts";

/** Choices of every router for every token of some texts, in reading order. */
export interface RoutingTrace {
  /** Sparse layers. */
  readonly layers: number;
  readonly experts: number;
  /** Choices of a token in a layer. */
  readonly perToken: number;
  /** Names of `domains`. */
  readonly domainNames: readonly string[];
  /** `[tokens]` each: id, position within its sequence, number of its sequence and of its domain. */
  readonly ids: Int32Array;
  readonly positions: Int32Array;
  readonly sequences: Int32Array;
  readonly domains: Int32Array;
  /** `[tokens, layers, perToken]`: experts, best first, before any capacity; and their weights. */
  readonly choices: Int32Array;
  readonly weights: Float32Array;
}

/** A text whose routing is recorded. */
export interface RoutedText {
  /** Text, or ids where it is tokenized already. */
  readonly text: string | readonly number[];
  /** What it is compared by: a language, a source. Default: one domain, `"text"`. */
  readonly domain?: string;
}

/** Options of `recordRouting`. */
export interface RecordRoutingOptions {
  /** Tokens of one sequence; longer texts are cut into several. Default: the context, at most 512. */
  readonly sequenceLength?: number;
  /** Called after each sequence. */
  readonly onProgress?: (tokens: number) => void;
  readonly signal?: AbortSignal;
}

/** Rows of one pass. */
const passRows = 128;

/**
 * Reads texts with a sparse model and records its choices.
 *
 * @throws JetonError `model-experts-none` where the model has no experts; `option-invalid` for a sequence
 *   longer than the context
 */
export async function recordRouting(
  model: LoadedModel,
  texts: readonly RoutedText[],
  options: RecordRoutingOptions = {},
): Promise<RoutingTrace> {
  const { config, contextLength, tokenizer } = model;
  const { sequenceLength = Math.min(512, contextLength), onProgress, signal } = options;
  const { experts } = config;
  if (experts === undefined) {
    throw new JetonError(`${model.name} (${config.family}) has no experts`, {
      code: "model-experts-none",
      details: { family: config.family },
    });
  }
  if (
    !(Number.isInteger(sequenceLength) && sequenceLength > 0 && sequenceLength <= contextLength)
  ) {
    throw new JetonError(`sequenceLength is ${sequenceLength}, expected 1 to ${contextLength}`, {
      code: "option-invalid",
      details: { option: "sequenceLength", found: sequenceLength, expected: contextLength },
    });
  }
  const domainNames = [...new Set(texts.map(({ domain = "text" }) => domain))];
  const columns = new TraceColumns();
  for (const { text, domain = "text" } of texts) {
    const ids = typeof text === "string" ? tokenizer.encode(text).ids : text;
    for (let at = 0; at < ids.length; at += sequenceLength) {
      const own = Array.from(ids.slice(at, at + sequenceLength));
      // Rotations by length are those of a text that is there as a whole.
      const promptLength = own.length;
      const sequence = await model.openSequence({ promptLength, ...(signal && { signal }) });
      try {
        for (let start = 0; start < own.length; start += passRows) {
          signal?.throwIfAborted();
          const part = own.slice(start, start + passRows);
          const step = { ids: part, results: "all", routing: true } as const;
          const { expertChoices, expertWeights } = await sequence.step(step);
          columns.add(part, start, domainNames.indexOf(domain), expertChoices!, expertWeights!);
        }
      } finally {
        await sequence.release();
      }
      columns.endSequence();
      onProgress?.(columns.ids.length);
    }
  }
  return {
    layers: config.layers.filter(({ sparse }) => sparse).length,
    experts: experts.count,
    perToken: experts.perToken,
    domainNames,
    ...columns.arrays(),
  };
}

/** Columns of a trace while it grows. */
class TraceColumns {
  readonly ids: number[] = [];
  readonly #positions: number[] = [];
  readonly #sequences: number[] = [];
  readonly #domains: number[] = [];
  readonly #choices: Int32Array[] = [];
  readonly #weights: Float32Array[] = [];
  #sequence = 0;

  add(
    ids: readonly number[],
    first: number,
    domain: number,
    choices: Int32Array,
    weights: Float32Array,
  ): void {
    for (const [at, id] of ids.entries()) {
      this.ids.push(id);
      this.#positions.push(first + at);
      this.#sequences.push(this.#sequence);
      this.#domains.push(domain);
    }
    this.#choices.push(choices);
    this.#weights.push(weights);
  }

  endSequence(): void {
    this.#sequence++;
  }

  arrays(): Pick<
    RoutingTrace,
    "ids" | "positions" | "sequences" | "domains" | "choices" | "weights"
  > {
    const count = this.#choices.reduce((sum, { length }) => sum + length, 0);
    const choices = new Int32Array(count);
    const weights = new Float32Array(count);
    let at = 0;
    for (const [index, part] of this.#choices.entries()) {
      choices.set(part, at);
      weights.set(this.#weights[index]!, at);
      at += part.length;
    }
    return {
      ids: Int32Array.from(this.ids),
      positions: Int32Array.from(this.#positions),
      sequences: Int32Array.from(this.#sequences),
      domains: Int32Array.from(this.#domains),
      choices,
      weights,
    };
  }
}
