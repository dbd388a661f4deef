/** A worker's side of a context policy: how steps are cut into passes, their inputs, and what layers keep between them. */
import { JetonError } from "../../core/index.ts";
import type { BoundValue, Session, TensorValue } from "../../tensor/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import type { RotationTables } from "../layers/rotation-tables.ts";
import type { PassPlace, PolicyAttention, PolicyState } from "../policy/context-policy.ts";
import { type StateName, stateName } from "../policy/policy-graph.ts";
import type { HandleStep, Pass } from "./decoder-pass.ts";
import type { KeyValueCache } from "./key-value-cache.ts";
import type { Slot } from "./slot-table.ts";

/** What the passes are made from. */
export interface PolicyPassesParts {
  readonly config: DecoderConfig;
  readonly attention: PolicyAttention;
  readonly session: Session;
  readonly cache: KeyValueCache;
  readonly rotations: RotationTables;
}

/** States of all layers of a sequence, by name. */
type SequenceStates = Map<StateName, TensorValue>;

export class PolicyPasses {
  readonly #parts: PolicyPassesParts;
  readonly #states: readonly PolicyState[];
  readonly #byHandle: Map<number, SequenceStates> = new Map();
  /** States behind the row that waits for `accept`. */
  readonly #waiting: Map<number, SequenceStates> = new Map();
  #tables: { rows: number; feeds: Record<string, BoundValue> } | undefined;

  constructor(parts: PolicyPassesParts) {
    this.#parts = parts;
    this.#states = parts.attention.states?.(parts.config) ?? [];
  }

  /** Rows of the next pass of a step, at most `usual` where the policy does not say. */
  rowsOfPass({ tokens, promptLength }: Slot, usual: number): number {
    const { promptChunk, isSequential, maxRows, passes } = this.#parts.attention;
    const { length } = tokens;
    if (passes) return passes.end({ length, promptLength }, usual) - length;
    const most = maxRows?.(length) ?? usual;
    if (length >= promptLength) return isSequential ? 1 : most;
    const rows = promptChunk === undefined ? most : promptChunk - (length % promptChunk);
    return Math.min(rows, promptLength - length);
  }

  /**
   * Refuses draft tokens that the policy cannot verify.
   *
   * @throws JetonError `context-policy-drafts`
   */
  checkDrafts({ ids, parents, commit }: HandleStep, { tokens, promptLength }: Slot): void {
    const isChain = !parents || parents.every((parent, row) => parent === row - 1);
    const isPlain = commit !== false || ids.length === 1;
    // What layers keep of a prompt cannot be cut to a part of its rows either.
    const isDependent =
      this.#parts.attention.isSequential || (this.keepsStates && tokens.length < promptLength);
    if (isChain && (isPlain || !isDependent)) return;
    throw new JetonError(
      isChain
        ? "under this context policy each token depends on what those before it chose: draft tokens cannot be verified"
        : "context policies verify draft tokens in chains, not in trees",
      { code: "context-policy-drafts", details: { tokens: ids.length, isChain } },
    );
  }

  /** The policy's inputs of a pass over one sequence. */
  feeds(pass: Pass, slot: Slot): Record<string, BoundValue> {
    const { attention, session } = this.#parts;
    const [step] = pass.steps;
    const place: PassPlace = {
      length: slot.tokens.length,
      count: step!.ids.length,
      time: pass.time,
      promptLength: slot.promptLength,
    };
    attention.check?.(place);
    const numbers = Int32Array.of(place.length, place.count, place.promptLength);
    return {
      "policy.place": session.bind("int32", numbers, [3]),
      "policy.groups": this.#groups(place),
      ...this.#sizes(place),
      ...this.#rotations(),
      ...this.#stateFeeds(slot.handle!),
    };
  }

