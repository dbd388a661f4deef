/** Inputs of a pass: ids, rotations, masks, embeddings, cached rows, and those of the step table. */
import { JetonError } from "../../core/index.ts";
import type { BoundValue, Session } from "../../tensor/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import { type DecoderInput, decoderWindows, maskNames } from "../decoder/decoder.ts";
import {
  type StepInput,
  type StepInputName,
  stepInputs,
  stepParts,
  switchOf,
} from "../decoder/step-outputs.ts";
import { sumBlock } from "../layers/attention.ts";
import type { RotationTables } from "../layers/rotation-tables.ts";
import { type Pass, wantedRows } from "./decoder-pass.ts";
import type { EmbeddingFile } from "./embedding-file.ts";
import type { CacheArray, KeyValueCache } from "./key-value-cache.ts";
import type { PolicyPasses } from "./policy-passes.ts";
import type { RowRules } from "./row-independence.ts";
import type { SlotTable } from "./slot-table.ts";

/** Bound inputs of one pass, or some of them. */
export type StepFeeds = Partial<Record<DecoderInput, BoundValue>>;

/** Where the new rows of a pass stand, `[batch * time]` or `[batch]`. */
interface Rows {
  readonly ids: Int32Array;
  readonly positions: Int32Array;
  /** Which new row each new row descends from; -1 ends at the cache, -2 marks padding. */
  readonly parents: Int32Array;
  /** Tokens in the cache of each slot. */
  readonly lengths: Int32Array;
  /** Length of the sequence for the rotation of each row. */
  readonly rotationLengths: Int32Array;
}

/** What the inputs are made from. */
export interface StepInputsParts {
  readonly config: DecoderConfig;
  readonly session: Session;
  readonly cache: KeyValueCache;
  readonly rotations: RotationTables;
  readonly slots: SlotTable;
  /** The embedding table where it lies in a file; one in memory is a part of the graph. */
  readonly embeddings: EmbeddingFile | undefined;
  readonly rules: RowRules;
  /** Of a context policy, which numbers positions and masks rows itself. */
  readonly policy?: PolicyPasses | undefined;
  /** True: layers behind a filter layer run on request. */
  readonly hasFilter?: boolean;
}

/** Makes the inputs of passes. */
export class StepInputs {
  readonly #parts: StepInputsParts;
  readonly #windows: readonly (number | undefined)[];
  #rowsFromIds: StepFeeds | undefined;
  #boundPast: { key: string; arena: CacheArray; feeds: StepFeeds } | undefined;

  constructor(parts: StepInputsParts) {
    this.#parts = parts;
    this.#windows = decoderWindows(parts.config);
  }

  /** All inputs of a pass. */
  feeds(pass: Pass): StepFeeds {
    const { session, slots } = this.#parts;
    const rows = placeRows(pass, slots);
    return {
      ids: session.bind("int32", rows.ids, [pass.batch, pass.time]),
      lengths: session.bind("int32", rows.lengths, [pass.batch]),
      ...this.#counted(rows),
      ...this.#positions(pass, rows),
      ...this.#attention(pass, rows),
      ...this.#embeddings(pass),
      ...resultFeeds(session, pass),
      ...this.#past(pass),
    };
  }

  /** Positions and masks, or what a context policy makes them from. */
  #attention(pass: Pass, rows: Rows): StepFeeds {
    const { policy, slots, session, hasFilter } = this.#parts;
    if (policy) return policy.feeds(pass, slots.slots[pass.first]!);
    const feeds = { ...this.#rotations(pass, rows), ...this.#masks(pass, rows) };
    if (!hasFilter) return feeds;
    const runsAll = Uint8Array.of(pass.steps[0]!.promptScores ? 0 : 1);
    return { ...feeds, "want.rest": session.bind("bool", runsAll, []) };
  }

