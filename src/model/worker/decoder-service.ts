/**
 * The worker's side of a loaded model: one session, the cache that it reads, and the sequences in it.
 */
import { JetonError } from "../../core/index.ts";
import {
  type BoundValue,
  type Device,
  emitModel,
  openSession,
  type ParameterBinding,
  type Service,
  type Session,
  type TensorValue,
} from "../../tensor/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import { decoderGraph, decoderNames, decoderWindows, maskNames } from "../decoder/decoder.ts";
import { sampleColumns } from "../decoder/sample-tokens.ts";
import { exactAttention, sumBlock } from "../layers/attention.ts";
import { dependsOnLength, RopeTable } from "../layers/rope.ts";
import type { SequenceStep, StepResult, WeightFormat } from "../types.ts";
import { type StoredShape, storedTensor, traceWeights } from "../weights/trace-weights.ts";
import { EmbeddingFile } from "./embedding-file.ts";
import { type CacheType, KeyValueCache } from "./key-value-cache.ts";
import { findRowRules, type RowRules } from "./row-independence.ts";

export interface DecoderStart {
  readonly config: DecoderConfig;
  readonly tensors: ReadonlyMap<string, StoredShape>;
  readonly bindings: ReadonlyMap<string, ParameterBinding>;
  readonly format: WeightFormat;
  readonly threads: number;
  readonly slots: number;
  readonly device?: Device;
  /** How keys and values are held. Default: float32 beside float32 weights, otherwise float16. */
  readonly cacheType?: CacheType;
  /** See `LoadModelOptions.exact`. Default true. */
  readonly exact?: boolean;
}

/** A step of one sequence, named by its handle. */
export interface HandleStep extends Omit<SequenceStep, "slot"> {
  readonly handle: number;
}

export interface DecoderService extends Service {
  /** Opens a sequence that begins with the cached rows of the longest known prefix. */
  open(options: {
    prefix: readonly number[];
    /** Length that the sequence may reach, for rotations that depend on it. */
    sequenceLength: number;
  }): { handle: number; reused: number };
  /** One forward pass over several sequences. */
  forward(steps: readonly HandleStep[]): Promise<StepResult[]>;
  accept(handle: number, rows: readonly number[]): void;
  truncate(handle: number, length: number): void;
  release(handle: number): void;
  memory(): { cache: number };
}

/** What a slot holds. Slots below `active` belong to open sequences, the others keep old rows. */
interface Slot {
  /** Tokens in the cache, in order. */
  tokens: number[];
  handle: number | undefined;
  sequenceLength: number;
  /** Rows of the last step that wait for `accept`. */
  pending: PendingRows | undefined;
  lastUse: number;
}

interface PendingRows {
  readonly ids: readonly number[];
  readonly time: number;
  /** New keys and values per arena, from this sequence's rows on. */
  readonly rows: readonly (Float32Array | Uint16Array)[];
}

/** One run of the graph: slots `first` to `first + batch`, `time` rows each. */
interface Pass {
  readonly steps: readonly HandleStep[];
  /** Slot of each step. */
  readonly indices: readonly number[];
  readonly first: number;
  readonly batch: number;
  readonly time: number;
}

export async function createDecoderService(start: DecoderStart): Promise<DecoderService> {
  const { config, format, threads, device, exact = true } = start;
  const cacheType = cacheTypeOf(start);
  const { numKeyValueHeads: kvHeads, headDim } = config;
  const rules = exact
    ? await findRowRules({ format, kvHeads, headDim, threads, ...(device && { device }) })
    : anyRows;
  const { sumsInBlocks } = rules;
  const graph = decoderGraph(config, traceWeights(start.tensors, format), {
    cacheType,
    sumsInBlocks,
    ...(exact && { attention: exactAttention({ cacheType }) }),
  });
  const model = emitModel(graph, start.bindings, { opensFiles: start.device !== "wasm" });
  const session = await openSession(model, {
    threads,
    // The cache grows, and prompts have many lengths.
    sameSizes: false,
    ...(device && { device }),
  });
  return new DecoderWorker(start, session, openEmbeddings(start), rules);
}

