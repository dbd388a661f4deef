/** From texts to the inputs of DupMAE's pre-training graph. */

import { type EncoderConfig, maskedScore } from "../../../model/index.ts";
import type { TensorValue } from "../../../tensor/index.ts";
import { type BatchOptions, encodeExample, tableValues } from "../encoder-batches.ts";
import { textValues } from "../encoder-inputs.ts";
import type { DuplexWeights } from "./duplex-graph.ts";
import { type DuplexMasks, sampleDuplexMasks } from "./duplex-masks.ts";

/** How much is hidden. */
export interface DuplexRates {
  /** Share of the tokens that the encoder has to tell. */
  readonly masked: number;
  /** Share of the tokens that a row of the decoder does not see. */
  readonly hidden: number;
}

/** Options of `duplexInputs`. */
export interface DuplexInputOptions extends BatchOptions {
  readonly seed: number;
  readonly rates: DuplexRates;
  /** Of the graph, which has no inputs for a part of 0. */
  readonly factors: DuplexWeights;
}

/** A text masked for the encoder, and what its decoder sees. */
interface DuplexText extends DuplexMasks {
  readonly original: Int32Array;
  readonly types: Int32Array;
  readonly attended?: Uint8Array;
  readonly length: number;
}

/**
 * Inputs of `duplexGraph`. What is masked depends on the seed, the pass over the examples and the text: another sample
 * in each pass.
 *
 * @throws JetonError `encoder-mask-missing` where the tokenizer has no mask token
 */
export function duplexInputs(
  texts: readonly string[],
  options: DuplexInputOptions,
): { readonly inputs: Record<string, TensorValue>; readonly tokens: number } {
  const { config, factors } = options;
  const prepared = texts.map((text) => prepareText(text, options));
  const values = textValues("text", config, prepared);
  const [batch, time] = values["text.ids"]!.shape as [number, number];
  const inputs: Record<string, TensorValue> = {
    ...values,
    ...partValues("masked", prepared, time, ({ masked }) => masked),
    ...(factors.lexical > 0 && bagValues(prepared, config)),
  };
  if (factors.decoding > 0) {
    const original = new Int32Array(batch * time).fill(config.padTokenId);
    for (const [row, text] of prepared.entries()) original.set(text.original, row * time);
    Object.assign(inputs, {
      ...partValues("decoded", prepared, time, ({ own }) => own),
      original: { dtype: "int32", shape: [batch, time], data: original },
      hidden: hiddenScores(prepared, time),
    });
  }
  return {
    inputs: { ...inputs, ...tableValues(config, inputs) },
    tokens: prepared.reduce((sum, { length }) => sum + length, 0),
  };
}

function prepareText(text: string, options: DuplexInputOptions): DuplexText {
  const { tokenizer, documentLength, seed, pass, rates, factors } = options;
  const { ids: original, offsets, ...rest } = encodeExample(options, text, documentLength);
  const encoded = { ids: original, offsets: offsets.slice(0, rest.length) };
  const hiding = factors.decoding > 0 ? rates.hidden : undefined;
  const masks = sampleDuplexMasks(tokenizer, text, encoded, {
    ...{ masking: rates.masked, hiding, seed, pass },
  });
  return { original, ...rest, ...masks };
}

/** Rows, targets and shares of some places of each text; one row that counts for nothing where there are none. */
function partValues(
  part: string,
  texts: readonly DuplexText[],
  time: number,
  placesOf: (text: DuplexText) => readonly number[],
): Record<string, TensorValue> {
  const entries = texts.flatMap((text, row) => {
    const places = placesOf(text);
    return places.map((at) => [row * time + at, text.original[at]!, 1 / places.length] as const);
  });
  if (entries.length === 0) entries.push([0, 0, 0]);
  const shape = [entries.length];
  const column = (index: 0 | 1): TensorValue => ({
    dtype: "int32",
    shape,
    data: Int32Array.from(entries, (entry) => entry[index]),
  });
  return {
    [`${part}.rows`]: column(0),
    [`${part}.targets`]: column(1),
    [`${part}.shares`]: {
      dtype: "float32",
      shape,
      data: Float32Array.from(entries, (entry) => entry[2]),
    },
  };
}

/** The different words of each unmasked text. */
function bagValues(
  texts: readonly DuplexText[],
  { vocabSize }: EncoderConfig,
): Record<string, TensorValue> {
  const entries = texts.flatMap(({ original, own }, row) => {
    const bag = [...new Set(own.map((at) => original[at]!))];
    return bag.map((id) => [row * vocabSize + id, 1 / bag.length] as const);
  });
  if (entries.length === 0) entries.push([0, 0]);
  const shape = [entries.length];
  return {
    "bag.places": { dtype: "int32", shape, data: Int32Array.from(entries, ([place]) => place) },
    "bag.shares": {
      dtype: "float32",
      shape,
      data: Float32Array.from(entries, ([, share]) => share),
    },
  };
}

function hiddenScores(texts: readonly DuplexText[], time: number): TensorValue {
  const data = new Float32Array(texts.length * time * time).fill(maskedScore);
  for (const [text, { visible, length }] of texts.entries()) {
    for (let row = 0; row < length; row++) {
      for (let at = 0; at < length; at++) {
        if (visible![row * length + at] === 1) data[(text * time + row) * time + at] = 0;
      }
    }
  }
  return { dtype: "float32", shape: [texts.length, time, time], data };
}
