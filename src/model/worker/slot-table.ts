/**
 * The sequences of a worker and their rows of the cache.
 *
 * Slots of open sequences stand at the front, so that a batch is one view of the cache; the others keep
 * the rows of released sequences for prefix reuse.
 */
import { JetonError } from "../../core/index.ts";
import type { RotationTables } from "../layers/rotation-tables.ts";
import type { ContextPolicy } from "../policy/context-policy.ts";
import { type HandleStep, knownIds, type Pass } from "./decoder-pass.ts";
import { checkRows, nothingPending } from "./draft-rows.ts";
import type { CacheArray, KeyValueCache } from "./key-value-cache.ts";
import { sequenceReleased } from "./release-handle.ts";

/** Contents of a slot. */
export interface Slot {
  /** Tokens in the cache, in order. */
  tokens: number[];
  /** Key of each token's rotation; see `RotationTables`. */
  rotations: number[];
  /** Rows made from embeddings, by position, where they may have to be computed anew. */
  given: Map<number, Float32Array>;
  handle: number | undefined;
  /** Tokens of the prompt: all of it is rotated as one forward pass over it would be. */
  promptLength: number;
  /** Rows of the last step that wait for `accept`. */
  pending: PendingRows | undefined;
  /** Rows from here on depend on more than the tokens before them. */
  reusable: number;
  lastUse: number;
}

interface PendingRows {
  readonly ids: readonly number[];
  readonly embeddings: Float32Array | undefined;
  readonly time: number;
  /** New keys and values per arena, from this sequence's rows on. */
  readonly rows: readonly CacheArray[];
}

/** How a sequence begins. */
export interface SequenceStart {
  /** Ids whose cached rows may be reused. */
  readonly prefix: readonly number[];
  /** Tokens of the prompt. */
  readonly promptLength: number;
}

/** Released slots are kept for their prefixes until this many slots exist. */
const keptSlots = 4;

export interface SlotTableOptions {
  /** Most open sequences. */
  readonly limit: number;
  readonly rotations: RotationTables;
  /** See `restartLength` of the rotation tables. */
  readonly restartLength: number | undefined;
  /** See `ContextPolicy.reuse`. Default any. */
  readonly reuse?: ContextPolicy["reuse"];
}

export class SlotTable {
  readonly #cache: KeyValueCache;
  readonly #limit: number;
  readonly #rotations: RotationTables;
  readonly #restartLength: number | undefined;
  readonly #reuse: ContextPolicy["reuse"];
  readonly #slots: Slot[] = [];
  readonly #byHandle: Map<number, number> = new Map();
  /** Slots of open sequences. */
  #active = 0;
  #nextHandle = 1;
  #clock = 0;

  constructor(cache: KeyValueCache, options: SlotTableOptions) {
    this.#cache = cache;
    this.#limit = options.limit;
    this.#rotations = options.rotations;
    this.#restartLength = options.restartLength;
    this.#reuse = options.reuse ?? "any";
  }

  get slots(): readonly Slot[] {
    return this.#slots;
  }

  get openSequences(): number {
    return this.#active;
  }

  /** The slot of an open sequence. */
  slot(handle: number): Slot {
    return this.#slots[this.indexOf(handle)]!;
  }

  /** @throws JetonError `model-sequence-released` */
  indexOf(handle: number): number {
    const index = this.#byHandle.get(handle);
    if (index === undefined) throw sequenceReleased();
    return index;
  }