/** Passes of any size, where rows may depend on their neighbours. */
const anyRows: RowRules = { rowTile: 1, sumsInBlocks: false };

/** The table, where it lies in a file; one in memory is a part of the graph. */
function openEmbeddings({ bindings, tensors }: DecoderStart): EmbeddingFile | undefined {
  const binding = bindings.get(decoderNames.embedding);
  if (binding?.kind !== "file") return undefined;
  return new EmbeddingFile(binding, storedTensor(tensors, decoderNames.embedding));
}

/** Half the bytes of a long cache cost less to read than their widening: measured on long contexts. */
function cacheTypeOf(start: DecoderStart): CacheType {
  return start.cacheType ?? (start.format === "f32" ? "float32" : "float16");
}

class DecoderWorker implements DecoderService {
  readonly #config: DecoderConfig;
  readonly #session: Session;
  readonly #embeddings: EmbeddingFile | undefined;
  readonly #limit: number;
  readonly #cacheType: CacheType;
  readonly #format: WeightFormat;
  readonly #rules: RowRules;
  readonly #minCapacity: number;
  readonly #cache: KeyValueCache;
  readonly #slots: Slot[] = [];
  readonly #byHandle: Map<number, number> = new Map();
  /** Rotation tables by rotation and, where it matters, length of the sequence. */
  readonly #tables: Map<string, RopeTable> = new Map();
  readonly #windows: readonly (number | undefined)[];
  #active = 0;
  #nextHandle = 1;
  #clock = 0;
  #rowsFromIds: Record<string, BoundValue> | undefined;
  #boundPast:
    | { key: string; arena: Float32Array | Uint16Array; feeds: Record<string, BoundValue> }
    | undefined;

