/**
 * Texts that grow in a fixed context: whenever the context is full, its tokens are compressed, and the text goes on behind
 * their embeddings, until one for each of the compressor's windows fills it.
 */
import { JetonError } from "../../core/index.ts";
import {
  type GeneratedToken,
  type GenerateOptions,
  type GenerateResult,
  generate,
} from "../../generate/index.ts";
import type { LoadedModel } from "../../model/index.ts";
import type { OpenCompressor } from "./open-compressor.ts";
import { checkFactor, contextRows, type PackedContext } from "./packed-context.ts";
import { joinRows, readEmbeddings } from "./prompt-with-context.ts";

/** Options of `openExtensibleSession`. */
export interface ExtensibleSessionOptions {
  /**
   * Tokens for each embedding, at first: where even the embeddings fill half of the context, it is doubled, up to the
   * compressor's window. Default: the smallest one that the compressor was trained for.
   */
  factor?: number;
  /** Embeddings and tokens that are read at most. Default: the model's context. */
  contextLength?: number;
}

/** Options of `ExtensibleSession.generate`: those of `generate` that do not look back at what was generated. */
export type SessionGenerateOptions = Omit<
  GenerateOptions,
  | "promptEmbeddings"
  | "stop"
  | "minTokens"
  | "frequencyPenalty"
  | "presencePenalty"
  | "reportContext"
>;

/** Why a session stopped writing. */
export interface SessionEnd {
  readonly finishReason: "stop" | "length";
  /** Tokens that were written. */
  readonly tokens: number;
}

/** A text that grows. */
export interface ExtensibleSession {
  /** All tokens of the text. */
  readonly ids: readonly number[];
  /** Embeddings (N_et) and tokens (N_raw) that the model reads now; together never more than the context. */
  readonly embeddings: number;
  readonly raw: number;
  readonly factor: number;
  /**
   * Adds tokens.
   *
   * @throws JetonError `packed-context-too-long` where the context cannot hold an embedding of each window; what was
   *   read until then stays
   */
  append(ids: ArrayLike<number>): Promise<void>;
  /**
   * Continues the text, which has at least one token; what is written is a part of it.
   *
   * @param options `maxTokens`: default 256, more than the context holds or not
   * @throws JetonError `packed-context-too-long` as `append`, and those of `generate`
   */
  generate(options?: SessionGenerateOptions): AsyncGenerator<GeneratedToken, SessionEnd, void>;
}

/**
 * Opens an empty session over a model and a compressor, both of which stay the caller's.
 *
 * @throws JetonError `option-invalid`
 */
export function openExtensibleSession(
  model: LoadedModel,
  compressor: OpenCompressor,
  options: ExtensibleSessionOptions = {},
): ExtensibleSession {
  const { factor = compressor.compressor.config.factors[0]! } = options;
  const { contextLength = model.contextLength } = options;
  checkFactor({ factor: 1, window: compressor.compressor.config.window }, factor);
  checkContextLength(contextLength, model.contextLength);
  return new GrowingText(model, compressor, { factor, contextLength });
}

function checkContextLength(found: number, max: number): void {
  if (Number.isSafeInteger(found) && found >= 2 && found <= max) return;
  const expected = `a whole number from 2 to ${max}`;
  throw new JetonError(`contextLength is ${found}, expected ${expected}`, {
    code: "option-invalid",
    details: { option: "contextLength", found, expected },
  });
}

class GrowingText implements ExtensibleSession {
  readonly ids: number[] = [];
  readonly #model: LoadedModel;
  readonly #compressor: OpenCompressor;
  readonly #contextLength: number;
  /** What was compressed, one part after the other. */
  readonly #parts: PackedContext[] = [];
  #factor: number;
  #rows: Float32Array = new Float32Array();
  #raw: number[] = [];

  constructor(
    model: LoadedModel,
    compressor: OpenCompressor,
    { factor, contextLength }: { readonly factor: number; readonly contextLength: number },
  ) {
    this.#model = model;
    this.#compressor = compressor;
    this.#factor = factor;
    this.#contextLength = contextLength;
  }

  get embeddings(): number {
    return this.#rows.length / this.#model.config.hiddenSize;
  }

  get raw(): number {
    return this.#raw.length;
  }

  get factor(): number {
    return this.#factor;
  }

  async append(ids: ArrayLike<number>): Promise<void> {
    for (let at = 0; at < ids.length; ) {
      const fits = Math.min(ids.length - at, this.#contextLength - this.embeddings - this.raw);
      for (let end = at + fits; at < end; at++) {
        this.#raw.push(ids[at]!);
        this.ids.push(ids[at]!);
      }
      await this.#compressWhenFull();
    }
  }

  async *generate(
    options: SessionGenerateOptions = {},
  ): AsyncGenerator<GeneratedToken, SessionEnd, void> {
    const { maxTokens = 256 } = options;
    let written = 0;
    while (written < maxTokens) {
      const table = await readEmbeddings(this.#model, this.#raw);
      const promptEmbeddings = joinRows([this.#rows, ...this.#raw.map((id) => table.get(id)!)]);
      const free = this.#contextLength - this.embeddings - this.raw;
      const part = generate(this.#model, [...this.ids], {
        ...options,
        promptEmbeddings,
        maxTokens: Math.min(maxTokens - written, free),
      });
      const before = this.ids.length;
      const { finishReason } = yield* this.#follow(part);
      written += this.ids.length - before;
      if (finishReason !== "length") return { finishReason: "stop", tokens: written };
      await this.#compressWhenFull();
    }
    return { finishReason: "length", tokens: written };
  }

  /** Passes the tokens of a generation on, and keeps them. */
  async *#follow(
    part: AsyncGenerator<GeneratedToken, GenerateResult, void>,
  ): AsyncGenerator<GeneratedToken, GenerateResult, void> {
    try {
      for (let next = await part.next(); ; next = await part.next()) {
        if (next.done) return next.value;
        this.#raw.push(next.value.id);
        this.ids.push(next.value.id);
        yield next.value;
      }
    } finally {
      // A caller that leaves the loop early releases the model's sequence.
      await part.return(undefined as never);
    }
  }

  /**
   * Compresses all tokens of a full context, and with a larger factor where it would still be full.
   *
   * @throws JetonError `packed-context-too-long` where an embedding for each window fills it
   */
  async #compressWhenFull(): Promise<void> {
    if (this.embeddings + this.raw < this.#contextLength) return;
    if (this.#raw.length > 0) {
      this.#parts.push(await this.#compressor.compress(this.#raw));
      this.#raw = [];
    }
    this.#take();
    const { window } = this.#compressor.compressor.config;
    // Half of the context stays for tokens: each compression then serves many of them.
    while (this.embeddings > this.#contextLength >> 1 && this.#factor < window) {
      this.#factor = Math.min(2 * this.#factor, window);
      this.#take();
    }
    if (this.embeddings < this.#contextLength) return;
    throw new JetonError(
      `${this.ids.length} tokens have ${this.embeddings} embeddings at the largest factor, ${window}, and fill the context`,
      {
        code: "packed-context-too-long",
        details: { tokens: this.ids.length, rows: this.#contextLength, factors: [window] },
      },
    );
  }

  #take(): void {
    this.#rows = joinRows(this.#parts.map((part) => contextRows(part, this.#factor).embeddings));
  }
}