  /**
   * Opens a sequence that begins with the cached rows of the longest known prefix.
   *
   * @throws JetonError `model-slots-full`
   */
  open(options: SequenceStart): { handle: number; reused: number } {
    if (this.#active >= this.#limit) {
      throw new JetonError(`all ${this.#limit} slots are taken`, {
        code: "model-slots-full",
        details: { slots: this.#limit },
      });
    }
    const { best, reused } = this.#findPrefix(options);
    const target = this.#active;
    const released = best >= this.#active;
    const victim = released ? best : this.#leastRecent();
    if (victim === undefined) this.#addSlot();
    else if (victim !== target) this.#exchange(victim, target);
    const slot = this.#slots[target]!;
    if (!released && reused > 0) {
      this.#cache.copy(best, target, reused);
      slot.tokens = this.#slots[best]!.tokens.slice(0, reused);
      slot.rotations = this.#slots[best]!.rotations.slice(0, reused);
    }
    cut(slot, reused);
    slot.reusable = Number.POSITIVE_INFINITY;
    slot.promptLength = options.promptLength;
    slot.handle = this.#nextHandle++;
    slot.lastUse = ++this.#clock;
    this.#byHandle.set(slot.handle, target);
    this.#active++;
    return { handle: slot.handle, reused };
  }

  /** The slot with the longest usable prefix, -1 where none shares a token. */
  #findPrefix({ prefix, promptLength }: SequenceStart): { best: number; reused: number } {
    const rotation = this.#rotations.key(promptLength);
    // The last token of the prompt must run again: its logits are wanted.
    const usable = this.#reuse === "none" ? 0 : Math.max(0, prefix.length - 1);
    let best = -1;
    let reused = 0;
    for (const [
      index,
      { tokens, rotations, reusable, promptLength: read },
    ] of this.#slots.entries()) {
      let common = 0;
      while (
        common < usable &&
        tokens[common] === prefix[common] &&
        rotations[common] === rotation
      ) {
        common++;
      }
      if (typeof this.#reuse === "object") {
        const { chunk } = this.#reuse;
        common = Math.floor(Math.min(common, reusable, read) / chunk) * chunk;
      }
      // Among equals a released slot is better, because its rows need not be copied.
      if (common > reused || (common > 0 && common === reused && index >= this.#active)) {
        best = index;
        reused = common;
      }
    }
    return { best, reused };
  }

  /**
   * Moves the accepted rows of the last uncommitted step into the cache.
   *
   * @throws JetonError `model-nothing-pending`, `model-row-invalid`
   */
  accept(handle: number, rows: readonly number[]): void {
    const index = this.indexOf(handle);
    const slot = this.#slots[index]!;
    const { pending } = slot;
    if (!pending) throw nothingPending();
    checkRows(rows, pending.ids.length);
    const length = slot.tokens.length;
    const chosen = { count: rows.length, at: (row: number) => rows[row]! };
    for (const [arena, source] of pending.rows.entries()) {
      this.#cache.append(arena, { slot: index, length }, { source, time: pending.time }, chosen);
    }
    this.#remember(slot, pending, rows);
    slot.pending = undefined;
  }

  /** Forgets tokens from `length` on, and rows that wait for `accept`. */
  truncate(handle: number, length: number): void {
    const slot = this.slot(handle);
    slot.pending = undefined;
    cut(slot, length);
  }

  /** Closes a sequence; its rows stay for prefix reuse. Unknown handles are ignored. */
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

  /**
   * Fits the cache to what all slots hold and to `added` new rows for each step, at once because that
   * copies it. It has `minRows` rows at least.
   */
  reserveRows(steps: readonly HandleStep[], added: number, minRows: number): void {
    const lengths = steps.map((step) => this.slot(step.handle).tokens.length);
    const rows = Math.max(minRows, Math.max(...lengths) + added);
    // Rows that wait for `accept` count, because accepting them needs capacity.
    const held = this.#slots.map(({ tokens, pending }) => tokens.length + (pending?.time ?? 0));
    this.#cache.trim(Math.max(rows, ...held));
    this.#cache.reserve(this.#slots.length, rows);
  }

  /**
   * Puts the new rows of a pass into the cache, or holds them until they are accepted.
   *
   * @param data keys and values of one layer after the other, `[2 * layers * batch, kvHeads, time, headDim]`
   */
  keepRows({ steps, indices, first, batch, time }: Pass, data: CacheArray): void {
    const { kvHeads, headDim } = this.#cache.shape;
    const size = kvHeads * time * headDim;
    for (const [order, step] of steps.entries()) {
      const index = indices[order]!;
      const slot = this.#slots[index]!;
      const rows = this.#cache.arenas.map((_, arena) => {
        const start = (arena * batch + index - first) * size;
        return data.subarray(start, start + size);
      });
      slot.lastUse = ++this.#clock;
      const { embeddings } = step;
      const pending: PendingRows = { ids: knownIds(step), embeddings, time, rows };
      if (step.commit === false) {
        slot.pending = pending;
        continue;
      }
      slot.pending = undefined;
      const end = { slot: index, length: slot.tokens.length };
      for (const [arena, source] of rows.entries()) {
        this.#cache.append(arena, end, { source, time }, step.ids.length);
      }
      this.#remember(slot, pending, pending.ids.keys());
    }
  }

  /** Length of the sequence for the rotation of a new row at `position`. */
  rotationLength({ promptLength, tokens }: Slot, position: number): number {
    // Where the cache restarts, the rows of one step are rotated alike.
    const reached = this.#restartLength === undefined ? position + 1 : tokens.length + 1;
    return Math.max(promptLength, reached);
  }

  /** New rows of a step until the cache restarts; infinity where it does not. */
  rowsUntilRestart(handle: number): number {
    const { promptLength, tokens } = this.slot(handle);
    const at = this.#restartLength;
    return at === undefined || promptLength > at ? Number.POSITIVE_INFINITY : at - tokens.length;
  }

  /**
   * Empties a sequence that must be computed anew.
   *
   * @returns its tokens, in runs that were read as ids or as embeddings
   */
  restart(handle: number): { ids: number[]; embeddings?: Float32Array }[] {
    const slot = this.slot(handle);
    const { tokens, given } = slot;
    const runs: { ids: number[]; embeddings?: Float32Array }[] = [];
    for (const [position, id] of tokens.entries()) {
      const row = given.get(position);
      const last = runs.at(-1);
      if (last && (row !== undefined) === (last.embeddings !== undefined)) last.ids.push(id);
      else runs.push({ ids: [id], ...(row && { embeddings: row }) });
    }
    let start = 0;
    for (const run of runs) {
      if (run.embeddings) {
        const width = run.embeddings.length;
        run.embeddings = new Float32Array(run.ids.length * width);
        for (const at of run.ids.keys()) run.embeddings.set(given.get(start + at)!, at * width);
      }
      start += run.ids.length;
    }
    slot.promptLength = tokens.length + 1;
    cut(slot, 0);
    slot.pending = undefined;
    return runs;
  }

  /** Notes rows that were appended to the cache. */
  #remember(slot: Slot, { ids, embeddings }: PendingRows, rows: Iterable<number>): void {
    const width = embeddings ? embeddings.length / ids.length : 0;
    const length = slot.tokens.length;
    const reached = this.rotationLength(slot, length);
    for (const row of rows) {
      const position = slot.tokens.length;
      // The rows of a step that restarts nothing share the length at which it began.
      const reachedHere =
        this.#restartLength === undefined ? Math.max(reached, position + 1) : reached;
      slot.tokens.push(ids[row]!);
      slot.rotations.push(this.#rotations.key(reachedHere));
      if (embeddings && this.#restartLength !== undefined) {
        slot.given.set(position, embeddings.slice(row * width, (row + 1) * width));
      }
    }
  }

  #addSlot(): void {
    this.#slots.push({
      tokens: [],
      rotations: [],
      given: new Map(),
      handle: undefined,
      promptLength: 0,
      pending: undefined,
      reusable: Number.POSITIVE_INFINITY,
      lastUse: 0,
    });
    this.#cache.reserve(this.#slots.length, this.#cache.capacity);
  }

  /** The released slot that was used longest ago; undefined where a new slot is better. */
  #leastRecent(): number | undefined {
    let found: number | undefined;
    for (let index = this.#active; index < this.#slots.length; index++) {
      if (found === undefined || this.#slots[index]!.lastUse < this.#slots[found]!.lastUse) {
        found = index;
      }
    }
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
}

/** Forgets the tokens of a slot from `length` on. */
function cut(slot: Slot, length: number): void {
  if (length >= slot.tokens.length) return;
  slot.tokens.length = length;
  slot.rotations.length = length;
  for (const position of slot.given.keys()) if (position >= length) slot.given.delete(position);
}