  constructor(
    start: DecoderStart,
    session: Session,
    embeddings: EmbeddingFile | undefined,
    rules: RowRules,
  ) {
    const { config } = start;
    this.#config = config;
    this.#session = session;
    this.#embeddings = embeddings;
    this.#limit = start.slots;
    this.#cacheType = cacheTypeOf(start);
    this.#format = start.format;
    this.#rules = rules;
    const { exact = true, threads } = start;
    this.#minCapacity = exact && config.headDim > sumBlock ? sumBlock * Math.max(2, threads) : 1;
    this.#windows = decoderWindows(config);
    this.#cache = new KeyValueCache({
      layers: config.layers.length,
      kvHeads: config.numKeyValueHeads,
      headDim: config.headDim,
      dtype: this.#cacheType,
      ...(rules.sumsInBlocks && { unit: sumBlock }),
    });
  }

  open(options: { prefix: readonly number[]; sequenceLength: number }): {
    handle: number;
    reused: number;
  } {
    if (this.#active >= this.#limit) {
      throw new JetonError(`all ${this.#limit} slots are taken`, {
        code: "model-slots-full",
        details: { slots: this.#limit },
      });
    }
    const { prefix, sequenceLength } = options;
    // The last token of the prompt must run again: its logits are wanted.
    const usable = Math.max(0, prefix.length - 1);
    let best = -1;
    let reused = 0;
    for (const [index, slot] of this.#slots.entries()) {
      if (!this.#sameRotation(slot.sequenceLength, sequenceLength)) continue;
      let common = 0;
      while (common < usable && slot.tokens[common] === prefix[common]) common++;
      // Among equals a released slot is better: nothing need be copied.
      if (common > reused || (common > 0 && common === reused && index >= this.#active)) {
        best = index;
        reused = common;
      }
    }
    const target = this.#active;
    const released = best >= this.#active;
    const victim = released ? best : this.#leastRecent();
    if (victim === undefined) {
      this.#slots.push({
        tokens: [],
        handle: undefined,
        sequenceLength,
        pending: undefined,
        lastUse: 0,
      });
      this.#cache.reserve(this.#slots.length, this.#cache.capacity);
    } else if (victim !== target) this.#exchange(victim, target);
    const slot = this.#slots[target]!;
    if (!released && reused > 0) {
      const source = this.#slots[best]!;
      this.#cache.copy(best, target, reused);
      slot.tokens = source.tokens.slice(0, reused);
    }
    slot.tokens.length = reused;
    slot.sequenceLength = sequenceLength;
    slot.handle = this.#nextHandle++;
    slot.lastUse = ++this.#clock;
    this.#byHandle.set(slot.handle, target);
    this.#active++;
    return { handle: slot.handle, reused };
  }

  async forward(steps: readonly HandleStep[]): Promise<StepResult[]> {
    this.#reserveRows(steps);
    const [step] = steps;
    const isLong = steps.length === 1 && step!.ids.length > this.#rowsOfPass(step!);
    // Drafts stay together: their rows descend from each other and wait for `accept`.
    if (!isLong || step!.parents || step!.commit === false) return this.#forward(steps);
    return [await this.#forwardInChunks(step!)];
  }

  /** Fits the cache to what all slots hold and to the new rows, at once because that copies it. */
  #reserveRows(steps: readonly HandleStep[]): void {
    const lengths = steps.map((step) => this.#slots[this.#indexOf(step.handle)]!.tokens.length);
    const rows = Math.max(this.#minCapacity, Math.max(...lengths) + this.#placeOf(steps).time);
    // Rows that wait for `accept` count: it must find room for them.
    const held = this.#slots.map(({ tokens, pending }) => tokens.length + (pending?.time ?? 0));
    this.#cache.trim(Math.max(rows, ...held));
    this.#cache.reserve(this.#slots.length, rows);
  }

  #rowsOfPass({ handle }: HandleStep): number {
    return rowsOfPass(this.#format, this.#slots[this.#indexOf(handle)]!.tokens.length);
  }

  /** A long chain, some rows at a time. */
  async #forwardInChunks(step: HandleStep): Promise<StepResult> {
    const slot = this.#slots[this.#indexOf(step.handle)]!;
    const length = slot.tokens.length;
    const results: StepResult[] = [];
    try {
      for (let start = 0, end = 0; start < step.ids.length; start = end) {
        end = Math.min(step.ids.length, start + this.#rowsOfPass(step));
        const isLast = end === step.ids.length;
        const { targets, embeddings, sample, ...rest } = step;
        const { hiddenSize } = this.#config;
        const part: HandleStep = {
          ...rest,
          ids: step.ids.slice(start, end),
          ...(embeddings && {
            embeddings: embeddings.subarray(start * hiddenSize, end * hiddenSize),
          }),
          results: step.results === "all" || isLast ? (step.results ?? "last") : "none",
          // A nucleus may need whole rows in one pass and not in another, which could not be joined.
          ...(step.nucleus && step.results === "all" && { logits: true }),
          ...(targets && { targets: step.results === "all" ? targets.slice(start, end) : targets }),
          ...(sample && {
            sample:
              step.results === "all"
                ? { ...sample, uniform: sample.uniform.slice(start, end) }
                : sample,
          }),
        };
        results.push(...(await this.#forward([part])));
      }
    } catch (error) {
      // All of a step enters the cache, or nothing.
      slot.tokens.length = length;
      throw error;
    }
    return step.results === "all" ? joinResults(results) : results.at(-1)!;
  }

  /** The slots and rows of a pass over `steps`, padded to whole tiles. */
  #placeOf(steps: readonly HandleStep[]): Pass {
    const indices = steps.map((step) => this.#indexOf(step.handle));
    const first = Math.min(...indices);
    const batch = Math.max(...indices) - first + 1;
    let time = Math.max(...steps.map((step) => step.ids.length));
    while ((batch * time) % this.#rules.rowTile > 0) time++;
    return { steps, indices, first, batch, time };
  }

  /** One pass of the graph. */
  async #forward(steps: readonly HandleStep[]): Promise<StepResult[]> {
    const pass = this.#placeOf(steps);
    const { indices, first, batch, time } = pass;
    const wanted = steps.flatMap((step, order) => {
      const row = (indices[order]! - first) * time;
      const last = step.ids.length - 1;
      if (step.results === "none") return [];
      if (step.results === "all") return Array.from(step.ids, (_, at) => row + at);
      return [row + last];
    });
    const targets = steps.flatMap((step) =>
      step.results === "none" ? [] : (step.targets ?? new Array<number>(wantedRows(step)).fill(0)),
    );
    const candidates = Math.min(
      this.#config.vocabSize,
      Math.max(1, ...steps.map((step) => step.topK ?? 1)),
    );
    const wantResults = wanted.length > 0;
    const wantSamples = wantResults && steps.some((step) => step.sample);
    const wantNucleus = wantResults && steps.some((step) => step.nucleus);
    const wantLogits = wantResults && steps.some((step) => step.logits);
    const wantHidden = wantResults && steps.some((step) => step.hidden);
    const session = this.#session;
    const rows = wantResults ? wanted : [0];
    while (rows.length % this.#rules.rowTile > 0) {
      rows.push(rows[0]!);
      targets.push(0);
    }
    const feeds: Record<string, BoundValue> = {
      ...this.#stepInputs(pass),
      ...this.#embeddingFeeds(pass),
      rows: session.bind("int32", Int32Array.from(rows), [rows.length]),
      targets: session.bind(
        "int32",
        Int32Array.from(rows, (_, at) => targets[at] ?? 0),
        [rows.length],
      ),
      draws: session.bind("float32", sampleRows(steps, rows.length), [rows.length, sampleColumns]),
      candidates: session.bind("uint8", new Uint8Array(candidates), [candidates]),
      "want.results": session.bind("bool", Uint8Array.of(wantResults ? 1 : 0), []),
      "want.draws": session.bind("bool", Uint8Array.of(wantSamples ? 1 : 0), []),
      "want.nucleus": session.bind("bool", Uint8Array.of(wantNucleus ? 1 : 0), []),
      "want.logits": session.bind("bool", Uint8Array.of(wantLogits ? 1 : 0), []),
      "want.hidden": session.bind("bool", Uint8Array.of(wantHidden ? 1 : 0), []),
      ...this.#pastFeeds(first, batch),
    };
    const outputs = [
      "new",
      ...(wantResults ? ["top.logits", "top.ids", "logSumExp", "targetLogProbability"] : []),
      ...(wantSamples ? ["drawn.ids", "drawn.logits"] : []),
      ...(wantNucleus ? ["nucleus.mass"] : []),
      ...(wantLogits || wantNucleus ? ["logits"] : []),
      ...(wantHidden ? ["hidden"] : []),
    ];
    const values = await session.run(feeds, outputs);
    this.#keepRows(pass, values);
    return this.#splitResults(steps, values, candidates);
  }

  accept(handle: number, rows: readonly number[]): void {
    const index = this.#indexOf(handle);
    const slot = this.#slots[index]!;
    const { pending } = slot;
    if (!pending) {
      throw new JetonError("no rows wait to be accepted", { code: "model-nothing-pending" });
    }
    const wrong = rows.find((row) => !(row >= 0 && row < pending.ids.length));
    if (wrong !== undefined) {
      throw new JetonError(`row ${wrong} is not one of the ${pending.ids.length} new rows`, {
        code: "model-row-invalid",
        details: { row: wrong },
      });
    }
    const length = slot.tokens.length;
    const chosen = { count: rows.length, at: (row: number) => rows[row]! };
    for (const [arena, source] of pending.rows.entries()) {
      this.#cache.append(arena, index, length, source, pending.time, chosen);
    }
    for (const row of rows) slot.tokens.push(pending.ids[row]!);
    slot.pending = undefined;
  }

  truncate(handle: number, length: number): void {
    const slot = this.#slots[this.#indexOf(handle)]!;
    slot.pending = undefined;
    if (length < slot.tokens.length) slot.tokens.length = length;
  }

  release(handle: number): void {
    const index = this.#byHandle.get(handle);
    if (index === undefined) return;
    const slot = this.#slots[index]!;
    slot.handle = undefined;
    slot.pending = undefined;
    slot.lastUse = ++this.#clock;
    this.#byHandle.delete(handle);
    // Open sequences stay together at the front: the last one moves into the gap.
    this.#active--;
    if (index !== this.#active) this.#exchange(index, this.#active);
  }

  memory(): { cache: number } {
    return { cache: this.#cache.bytes };
  }

  close(): Promise<void> {
    this.#embeddings?.close();
    return this.#session.release();
  }

  #indexOf(handle: number): number {
    const index = this.#byHandle.get(handle);
    if (index === undefined) {
      throw new JetonError("the sequence was released", {
        code: "model-sequence-released",
        details: { handle },
      });
    }
    return index;
  }

  /** The released slot that was used longest ago. */
  #leastRecent(): number | undefined {
    let found: number | undefined;
    for (let index = this.#active; index < this.#slots.length; index++) {
      if (found === undefined || this.#slots[index]!.lastUse < this.#slots[found]!.lastUse) {
        found = index;
      }
    }
    // Old rows are worth keeping while there is room for another slot.
    return this.#slots.length < this.#limit && this.#slots.length < keptSlots ? undefined : found;
  }

  #exchange(a: number, b: number): void {
    const [slotA, slotB] = [this.#slots[a]!, this.#slots[b]!];
    this.#cache.exchange(a, b, slotA.tokens.length, slotB.tokens.length);
    this.#slots[a] = slotB;
    this.#slots[b] = slotA;
    if (slotA.handle !== undefined) this.#byHandle.set(slotA.handle, b);
    if (slotB.handle !== undefined) this.#byHandle.set(slotB.handle, a);
  }

  #sameRotation(a: number, b: number): boolean {
    return this.#config.ropes.every(
      (rope) => !dependsOnLength(rope) || this.#lengthKey(rope, a) === this.#lengthKey(rope, b),
    );
  }

  /** Lengths with one key have equal frequencies. */
  #lengthKey(rope: DecoderConfig["ropes"][number], length: number): number {
    if (!dependsOnLength(rope)) return 0;
    if (rope.kind === "dynamic") return Math.max(length, rope.maxPositionEmbeddings);
    return length > rope.originalMaxPositionEmbeddings
      ? rope.originalMaxPositionEmbeddings + 1
      : rope.originalMaxPositionEmbeddings;
  }

  #table(index: number, sequenceLength: number): RopeTable {
    const rope = this.#config.ropes[index]!;
    const length = this.#lengthKey(rope, sequenceLength);
    const key = `${index} ${length}`;
    let table = this.#tables.get(key);
    if (!table) {
      table = new RopeTable(rope, length);
      // Every length of a dynamic rotation has its own table: keep a few.
      if (this.#tables.size >= 16 + this.#config.ropes.length) {
        this.#tables.delete(this.#tables.keys().next().value!);
      }
      this.#tables.set(key, table);
    }
    return table;
  }

  /** Ids, rotations and masks of a step. Rows of idle slots and padding attend to themselves. */
  #stepInputs({ steps, indices, first, batch, time }: Pass): Record<string, BoundValue> {
    const session = this.#session;
    const { capacity } = this.#cache;
    const ids = new Int32Array(batch * time);
    const positions = new Int32Array(batch * time);
    // Which new row each new row descends from; -1 ends at the cache, -2 marks padding.
    const parents = new Int32Array(batch * time).fill(-2);
    const lengths = new Int32Array(batch);
    const sequenceLengths = new Array<number>(batch).fill(0);
    for (const [order, step] of steps.entries()) {
      const place = indices[order]! - first;
      const slot = this.#slots[indices[order]!]!;
      lengths[place] = slot.tokens.length;
      sequenceLengths[place] = slot.sequenceLength;
      // What the ids say does not matter where embeddings are given; they need not be in the table.
      if (!step.embeddings) ids.set(step.ids, place * time);
      for (let row = 0; row < step.ids.length; row++) {
        const parent = step.parents ? step.parents[row]! : row - 1;
        if (!(parent >= -1 && parent < row)) {
          throw new JetonError(
            `row ${row} names ${parent} as its parent, expected an earlier row`,
            {
              code: "model-draft-order",
              details: { row, parent },
            },
          );
        }
        parents[place * time + row] = parent;
        positions[place * time + row] =
          parent < 0 ? slot.tokens.length : positions[place * time + parent]! + 1;
      }
    }

    const feeds: Record<string, BoundValue> = {
      ids: session.bind("int32", ids, [batch, time]),
      lengths: session.bind("int32", lengths, [batch]),
    };
    for (const index of this.#config.ropes.keys()) {
      const half = this.#config.ropes[index]!.rotaryDim / 2;
      const cos = new Float32Array(batch * time * half);
      const sin = new Float32Array(batch * time * half);
      for (let place = 0; place < batch; place++) {
        const table = this.#table(index, sequenceLengths[place]!);
        for (let row = place * time; row < (place + 1) * time; row++) {
          table.write(positions[row]!, row, cos, sin);
        }
      }
      feeds[`rope.${index}.cos`] = session.bind("float32", cos, [batch * time, half]);
      feeds[`rope.${index}.sin`] = session.bind("float32", sin, [batch * time, half]);
    }

    for (const window of this.#windows) {
      const names = maskNames(window);
      const pastRows = window === undefined ? 1 : time;
      const past = new Float32Array(batch * pastRows * capacity).fill(-Infinity);
      const fresh = new Float32Array(batch * time * time).fill(-Infinity);
      for (let place = 0; place < batch; place++) {
        const length = lengths[place]!;
        for (let row = 0; row < pastRows; row++) {
          const seen =
            window === undefined ? 0 : Math.max(0, positions[place * time + row]! - window + 1);
          const start = (place * pastRows + row) * capacity;
          if (seen < length) past.fill(0, start + seen, start + length);
        }
        for (let row = 0; row < time; row++) {
          const at = place * time + row;
          const start = at * time;
          fresh[start + row] = 0;
          let ancestor = parents[at]!;
          while (ancestor >= 0) {
            const distance = positions[at]! - positions[place * time + ancestor]!;
            if (window === undefined || distance < window) fresh[start + ancestor] = 0;
            ancestor = parents[place * time + ancestor]!;
          }
        }
      }
      feeds[names.past] = session.bind("float32", past, [batch, 1, pastRows, capacity]);
      feeds[names.fresh] = session.bind("float32", fresh, [batch, 1, time, time]);
    }
    return feeds;
  }

  /** What the first layer reads: rows that were given or read from a file, or else the graph's own. */
  #embeddingFeeds({ steps, indices, first, batch, time }: Pass): Record<string, BoundValue> {
    const session = this.#session;
    const { hiddenSize } = this.#config;
    const file = this.#embeddings;
    // In memory a table is read in the graph: all steps of a pass have embeddings, or none.
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
  #pastFeeds(first: number, batch: number): Record<string, BoundValue> {
    const { capacity } = this.#cache;
    const key = `${first} ${batch} ${capacity}`;
    const arena = this.#cache.arenas[0]!;
    if (this.#boundPast?.key === key && this.#boundPast.arena === arena) {
      return this.#boundPast.feeds;
    }
    const { numKeyValueHeads, headDim } = this.#config;
    const shape = [batch, numKeyValueHeads, capacity, headDim];
    const feeds: Record<string, BoundValue> = {};
    for (const layer of this.#config.layers.keys()) {
      for (const [part, name] of ["key", "value"].entries()) {
        const view = this.#cache.view(2 * layer + part, first, batch);
        feeds[`past.${layer}.${name}`] = this.#session.bind(this.#cacheType, view, shape);
      }
    }
    if (this.#rules.sumsInBlocks) {
      const blocks = capacity / sumBlock;
      const ones = new Float32Array(blocks).fill(1);
      feeds["block.ones"] = this.#session.bind("float32", ones, [1, blocks]);
    }
    this.#boundPast = { key, arena, feeds };
    return feeds;
  }

  /** Puts new rows into the cache, or holds them until they are accepted. */
  #keepRows(
    { steps, indices, first, batch, time }: Pass,
    values: Readonly<Record<string, TensorValue>>,
  ): void {
    const size = this.#config.numKeyValueHeads * time * this.#config.headDim;
    const data = values["new"]!.data as Float32Array | Uint16Array;
    for (const [order, step] of steps.entries()) {
      const index = indices[order]!;
      const slot = this.#slots[index]!;
      const place = index - first;
      const rows = this.#cache.arenas.map((_, arena) => {
        const start = (arena * batch + place) * size;
        return data.subarray(start, start + size);
      });
      slot.lastUse = ++this.#clock;
      if (step.commit === false) {
        slot.pending = { ids: knownIds(step), time, rows };
        continue;
      }
      slot.pending = undefined;
      for (const [arena, source] of rows.entries()) {
        this.#cache.append(arena, index, slot.tokens.length, source, time, step.ids.length);
      }
      for (const id of knownIds(step)) slot.tokens.push(id);
    }
  }

  #splitResults(
    steps: readonly HandleStep[],
    values: Readonly<Record<string, TensorValue>>,
    candidates: number,
  ): StepResult[] {
    const take = <T extends Float32Array | Int32Array>(name: string): T | undefined =>
      values[name]?.data as T | undefined;
    const topIds = take<Int32Array>("top.ids");
    const topLogits = take<Float32Array>("top.logits");
    const totals = take<Float32Array>("logSumExp");
    const targeted = take<Float32Array>("targetLogProbability");
    const sampledIds = take<Int32Array>("drawn.ids");
    const sampledLogits = take<Float32Array>("drawn.logits");
    const masses = take<Float32Array>("nucleus.mass");
    const rowCount = totals?.length ?? 0;
    const hidden = take<Float32Array>("hidden");
    const { vocabSize: vocabulary, hiddenSize } = this.#config;
    // Where every nucleus was found among the candidates, one number stands in place of the rows.
    const given = take<Float32Array>("logits");
    const logits = given?.length === rowCount * vocabulary ? given : undefined;
    let row = 0;
    return steps.map((step) => {
      const count = wantedRows(step);
      const from = row;
      row += count;
      const kept = Math.min(candidates, step.topK ?? 1);
      const ids = new Int32Array(count * kept);
      const top = new Float32Array(count * kept);
      for (let r = 0; r < count; r++) {
        const start = (from + r) * candidates;
        ids.set(topIds!.subarray(start, start + kept), r * kept);
        top.set(topLogits!.subarray(start, start + kept), r * kept);
      }
      return {
        topIds: ids,
        topLogits: top,
        logSumExp: count > 0 ? totals!.slice(from, row) : new Float32Array(0),
        ...(step.sample &&
          count > 0 && {
            sampledIds: sampledIds!.slice(from, row),
            sampledLogits: sampledLogits!.slice(from, row),
          }),
        ...(step.nucleus && count > 0 && { nucleusMass: masses!.slice(from, row) }),
        ...((step.logits || step.nucleus) &&
          logits &&
          count > 0 && {
            logits: logits.slice(from * vocabulary, row * vocabulary),
          }),
        ...(step.hidden &&
          count > 0 && { hidden: hidden!.slice(from * hiddenSize, row * hiddenSize) }),
        ...(step.targets && count > 0 && { targetLogProbabilities: targeted!.slice(from, row) }),
      };
    });
  }
}

