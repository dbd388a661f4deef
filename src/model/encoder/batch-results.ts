/** From the texts of a pass to its inputs, and from its outputs to each text's results. */

import { timeUnit } from "../layers/time-unit.ts";
import type { EncoderBatch, EncoderResult, PoolingInput } from "../worker/encoder-service.ts";
import type { EncoderConfig } from "./config.ts";
import type { EncoderOutput } from "./encoder-graph.ts";
import { type PoolingMode, writePoolingWeights } from "./sentence/pooling.ts";
import type { EncoderRequest } from "./types.ts";

type TextResults = Partial<Record<EncoderOutput, EncoderResult>>;

/** Texts of one pass, filled up to a common length: `[batch, time]` each. */
export type EncoderTexts = Pick<
  EncoderBatch,
  "batch" | "time" | "longest" | "ids" | "positions" | "types" | "attended" | "present"
>;

/** Lays texts side by side. */
export function layOutEncoderTexts(
  config: EncoderConfig,
  texts: readonly Pick<EncoderRequest, "ids" | "types" | "attended">[],
): EncoderTexts {
  const batch = texts.length;
  const longest = texts.reduce((most, { ids }) => Math.max(most, ids.length), 1);
  const time = Math.ceil(longest / timeUnit) * timeUnit;
  const ids = new Int32Array(batch * time).fill(Math.min(config.padTokenId, config.vocabSize - 1));
  const positions = new Int32Array(batch * time);
  const types = new Int32Array(batch * time);
  const attended = new Float32Array(batch * time);
  const present = new Float32Array(batch * time);
  for (const [index, request] of texts.entries()) {
    const start = index * time;
    ids.set(Array.from(request.ids), start);
    if (request.types) types.set(Array.from(request.types), start);
    if (request.attended) attended.set(Array.from(request.attended), start);
    else attended.fill(1, start, start + request.ids.length);
    present.fill(1, start, start + request.ids.length);
    writePositions(config, ids.subarray(start, start + time), positions.subarray(start));
  }
  return { batch, time, longest, ids, positions, types, attended, present };
}

/** Inputs of one pass over texts that want the same results. */
export function joinRequests(
  config: EncoderConfig,
  requests: readonly EncoderRequest[],
  ownPoolings: readonly PoolingMode[],
): EncoderBatch {
  const texts = layOutEncoderTexts(config, requests);
  const { time } = texts;
  const { outputs, poolings = ownPoolings } = requests[0]!;
  const rows = requests.flatMap(({ rows = [] }, index) => rows.map((row) => index * time + row));
  return {
    ...texts,
    outputs,
    ...(rows.length > 0 && { rows: Int32Array.from(rows) }),
    ...(outputs.includes("embedding") && { pooling: poolingInput(requests, poolings, time) }),
  };
}

/** Rows of the table of positions, as the family counts them. */
function writePositions(config: EncoderConfig, ids: Int32Array, target: Int32Array): void {
  const { positionIds, positionRows, padTokenId } = config;
  let next = padTokenId + 1;
  for (const [place, id] of ids.entries()) {
    // Padding behind a text may lie beyond the table; what it reads does not count.
    const index = Math.min(place, Math.max(0, positionRows - 1));
    if (positionIds === "index") target[place] = index;
    else target[place] = id === padTokenId ? padTokenId : Math.min(next++, positionRows - 1);
  }
}

/** Place of the last token that others see; 0 where there is none. */
function lastAttended({ ids, attended }: EncoderRequest): number {
  let at = ids.length - 1;
  if (attended !== undefined) while (at > 0 && attended[at] !== 1) at--;
  return at;
}

function poolingInput(
  requests: readonly EncoderRequest[],
  modes: readonly PoolingMode[],
  time: number,
): PoolingInput {
  const weights = new Float32Array(requests.length * modes.length * time);
  const tokens = new Float32Array(requests.length * time);
  for (const [index, request] of requests.entries()) {
    const { skipped = 0 } = request;
    // Padding that is a part of the text, as some models want it, is not pooled.
    const length = lastAttended(request) + 1;
    tokens.fill(1, index * time + skipped, index * time + length);
    for (const [pool, mode] of modes.entries()) {
      const start = (index * modes.length + pool) * time;
      writePoolingWeights(mode, { length, skipped }, weights.subarray(start, start + time));
    }
  }
  return { weights, tokens, max: Uint8Array.from(modes, (mode) => (mode === "max" ? 1 : 0)) };
}

/** Results with a row for every token, those with one for every text, and `masked` with rows of its own. */
const tokenResults: readonly EncoderOutput[] = ["states", "vectors", "tokens", "span", "replaced"];

/** Each text's part of the outputs of a pass, padding cut off. */
export function splitResults(
  outputs: Readonly<Partial<Record<EncoderOutput, EncoderResult>>>,
  requests: readonly EncoderRequest[],
): TextResults[] {
  let row = 0;
  return requests.map(({ ids, rows = [] }, index) => {
    const results: TextResults = {};
    for (const [name, { shape, data }] of Object.entries(outputs) as [
      EncoderOutput,
      EncoderResult,
    ][]) {
      const isToken = tokenResults.includes(name);
      const count = name === "masked" ? rows.length : isToken ? ids.length : 1;
      const inner = shape.slice(isToken ? 2 : 1);
      const size = inner.reduce((product, axis) => product * axis, 1);
      const start = name === "masked" ? row : index * (isToken ? shape[1]! : 1);
      results[name] = {
        shape: name === "masked" || isToken ? [count, ...inner] : inner,
        data: data.slice(start * size, (start + count) * size),
      };
    }
    row += rows.length;
    return results;
  });
}
