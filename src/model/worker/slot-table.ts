/**
 * The sequences of a worker and their rows of the cache.
 *
 * Slots of open sequences stand at the front, so that a batch is one view of the cache; the others keep
 * the rows of released sequences for prefix reuse.
 */
import { JetonError } from "../../core/index.ts";
import { type HandleStep, knownIds, type Pass } from "./decoder-pass.ts";
import type { CacheArray, KeyValueCache } from "./key-value-cache.ts";

/** What a slot holds. */
export interface Slot {
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
  readonly rows: readonly CacheArray[];
}

/** Released slots are kept for their prefixes until this many slots exist. */
const keptSlots = 4;

export class SlotTable {
  readonly #cache: KeyValueCache;
  readonly #limit: number;
  /** Whether keys of a sequence of one length are right for one of another. */
  readonly #sameRotation: (a: number, b: number) => boolean;
  readonly #slots: Slot[] = [];
  readonly #byHandle: Map<number, number> = new Map();
  /** Slots of open sequences. */
  #active = 0;
  #nextHandle = 1;
  #clock = 0;

  constructor(
    cache: KeyValueCache,
    options: { limit: number; sameRotation: (a: number, b: number) => boolean },
  ) {
    this.#cache = cache;
    this.#limit = options.limit;
    this.#sameRotation = options.sameRotation;
  }

  get slots(): readonly Slot[] {
    return this.#slots;
  }

  /** The slot of an open sequence. */
  slot(handle: number): Slot {
    return this.#slots[this.indexOf(handle)]!;
  }

  /** @throws JetonError `model-sequence-released` */
  indexOf(handle: number): number {
    const index = this.#byHandle.get(handle);
    if (index === undefined) {
      throw new JetonError("the sequence was released", {
        code: "model-sequence-released",
        details: { handle },
      });
    }
    return index;
  }

  /**
   * Opens a sequence that begins with the cached rows of the longest known prefix.
   *
   * @throws JetonError `model-slots-full`
   */
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
    const { sequenceLength } = options;
    const { best, reused } = this.#findPrefix(options);
    const target = this.#active;
    const released = best >= this.#active;
    const victim = released ? best : this.#leastRecent();
    if (victim === undefined) this.#addSlot(sequenceLength);
    else if (victim !== target) this.#exchange(victim, target);
    const slot = this.#slots[target]!;
    if (!released && reused > 0) {
      this.#cache.copy(best, target, reused);
      slot.tokens = this.#slots[best]!.tokens.slice(0, reused);
    }
    slot.tokens.length = reused;
    slot.sequenceLength = sequenceLength;
    slot.handle = this.#nextHandle++;
    slot.lastUse = ++this.#clock;
    this.#byHandle.set(slot.handle, target);
    this.#active++;
    return { handle: slot.handle, reused };
  }

  /** The slot with the longest usable prefix, -1 where none shares a token. */
  #findPrefix(options: { prefix: readonly number[]; sequenceLength: number }): {
    best: number;
    reused: number;
  } {
    const { prefix, sequenceLength } = options;
    // The last token of the prompt must run again: its logits are wanted.
    const usable = Math.max(0, prefix.length - 1);
    let best = -1;
    let reused = 0;
    for (const [index, slot] of this.#slots.entries()) {
      if (!this.#sameRotation(slot.sequenceLength, sequenceLength)) continue;
      let common = 0;
      while (common < usable && slot.tokens[common] === prefix[common]) common++;
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
      this.#cache.append(arena, { slot: index, length }, { source, time: pending.time }, chosen);
    }
    for (const row of rows) slot.tokens.push(pending.ids[row]!);
    slot.pending = undefined;
  }

  /** Forgets tokens from `length` on, and rows that wait for `accept`. */
  truncate(handle: number, length: number): void {
    const slot = this.slot(handle);
    slot.pending = undefined;
    if (length < slot.tokens.length) slot.tokens.length = length;
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
      if (step.commit === false) {
        slot.pending = { ids: knownIds(step), time, rows };
        continue;
      }
      slot.pending = undefined;
      const end = { slot: index, length: slot.tokens.length };
      for (const [arena, source] of rows.entries()) {
        this.#cache.append(arena, end, { source, time }, step.ids.length);
      }
      for (const id of knownIds(step)) slot.tokens.push(id);
    }
  }

  #addSlot(sequenceLength: number): void {
    this.#slots.push({
      tokens: [],
      handle: undefined,
      sequenceLength,
      pending: undefined,
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