/**
 * Rows of one pass over a prompt behind `length` tokens. More are not faster (measured up to 512 in every
 * format; blocks need fewest), but scores take memory for each row and each token of the cache: behind
 * many tokens half the rows are as fast in blocks of 4 bits, and 3 % slower in 8 bits. In single
 * precision the weights outweigh the scores.
 */
function rowsOfPass(format: WeightFormat, length: number): number {
  if (format === "f32") return 128;
  return (format === "int8-channel" ? 128 : 64) / (length < 2048 ? 1 : 2);
}

/** Rows whose results a step wants. */
function wantedRows({ results, ids }: HandleStep): number {
  return results === "none" ? 0 : results === "all" ? ids.length : 1;
}

/** The draws of all wanted rows, `[rows, drawWidth]`. What zeros draw for the others is read by nobody. */
function sampleRows(steps: readonly HandleStep[], rows: number): Float32Array {
  const values = new Float32Array(rows * sampleColumns);
  let row = 0;
  for (const step of steps) {
    const count = wantedRows(step);
    const { sample, nucleus } = step;
    for (let at = 0; at < count; at++) {
      const draw = sample
        ? [sample.uniform[at]!, 1 / sample.temperature, Math.log(sample.minP), 0]
        : [0, nucleus ? 1 / nucleus.temperature : 0, 0, nucleus?.topP ?? 0];
      values.set(draw, (row + at) * sampleColumns);
    }
    row += count;
  }
  return values;
}