  /** For experts: which rows are those of steps. */
  #counted({ parents }: Rows): StepFeeds {
    const { config, session } = this.#parts;
    if (!config.experts) return {};
    const counted = Float32Array.from(parents, (parent) => (parent === -2 ? 0 : 1));
    return { counted: session.bind("float32", counted, [counted.length]) };
  }

  /** For learned positions: the row of the table of each new row. */
  #positions({ batch, time }: Pass, { positions }: Rows): StepFeeds {
    const { config, session } = this.#parts;
    if (config.learnedPositions === undefined) return {};
    return { positions: session.bind("int32", positions, [batch, time]) };
  }

  #rotations({ batch, time }: Pass, rows: Rows): StepFeeds {
    const { config, session, rotations } = this.#parts;
    const feeds: StepFeeds = {};
    for (const [index, { rotaryDim }] of config.ropes.entries()) {
      const half = rotaryDim / 2;
      const cos = new Float32Array(batch * time * half);
      const sin = new Float32Array(batch * time * half);
      for (let row = 0; row < batch * time; row++) {
        const at = { position: rows.positions[row]!, length: rows.rotationLengths[row]! };
        rotations.write(index, at, { row, cos, sin });
      }
      feeds[`rope.${index}.cos`] = session.bind("float32", cos, [batch * time, half]);
      feeds[`rope.${index}.sin`] = session.bind("float32", sin, [batch * time, half]);
    }
    return feeds;
  }

  /** Rows of idle slots and padding attend to themselves, so that no row is masked whole. */
  #masks({ batch, time }: Pass, rows: Rows): StepFeeds {
    const { session, cache } = this.#parts;
    const { capacity } = cache;
    const feeds: StepFeeds = {};
    for (const window of this.#windows) {
      const names = maskNames(window);
      const pastRows = window === undefined ? 1 : time;
      const past = new Float32Array(batch * pastRows * capacity).fill(-Infinity);
      const fresh = new Float32Array(batch * time * time).fill(-Infinity);
      for (let place = 0; place < batch; place++) {
        const length = rows.lengths[place]!;
        for (let row = 0; row < pastRows; row++) {
          const position = rows.positions[place * time + row]!;
          const seen = window === undefined ? 0 : Math.max(0, position - window + 1);
          const start = (place * pastRows + row) * capacity;
          if (seen < length) past.fill(0, start + seen, start + length);
        }
        unmaskAncestors(fresh, place * time, time, window, rows);
      }
      feeds[names.past] = session.bind("float32", past, [batch, 1, pastRows, capacity]);
      feeds[names.fresh] = session.bind("float32", fresh, [batch, 1, time, time]);
    }
    return feeds;
  }

  /** What the first layer reads: embeddings that were given or read from a file, or the graph's own. */
  #embeddings({ steps, indices, first, batch, time }: Pass): StepFeeds {
    const { config, session, embeddings: file } = this.#parts;
    const { hiddenSize } = config;
    // A table in memory is read by the graph: all steps of a pass have embeddings, or none.
    if (!file && !steps[0]!.embeddings) {
      this.#rowsFromIds ??= {
        "from.ids": session.bind("bool", Uint8Array.of(1), []),
        embeddings: session.bind("float32", new Float32Array(hiddenSize), [1, 1, hiddenSize]),
      };
      return this.#rowsFromIds;
    }
    const rows = new Float32Array(batch * time * hiddenSize);
    for (const [order, { ids, embeddings }] of steps.entries()) {
      const own = rows.subarray((indices[order]! - first) * time * hiddenSize);
      if (embeddings) own.set(embeddings);
      else file!.read(ids, own);
    }
    return {
      "from.ids": session.bind("bool", Uint8Array.of(0), []),
      embeddings: session.bind("float32", rows, [batch, time, hiddenSize]),
    };
  }

  /** The cache as inputs: bound once for as long as neither the batch nor the arenas change. */
  #past({ first, batch }: Pass): StepFeeds {
    const { config, session, cache, rules } = this.#parts;
    const { capacity } = cache;
    const key = `${first} ${batch} ${capacity}`;
    const arena = cache.arenas[0]!;
    if (this.#boundPast?.key === key && this.#boundPast.arena === arena) {
      return this.#boundPast.feeds;
    }
    const { kvHeads, headDim, dtype = "float32" } = cache.shape;
    const shape = [batch, kvHeads, capacity, headDim];
    const feeds: StepFeeds = {};
    for (const layer of config.layers.keys()) {
      const [keys, values] = [
        cache.view(2 * layer, first, batch),
        cache.view(2 * layer + 1, first, batch),
      ];
      feeds[`past.${layer}.key`] = session.bind(dtype, keys, shape);
      feeds[`past.${layer}.value`] = session.bind(dtype, values, shape);
    }
    const own = 2 * config.layers.length;
    const arenas = (cache.arenas.length - own) / config.layers.length;
    for (let index = own; index < cache.arenas.length; index++) {
      const layer = Math.floor((index - own) / arenas);
      const name = `token.${layer}.${(index - own) % arenas}` as const;
      feeds[name] = session.bind(dtype, cache.view(index, first, batch), shape);
    }
    if (rules.sumsInBlocks) {
      const blocks = capacity / sumBlock;
      const ones = new Float32Array(blocks).fill(1);
      feeds["block.ones"] = session.bind("float32", ones, [1, blocks]);
    }
    this.#boundPast = { key, arena, feeds };
    return feeds;
  }
}

