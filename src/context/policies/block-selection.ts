/**
 * Block selection (after InfLLM, Xiao et al., 2024): whole blocks of the cache are chosen by the mean of their
 * keys, one set for all heads of a layer.
 */
import {
  attendChosen,
  type ChosenRows,
  type ContextPolicy,
  largestPlaces,
  nowhere,
  type PolicyInput,
  type PolicyOptions,
  type PolicyProgram,
  seenTokens,
} from "../../model/index.ts";
import {
  add,
  divide,
  gather,
  less,
  maximum,
  mean,
  minimum,
  multiply,
  multiplyDimensions,
  range,
  reshape,
  sizeValue,
  subtract,
  sum,
  where,
} from "../../tensor/index.ts";
import { definePolicy, type NamedPolicy, type PolicyOptionValues } from "./define-policy.ts";
import { addAlways, chunkOf, groupAttention, groupQuery, scoreHeads } from "./group-query.ts";

const options = {
  init: { kind: "integer", default: 128, min: 0, help: "first tokens that are always kept" },
  local: { kind: "integer", default: 512, min: 1, help: "latest tokens that are always kept" },
  block: { kind: "integer", default: 64, min: 1, help: "tokens of a block" },
  blocks: { kind: "integer", default: 32, min: 1, help: "blocks that are chosen" },
  chunk: {
    kind: "integer",
    default: 0,
    min: 0,
    help: "prompt tokens that share a choice; 0: 512, at most `local`",
  },
} as const;

type Options = PolicyOptionValues<typeof options>;
/** Options of `blockSelection`. */
export type BlockSelectionOptions = Partial<Options>;

/** The policy by its name. */
export const blockSelectionPolicy: NamedPolicy = definePolicy({
  name: "block-selection",
  summary: "whole blocks by the mean of their keys, one set a layer",
  module: import.meta.url,
  createProgram: createPolicy,
  options,
  reuse: (given) => ({ chunk: chunkOf(given) }),
});

/** Attention to the first tokens, the latest ones, and the best blocks between them. */
export function blockSelection(given: BlockSelectionOptions = {}): ContextPolicy {
  return blockSelectionPolicy.create(given as PolicyOptions);
}

/** The policy's program; called in the model worker. */
export function createPolicy(given: PolicyOptions): PolicyProgram {
  const settings = given as Options;
  const { block, blocks } = settings;
  return {
    attention: {
      // The incomplete last block is kept besides.
      ...groupAttention("block-selection", settings, { chosen: block * blocks, more: block }),
      passSizes({ capacity }) {
        const all = Math.ceil(capacity / block);
        return { blocks: all, chosen: Math.min(blocks, all) };
      },
      attend: (input) => attendChosen(input, chooseBlocks(input, settings)),
    },
  };
}

/**
 * The first tokens, the latest ones, and the best whole blocks between them, of each group.
 *
 * @param count name of the size that says how many blocks are chosen; `"blocks"` says how many there are
 */
export function chooseBlocks(
  input: PolicyInput,
  { init, local, block }: Pick<Options, "init" | "local" | "block">,
  count = "chosen",
): ChosenRows {
  const { groups, capacity } = input.pass;
  const votes = sum(scoreHeads(input, groupQuery(input, local)), { axes: [1] });
  const seen = reshape(seenTokens(input.pass), [groups, 1]);
  const whole = divide(maximum(subtract(seen, local + init), 0), block);
  // The score of a mean key is the mean of its keys' scores.
  const inBlocks = add(
    multiply(reshape(range("blocks"), ["blocks", 1]), block),
    reshape(add(range(block), init), [1, block]),
  );
  const inside = minimum(inBlocks, subtract(sizeValue(capacity), 1));
  const means = mean(gather(votes, inside, 1), { axes: [2] });
  const isWhole = less(reshape(range("blocks"), [1, "blocks"]), whole);
  const best = reshape(largestPlaces(means, isWhole, count), [groups, count, 1]);
  const flat = [groups, multiplyDimensions(count, block)] as const;
  const offsets = reshape(add(range(block), init), [1, 1, block]);
  const bounded = minimum(best, sizeValue(capacity));
  const tokens = where(less(best, nowhere), add(multiply(bounded, block), offsets), nowhere);
  // The incomplete last block stays visible with the latest tokens.
  const rest = add(
    add(multiply(whole, block), init),
    reshape(range(local + block - 1), [1, local + block - 1]),
  );
  const latest = { places: rest, valid: less(rest, seen) };
  return addAlways(input.pass, reshape(tokens, flat), { init, local, latest });
}