/** Ids by which cached rows are found again; rows of embeddings have none, not even their own. */
function knownIds(step: HandleStep): number[] {
  return step.embeddings
    ? new Array<number>(step.ids.length).fill(Number.NaN)
    : Array.from(step.ids);
}

/** The results of consecutive rows as those of one step. */
function joinResults(parts: readonly StepResult[]): StepResult {
  const join = (pick: (part: StepResult) => Float32Array | undefined): Float32Array => {
    const arrays = parts.map((part) => pick(part)!);
    const whole = new Float32Array(arrays.reduce((sum, array) => sum + array.length, 0));
    let at = 0;
    for (const array of arrays) {
      whole.set(array, at);
      at += array.length;
    }
    return whole;
  };
  const joinIds = (pick: (part: StepResult) => Int32Array | undefined): Int32Array =>
    Int32Array.from(parts.flatMap((part) => [...pick(part)!]));
  const [first] = parts;
  return {
    topIds: joinIds(({ topIds }) => topIds),
    topLogits: join(({ topLogits }) => topLogits),
    logSumExp: join(({ logSumExp }) => logSumExp),
    ...(first!.sampledIds && {
      sampledIds: joinIds(({ sampledIds }) => sampledIds),
      sampledLogits: join(({ sampledLogits }) => sampledLogits),
    }),
    ...(first!.logits && { logits: join(({ logits }) => logits) }),
    ...(first!.nucleusMass && { nucleusMass: join(({ nucleusMass }) => nucleusMass) }),
    ...(first!.hidden && { hidden: join(({ hidden }) => hidden) }),
    ...(first!.targetLogProbabilities && {
      targetLogProbabilities: join(({ targetLogProbabilities }) => targetLogProbabilities),
    }),
  };
}

/** Slots up to this many are added rather than reused, to keep prefixes of earlier requests. */
const keptSlots = 4;