/** Which rows are wanted, and the inputs and switches of the step table. */
export function resultFeeds(
  session: Session,
  { steps, rows, candidates, wantsRows }: Pass,
): StepFeeds {
  const feeds: StepFeeds = {
    rows: session.bind("int32", Int32Array.from(rows), [rows.length]),
    candidates: session.bind("uint8", new Uint8Array(candidates), [candidates]),
  };
  for (const [name, input] of Object.entries(stepInputs) as [StepInputName, StepInput][]) {
    const { dtype, shape } = input.type;
    const columns = shape.length === 1 ? 1 : (shape[1] as number);
    const size = rows.length * columns;
    const data = dtype === "int32" ? new Int32Array(size) : new Float32Array(size);
    let row = 0;
    for (const step of steps) {
      const count = wantedRows(step);
      for (let at = 0; at < count; at++, row++) {
        data.set(input.values(step, at, row, rows.length), row * columns);
      }
    }
    feeds[name] = session.bind(dtype, data, [rows.length, ...shape.slice(1)] as number[]);
  }
  for (const { name, wanted } of stepParts) {
    const isOn = wantsRows && steps.some((step) => wanted(step));
    feeds[switchOf(name)] = session.bind("bool", Uint8Array.of(isOn ? 1 : 0), []);
  }
  return feeds;
}

/**
 * Ids, positions and ancestors of the new rows.
 *
 * @throws JetonError `model-draft-order`
 */
function placeRows({ steps, indices, first, batch, time }: Pass, table: SlotTable): Rows {
  const ids = new Int32Array(batch * time);
  const positions = new Int32Array(batch * time);
  const parents = new Int32Array(batch * time).fill(-2);
  const lengths = new Int32Array(batch);
  const rotationLengths = new Int32Array(batch * time);
  for (const [order, step] of steps.entries()) {
    const place = indices[order]! - first;
    const slot = table.slots[indices[order]!]!;
    const { length } = slot.tokens;
    lengths[place] = length;
    // Ids beside embeddings are not read and need not be in the table.
    if (!step.embeddings) ids.set(step.ids, place * time);
    for (let row = 0; row < step.ids.length; row++) {
      const parent = step.parents ? step.parents[row]! : row - 1;
      if (!(parent >= -1 && parent < row)) {
        throw new JetonError(`row ${row} names ${parent} as its parent, expected an earlier row`, {
          code: "model-draft-order",
          details: { row, parent },
        });
      }
      const at = place * time + row;
      parents[at] = parent;
      positions[at] = parent < 0 ? length : positions[place * time + parent]! + 1;
      rotationLengths[at] = table.rotationLength(slot, positions[at]!);
    }
  }
  return { ids, positions, parents, lengths, rotationLengths };
}

/** Lets the new rows of one slot, from flat row `start` on, see themselves and their ancestors. */
function unmaskAncestors(
  mask: Float32Array,
  start: number,
  time: number,
  window: number | undefined,
  { positions, parents }: Rows,
): void {
  for (let row = 0; row < time; row++) {
    const at = start + row;
    mask[at * time + row] = 0;
    let ancestor = parents[at]!;
    while (ancestor >= 0) {
      const distance = positions[at]! - positions[start + ancestor]!;
      if (window === undefined || distance < window) mask[at * time + ancestor] = 0;
      ancestor = parents[start + ancestor]!;
    }
  }
}
