/** What policies share in which prompt tokens choose together and decoded ones each for itself. */
import { JetonError } from "../../core/index.ts";
import {
  type ChosenRows,
  forGroups,
  inGroups,
  isWithin,
  nowhere,
  type PassPlace,
  type PolicyAttention,
  type PolicyInput,
  rowsWithin,
  scoreKeys,
  seenTokens,
} from "../../model/index.ts";
import {
  add,
  broadcastTo,
  concat,
  type Dimension,
  greaterOrEqual,
  less,
  multiply,
  multiplyDimensions,
  range,
  reshape,
  subtract,
  sum,
  type Tensor,
  transpose,
} from "../../tensor/index.ts";

/** Options that such policies share. */
export interface GroupOptions {
  /** First tokens that are always kept. */
  readonly init: number;
  /** Latest tokens that are always kept. */
  readonly local: number;
  /** Prompt tokens that share a choice; 0: 512, at most `local`. */
  readonly chunk: number;
}

/** Prompt tokens that share a choice: as said, otherwise 512 and at most the latest tokens that are kept. */
export function chunkOf({ chunk, local }: Pick<GroupOptions, "chunk" | "local">): number {
  return chunk > 0 ? chunk : Math.min(512, local);
}

/**
 * What the programs of such policies have in common.
 *
 * @param chosen tokens that are chosen at most, besides the first and the latest ones
 * @param more tokens that may be kept besides. Default 0.
 */
export function groupAttention(
  policy: string,
  settings: GroupOptions,
  { chosen, more = 0 }: { readonly chosen: number; readonly more?: number },
): Pick<PolicyAttention, "keys" | "promptChunk" | "positions" | "maxRows" | "check"> {
  const { init, local } = settings;
  const promptChunk = chunkOf(settings);
  const budget = init + chosen + local;
  return {
    keys: "raw",
    promptChunk,
    positions: budget + more + promptChunk,
    // Of decoded tokens, each of which gathers keys of its own.
    maxRows: () => rowsWithin(budget + more),
    // With one token less than fills what is kept besides, nothing is left out yet.
    check: (pass) => refuseLongChunk(policy, pass, { local, most: budget + Math.max(0, more - 1) }),
  };
}

/**
 * Refuses a chunk of which some tokens would lie among those that may be left out.
 *
 * @throws JetonError `context-policy-chunk`
 */
function refuseLongChunk(
  policy: string,
  { length, count, promptLength }: PassPlace,
  { local, most }: { readonly local: number; readonly most: number },
): void {
  if (length >= promptLength || count <= local || length + count <= most) return;
  throw new JetonError(
    `${policy}: a chunk of ${count} tokens is longer than the ${local} latest ones that are kept`,
    {
      code: "context-policy-chunk",
      details: { policy, found: count, expected: `at most ${local}` },
    },
  );
}

/**
 * The query that stands for each group: the mean of its rows, the i-th of them rotated to position `first + i`,
 * so that keys before the rotation all seem to stand at one distance.
 *
 * @returns `[groups, heads, headDim]`
 */
export function groupQuery({ config, query, pass, rotate }: PolicyInput, first: number): Tensor {
  const { numAttentionHeads: heads, headDim } = config;
  const { groups, span, groupWeights, time } = pass;
  const positions = broadcastTo(reshape(add(range(span), first), [1, span]), [groups, span]);
  const rotated = rotate(inGroups(reshape(query, [heads, time, headDim]), pass), positions);
  const weights = reshape(groupWeights, [groups, 1, span, 1]);
  return sum(multiply(rotated, weights), { axes: [2] });
}

/**
 * Inner products of each group's query with the unrotated keys of the whole sequence, `[groups, heads, capacity]`.
 * Heads come in another order where `isModulo`.
 *
 * @param isModulo query head h reads key head h mod kvHeads, as the authors' kernel does
 */
export function scoreHeads(input: PolicyInput, query: Tensor, isModulo = false): Tensor {
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim } = input.config;
  const { groups, capacity } = input.pass;
  const each = heads / kvHeads;
  const byKey = isModulo
    ? transpose(reshape(query, [groups, each, kvHeads, headDim]), [2, 0, 1, 3])
    : transpose(reshape(query, [groups, kvHeads, each, headDim]), [1, 0, 2, 3]);
  const rows = reshape(byKey, [1, kvHeads, multiplyDimensions(groups, each), headDim]);
  const scores = reshape(scoreKeys(input, rows), [kvHeads, groups, each, capacity]);
  return reshape(transpose(scores, [1, 0, 2, 3]), [groups, heads, capacity]);
}

/** Whether each place lies between the first and the latest tokens of each group, bool `[groups, capacity]`. */
export function isBetween(
  pass: PolicyInput["pass"],
  { init, local }: Pick<GroupOptions, "init" | "local">,
): Tensor {
  const seen = reshape(seenTokens(pass), [pass.groups, 1]);
  const at = reshape(range(pass.capacity), [1, pass.capacity]);
  return isWithin(at, init, subtract(seen, local));
}

/** Places `[groups, slots]`, int32, and whether each is one. */
export interface GroupPlaces {
  readonly places: Tensor;
  readonly valid: Tensor;
}

/**
 * The chosen places between the first and the latest tokens, all ascending.
 *
 * @param chosen int32 `[groups, slots]`, `nowhere` where fewer were chosen
 * @param latest Default: the `local` latest ones behind the first
 */
export function addAlways(
  pass: PolicyInput["pass"],
  chosen: Tensor,
  { init, local, latest }: Pick<GroupOptions, "init" | "local"> & { readonly latest?: GroupPlaces },
): ChosenRows {
  const { groups } = pass;
  const seen = reshape(seenTokens(pass), [groups, 1]);
  const parts: GroupPlaces[] = [{ places: chosen, valid: less(chosen, nowhere) }];
  if (init > 0) {
    const first = forGroups(range(init), groups);
    parts.unshift({ places: first, valid: less(first, seen) });
  }
  if (latest) {
    parts.push(latest);
  } else {
    const last = add(subtract(seen, local), reshape(range(local), [1, local]));
    parts.push({ places: last, valid: greaterOrEqual(last, init) });
  }
  const joined = (of: (part: GroupPlaces) => Tensor): Tensor => concat(parts.map(of), 1);
  const places = joined((part) => part.places);
  const valid = joined((part) => part.valid);
  const shape = [groups, 1, places.shape[1] as Dimension] as const;
  return { places: reshape(places, shape), valid: reshape(valid, shape) };
}
