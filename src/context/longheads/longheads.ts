/**
 * LongHeads (Lu et al., 2024): the cache is cut into chunks, and every head of every token picks its own best
 * ones, as many as the model was trained for, at renumbered positions.
 */
import {
  attendChosen,
  type ChosenRows,
  type ContextPolicy,
  largestPlaces,
  nowhere,
  type PolicyInput,
  type PolicyOptions,
  type PolicyOutput,
  type PolicyProgram,
  productByRow,
  rowByRow,
  rowsWithin,
} from "../../model/index.ts";
import {
  add,
  and,
  broadcastTo,
  concat,
  divide,
  greaterOrEqual,
  less,
  lessOrEqual,
  minimum,
  multiply,
  range,
  reshape,
  sizeValue,
  subtract,
  sum,
  type Tensor,
  transpose,
} from "../../tensor/index.ts";
import {
  definePolicy,
  type NamedPolicy,
  optionError,
  type PolicyOptionValues,
} from "../policies/define-policy.ts";
import { chunkVectors, type Representation } from "./chunk-vectors.ts";

const options = {
  // w, L and B of the paper.
  chunk: { kind: "integer", default: 256, min: 1, help: "tokens of a chunk" },
  length: {
    kind: "integer",
    default: 2048,
    min: 1,
    help: "tokens that a head attends to, a multiple of `chunk`, well below the trained window",
  },
  begin: {
    kind: "integer",
    default: 0,
    min: 0,
    help: "tokens up to which all are attended to; up to `length` they are in any case",
  },
  perHead: {
    kind: "flag",
    default: true,
    help: "each head picks its own chunks; else the heads of a layer share the best of their summed scores",
  },
  representation: {
    kind: "choice",
    default: "perHead",
    choices: ["perHead", "groupMean"],
    help: "a chunk's vector for each query head, or one for the heads that share keys",
  },
} as const;

type Options = PolicyOptionValues<typeof options>;
/** Options of `longHeads`. */
export type LongHeadsOptions = Partial<Options>;

/** The policy by its name. */
export const longHeadsPolicy: NamedPolicy = definePolicy({
  name: "longheads",
  summary: "chunks that every head of every token picks for itself",
  module: import.meta.url,
  createProgram: createPolicy,
  options,
  check({ chunk, length }) {
    if (length % chunk !== 0 || length < 3 * chunk) {
      const expected = `a multiple of chunk (${chunk}), at least three of them`;
      throw optionError("longheads", "length", length, expected);
    }
  },
});

/** Attention of each head to the chunks that it picks. */
export function longHeads(given: LongHeadsOptions = {}): ContextPolicy {
  return longHeadsPolicy.create(given as PolicyOptions);
}

/** The policy's program; called in the model worker. */
export function createPolicy(given: PolicyOptions): PolicyProgram {
  return longHeadsProgram(given as Options & { representation: Representation });
}

/** What the program is made from. */
export interface LongHeadsSettings extends Pick<Options, "chunk" | "length" | "perHead"> {
  readonly representation: Representation;
  /** Tokens up to which all are attended to. All chunks fit up to `length`, the default, so that less changes nothing. */
  readonly begin?: number;
  /** What decides instead of the scores of chunks, `[time, heads, chunks]`. Default: the scores. */
  rescore?(scores: Tensor, input: PolicyInput): Tensor;
}

/** The policy's program, or that of an ablation. */
export function longHeadsProgram(settings: LongHeadsSettings): PolicyProgram {
  const { chunk, length } = settings;
  const { begin = 0 } = settings;
  const most = length + (begin > length ? Math.ceil(begin / chunk) * chunk : 0);
  return {
    attention: {
      keys: "raw",
      positions: most,
      maxRows: () => rowsWithin(most),
      // Of each query head, a row for each token: its query, or where a chunk ends the chunk's vector.
      tokenArenas: ({ numAttentionHeads, numKeyValueHeads }) =>
        numAttentionHeads / numKeyValueHeads,
      passSizes: ({ length: past, time, capacity }) => ({
        chunks: Math.ceil(capacity / chunk),
        free: Math.max(1, Math.min(length / chunk - 3, Math.ceil(capacity / chunk))),
        completed: Math.max(1, Math.floor(((past % chunk) + time) / chunk)),
      }),
      attend: (input) => attendPicked(rowByRow(input), settings),
    },
  };
}

