/**
 * How the reproductions of this module measure: bits per byte of the same held-out texts for any
 * tokenizer, before any training and after a fixed budget of it.
 */
import { createHash } from "node:crypto";
import { createRandom } from "../core/index.ts";
import { type DecoderConfig, decoderNames } from "../model/index.ts";
import type { RatioParts } from "../reproduce/index.ts";
import type { Tokenizer } from "../tokenizer/index.ts";
import {
  adamW,
  decayMatricesOnly,
  ignoredTarget,
  languageModelGraph,
  languageModelInputs,
  openTrainer,
  type ParameterValue,
  type TrainingInputs,
} from "../train/index.ts";
import type { ModelFiles } from "./whole-model.ts";

/** Groups of lines that are read as one text each. */
export function groupLines(lines: readonly string[], size: number): string[] {
  const groups: string[] = [];
  for (let at = 0; at < lines.length; at += size)
    groups.push(lines.slice(at, at + size).join("\n"));
  return groups;
}

/** Texts as batches in which every token is a target: each text follows the token that begins texts. */
export interface MeasuredTexts {
  readonly parts: readonly TrainingInputs[];
  readonly bytes: number;
  readonly tokens: number;
}

export interface MeasureTextsOptions {
  /** Texts of a batch. Default 8. */
  batch?: number;
  /** Longer texts are cut. Default 256. */
  longest?: number;
}

/** Prepares texts for the training graph of a decoder. */
export function prepareTexts(
  config: DecoderConfig,
  tokenizer: Tokenizer,
  texts: readonly string[],
  options: MeasureTextsOptions = {},
): MeasuredTexts {
  const { batch: size = 8, longest = 256 } = options;
  const toInputs = languageModelInputs(config, { sequenceLength: longest });
  const start = tokenizer.bosTokenId ?? tokenizer.eosTokenId ?? 0;
  const parts: TrainingInputs[] = [];
  let bytes = 0;
  let tokens = 0;
  for (let at = 0; at < texts.length; at += size) {
    const rows = texts
      .slice(at, at + size)
      .map((text) =>
        tokenizer
          .encodeIds(text, { addSpecialTokens: false, allowedSpecial: "none" })
          .subarray(0, longest),
      );
    const time = Math.max(...rows.map((row) => row.length));
    const ids = new Int32Array(rows.length * time);
    const targets = new Int32Array(rows.length * time).fill(ignoredTarget);
    for (const [place, row] of rows.entries()) {
      ids[place * time] = start;
      ids.set(row.subarray(0, row.length - 1), place * time + 1);
      targets.set(row, place * time);
      tokens += row.length;
      bytes += Buffer.byteLength(tokenizer.decode(row, { skipSpecialTokens: false }));
    }
    parts.push(toInputs({ batch: rows.length, time, ids, targets }));
  }
  return { parts, bytes, tokens };
}

export interface AdaptOptions {
  readonly tokenizer: Tokenizer;
  /** Texts that are measured. */
  readonly heldOut: readonly string[];
  /** Texts of the training; each step takes `batch` of them. */
  readonly texts?: readonly string[];
  /** Steps after which is measured, ascending; 0: before any. Default only 0. */
  readonly measureAt?: readonly number[];
  /** Default 8. */
  readonly batch?: number;
  readonly learningRate?: number;
  readonly seed?: number;
  readonly signal?: AbortSignal;
  readonly onStep?: (step: number) => void;
}

/** Bits and bytes of each held-out text after each number of steps. */
export async function adaptAndMeasure(
  config: DecoderConfig,
  parameters: ReadonlyMap<string, ParameterValue>,
  options: AdaptOptions,
): Promise<RatioParts[][]> {
  const { tokenizer, texts = [], measureAt = [0], batch = 8, seed = 0, signal } = options;
  const shapes = new Map([...parameters].map(([name, { shape }]) => [name, shape]));
  // One by one: the interval is over texts.
  const heldOut = options.heldOut.map((text) => prepareTexts(config, tokenizer, [text]));
  const order = createRandom(seed, "order");
  await using trainer = await openTrainer({
    graph: languageModelGraph(config, { parameters: shapes }),
    parameters,
    schedule: { kind: "constant", peak: options.learningRate ?? 1e-3, warmupSteps: 5 },
    optimizer: adamW({ beta2: 0.95, maxNorm: 1, weightDecay: 0.01 }),
    group: decayMatricesOnly,
    threads: 2,
    spinning: false,
  });
  const found: RatioParts[][] = [];
  let step = 0;
  for (const until of measureAt) {
    for (; step < until; step++) {
      signal?.throwIfAborted();
      const chosen = Array.from({ length: batch }, () => texts[order.integer(texts.length)]!);
      await trainer.step(prepareTexts(config, tokenizer, chosen, { batch }).parts);
      options.onStep?.(step + 1);
    }
    const measured: RatioParts[] = [];
    for (const { parts, bytes } of heldOut) {
      const { loss, weight } = await trainer.evaluate(parts);
      measured.push({ sum: (loss * weight) / Math.LN2, weight: bytes });
    }
    found.push(measured);
  }
  return found;
}

export interface TuneRowsOptions {
  readonly texts: readonly string[];
  readonly steps: number;
  /** Texts of a step. */
  readonly batch: number;
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly onStep: (step: number, loss: number) => void;
}

/**
 * The model with its own rows trained on texts in its own tokens, the body frozen: what a hypernetwork's
 * training gives besides the transfer, adaptation to the texts, alone.
 */
export async function tuneRows(model: ModelFiles, options: TuneRowsOptions): Promise<ModelFiles> {
  const { texts, steps, batch, seed, signal, onStep } = options;
  const { source, parameters } = model;
  const { tokenizer } = source.vocabulary;
  const shapes = new Map([...parameters].map(([name, { shape }]) => [name, shape]));
  const order = createRandom(seed, "order");
  await using trainer = await openTrainer({
    graph: languageModelGraph(source.config, {
      parameters: shapes,
      trainable: new Set([decoderNames.embedding, decoderNames.head]),
    }),
    parameters,
    // As a hypernetwork is trained.
    schedule: {
      ...{ kind: "cosine", peak: 1e-3, final: 1e-4, steps },
      warmupSteps: Math.ceil(steps / 20),
    },
    optimizer: adamW({ beta2: 0.95, maxNorm: 1, weightDecay: 0.01 }),
    group: decayMatricesOnly,
    threads: 2,
    spinning: false,
  });
  for (let step = 1; step <= steps; step++) {
    signal.throwIfAborted();
    const chosen = Array.from({ length: batch }, () => texts[order.integer(texts.length)]!);
    const { parts } = prepareTexts(source.config, tokenizer, chosen, { batch });
    onStep(step, (await trainer.step(parts)).loss);
  }
  const trained = new Map([...parameters, ...(await trainer.parameters())]);
  const embedding = trained.get(decoderNames.embedding)!.data;
  const head = trained.get(decoderNames.head)?.data;
  const tables = source.tables.head && head ? { embedding, head } : { embedding };
  return { source: { ...source, tables }, parameters: trained };
}

/** Tells weights apart: measurements of one model must not be taken for those of another. */
export function fingerprint(model: ModelFiles): string {
  const hash = createHash("sha256");
  for (const [name, { data }] of model.parameters) {
    hash.update(name);
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest("hex").slice(0, 16);
}