  #groups({ length, count, time, promptLength }: PassPlace): BoundValue {
    const { attention, session } = this.#parts;
    const isShared =
      attention.passes?.isGroup({ length, promptLength }) ??
      (attention.promptChunk !== undefined && length < promptLength);
    const weights = new Float32Array(time).fill(isShared ? 0 : 1);
    if (isShared) weights.fill(1 / count, 0, count);
    return session.bind("float32", weights, isShared ? [1, time] : [time, 1]);
  }

  #sizes(place: PassPlace): Record<string, BoundValue> {
    const { attention, session, cache } = this.#parts;
    const feeds: Record<string, BoundValue> = {};
    for (const [name, most] of Object.entries(attention.sizes ?? {})) {
      const size = Math.max(1, Math.min(most, cache.capacity));
      feeds[`policy.size.${name}`] = session.bind("uint8", new Uint8Array(size), [size]);
    }
    const later = attention.passSizes?.({ ...place, capacity: cache.capacity }) ?? {};
    for (const [name, size] of Object.entries(later)) {
      feeds[`policy.size.${name}`] = session.bind("uint8", new Uint8Array(size), [size]);
    }
    return feeds;
  }

  /** Cosines and sines of every position that the cache has, and of the policy's own beyond. */
  #rotations(): Record<string, BoundValue> {
    const { config, session, cache, rotations, attention } = this.#parts;
    const needed = cache.capacity + (attention.positions ?? 0);
    if (this.#tables && this.#tables.rows >= needed) return this.#tables.feeds;
    const rows = Math.max(needed, 2 * (this.#tables?.rows ?? 0));
    const feeds: Record<string, BoundValue> = {};
    for (const [index, { rotaryDim }] of config.ropes.entries()) {
      const half = rotaryDim / 2;
      const cos = new Float32Array(rows * half);
      const sin = new Float32Array(rows * half);
      for (let row = 0; row < rows; row++) {
        rotations.write(index, { position: row, length: 1 }, { row, cos, sin });
      }
      feeds[`rope.${index}.cos`] = session.bind("float32", cos, [rows, half]);
      feeds[`rope.${index}.sin`] = session.bind("float32", sin, [rows, half]);
    }
    this.#tables = { rows, feeds };
    return feeds;
  }

  #stateFeeds(handle: number): Record<string, BoundValue> {
    if (this.#states.length === 0) return {};
    const { config, session, cache } = this.#parts;
    const held = this.#byHandle.get(handle);
    const feeds: Record<string, BoundValue> = {};
    for (const layer of config.layers.keys()) {
      for (const state of this.#states) {
        const name = stateName(layer, state);
        const shape = state.shape.map((size) => this.#sizeOf(size, cache.capacity));
        const data = fitState(held?.get(name), shape, state.initial ?? 0);
        feeds[name] = session.bind("float32", data, shape);
      }
    }
    return feeds;
  }

  #sizeOf(size: number | string, capacity: number): number {
    if (typeof size === "number") return size;
    if (size === "capacity") return capacity;
    return Math.max(1, Math.min(this.#parts.attention.sizes![size]!, capacity));
  }

  /** Names of the outputs that every pass must compute. */
  get outputs(): StateName[] {
    const layers = [...this.#parts.config.layers.keys()];
    return layers.flatMap((layer) => this.#states.map((state) => stateName(layer, state)));
  }

  /** Keeps what layers know of a sequence after a pass, or holds it until the pass's one row is accepted. */
  keep({ handle, ids, commit }: HandleStep, values: Readonly<Record<string, TensorValue>>): void {
    this.#waiting.delete(handle);
    if (this.#states.length === 0) return;
    const states: SequenceStates = new Map(this.outputs.map((name) => [name, values[name]!]));
    if (commit !== false) this.#byHandle.set(handle, states);
    else if (ids.length === 1) this.#waiting.set(handle, states);
  }

  /** Rows of the last pass enter the cache. */
  accept(handle: number, rows: readonly number[]): void {
    const states = this.#waiting.get(handle);
    this.#waiting.delete(handle);
    if (states && rows.length > 0) this.#byHandle.set(handle, states);
  }

  /** What layers know of a sequence now, to go back to. */
  snapshot(handle: number): SequenceStates | undefined {
    return this.#byHandle.get(handle);
  }

  /** Goes back to a snapshot; without one, to the beginning. */
  restore(handle: number, states?: SequenceStates): void {
    this.#waiting.delete(handle);
    if (states) this.#byHandle.set(handle, states);
    else this.#byHandle.delete(handle);
  }

  /** True where layers keep something that cannot be cut to fewer tokens. */
  get keepsStates(): boolean {
    return this.#states.length > 0;
  }
}

/** A state in this shape, itself or else copied: what it has along the last axis, the rest begins anew. */
function fitState(
  held: TensorValue | undefined,
  shape: readonly number[],
  initial: number,
): Float32Array {
  if (held?.shape.every((length, axis) => length === shape[axis])) return held.data as Float32Array;
  const size = shape.reduce((a, b) => a * b, 1);
  const data = new Float32Array(size).fill(initial);
  if (!held) return data;
  const [from, to] = [held.shape.at(-1)!, shape.at(-1)!];
  const source = held.data as Float32Array;
  for (let row = 0; row < size / to; row++) {
    data.set(source.subarray(row * from, row * from + Math.min(from, to)), row * to);
  }
  return data;
}