function attendPicked(input: PolicyInput, settings: LongHeadsSettings): PolicyOutput {
  const vectors = chunkVectors(input, settings);
  const chosen = pickChunks(input, vectors.all, settings);
  return { ...attendChosen(input, chosen), tokenArenas: vectors.rows };
}

/** Chunks of each row and head as places, int32 `[time, heads, length]`. */
function pickChunks(
  input: PolicyInput,
  vectors: Tensor,
  { chunk, length, begin = 0, perHead, rescore }: LongHeadsSettings,
): ChosenRows {
  const { config, query, pass } = input;
  const { numAttentionHeads: heads, headDim } = config;
  const { time } = pass;
  const count = length / chunk;
  const at = reshape(pass.places, [time, 1, 1]);
  const ownChunk = divide(at, chunk);
  const listed: { chunk: Tensor; valid: Tensor }[] = [];
  // Rows before `begin` list all chunks, those behind it the chosen ones.
  const selects = begin > length ? greaterOrEqual(at, begin) : undefined;
  const list = (id: Tensor, isThere: Tensor): void => {
    const shape = [time, heads, id.shape[2]!] as const;
    const valid = selects ? and(isThere, selects) : isThere;
    listed.push({ chunk: broadcastTo(id, shape), valid: broadcastTo(valid, shape) });
  };
  if (selects) {
    const every = reshape(range(Math.ceil(begin / chunk)), [1, 1, -1]);
    const valid = and(lessOrEqual(every, ownChunk), less(at, begin));
    const shape = [time, heads, Math.ceil(begin / chunk)] as const;
    listed.push({ chunk: broadcastTo(every, shape), valid: broadcastTo(valid, shape) });
  }
  // The first chunk, where it is neither the own one nor the one before.
  list(multiply(ownChunk, 0), greaterOrEqual(ownChunk, 2));
  if (count > 3) {
    const rows = reshape(query, [heads, time, headDim]);
    const own = transpose(productByRow(rows, vectors, { transposeB: true }), [1, 0, 2]);
    const summed = perHead ? own : sum(own, { axes: [1], keepAxes: true });
    const shared = broadcastTo(summed, [time, heads, "chunks"]);
    const scores = rescore ? rescore(shared, input) : shared;
    const id = reshape(range("chunks"), [1, 1, "chunks"]);
    const isFree = and(greaterOrEqual(id, 1), lessOrEqual(id, subtract(ownChunk, 2)));
    const allowed = broadcastTo(isFree, [time, heads, "chunks"]);
    const best = largestPlaces(scores, allowed, "free");
    list(best, less(best, nowhere));
  }
  list(subtract(ownChunk, 1), greaterOrEqual(ownChunk, 1));
  list(ownChunk, greaterOrEqual(ownChunk, 0));
  const ids = concat(
    listed.map((part) => part.chunk),
    2,
  );
  const valid = concat(
    listed.map((part) => part.valid),
    2,
  );
  const chunks = ids.shape[2]!;
  const bounded = minimum(ids, sizeValue(pass.capacity));
  const starts = reshape(multiply(bounded, chunk), [time, heads, chunks, 1]);
  const places = add(starts, reshape(range(chunk), [1, 1, 1, chunk]));
  const seen = and(
    reshape(valid, [time, heads, chunks, 1]),
    lessOrEqual(places, reshape(at, [time, 1, 1, 1])),
  );
  const flat = [time, heads, -1] as const;
  return { places: reshape(places, flat), valid: reshape(seen, flat) };
}
