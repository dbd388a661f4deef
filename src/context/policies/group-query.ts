/** What policies share in which prompt tokens choose together and decoded ones each for itself. */
import { JetonError } from "../../core/index.ts";
import {
  type ChosenRows,
  forGroups,
  inGroups,
  nowhere,
  type PassPlace,
  type PolicyInput,
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

/** Prompt tokens that share a choice: as said, otherwise 512 and at most the latest tokens that are kept. */
export function chunkOf({
  chunk,
  local,
}: {
  readonly chunk: number;
  readonly local: number;
}): number {
  return chunk > 0 ? chunk : Math.min(512, local);
}

/**
 * Refuses a chunk of which some tokens would lie among those that may be left out.
 *
 * @throws JetonError `context-policy-chunk`
 */
export function refuseLongChunk(
  policy: string,
  { length, count, promptLength }: PassPlace,
  { local, budget }: { readonly local: number; readonly budget: number },
): void {
  if (length >= promptLength || count <= local || length + count <= budget) return;
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

/** The chosen places between the first and the latest tokens, all ascending. */
export function addAlways(
  { pass }: Pick<PolicyInput, "pass">,
  chosen: Tensor,
  { init, local }: { readonly init: number; readonly local: number },
): ChosenRows {
  const { groups } = pass;
  const seen = reshape(seenTokens(pass), [groups, 1]);
  const latest = add(subtract(seen, local), reshape(range(local), [1, local]));
  const first = init > 0 ? [forGroups(range(init), groups)] : [];
  const places = concat([...first, chosen, latest], 1);
  const valid = concat(
    [...first.map((x) => less(x, seen)), less(chosen, nowhere), greaterOrEqual(latest, init)],
    1,
  );
  const shape = [groups, 1, places.shape[1] as Dimension] as const;
  return { places: reshape(places, shape), valid: reshape(valid, shape) };
}
