/**
 * Block selection (after InfLLM, Xiao et al., 2024): whole blocks of the cache are chosen by the mean of their
 * keys, one set for all heads of a layer.
 */
import {
  attendChosen,
  type ChosenRows,
  type ContextPolicy,
  forGroups,
  isWithin,
  largestPlaces,
  nowhere,
  type PassPlace,
  type PolicyInput,
  type PolicyOptions,
  type PolicyProgram,
  seenTokens,
} from "../../model/index.ts";
import {
  add,
  and,
  concat,
  type Dimension,
  divide,
  gather,
  greaterOrEqual,
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
  type Tensor,
} from "../../tensor/index.ts";
import { definePolicy, type NamedPolicy, type PolicyOptionValues } from "./define-policy.ts";
import { chunkOf, groupQuery, refuseLongChunk, scoreHeads } from "./group-query.ts";

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
  const { init, local, block, blocks } = settings;
  const chunk = chunkOf(settings);
  return {
    attention: {
      keys: "raw",
      promptChunk: chunk,
      positions: init + block * (blocks + 1) + local + chunk,
      passSizes({ capacity }) {
        const all = Math.ceil(capacity / block);
        return { blocks: all, chosen: Math.min(blocks, all) };
      },
      check: (pass: PassPlace) =>
        refuseLongChunk("block-selection", pass, {
          local,
          budget: init + block * blocks + local,
        }),
      attend: (input) => attendChosen(input, chooseBlocks(input, settings)),
    },
  };
}

function chooseBlocks(input: PolicyInput, { init, local, block }: Options): ChosenRows {
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
  const best = reshape(largestPlaces(means, isWhole, "chosen"), [groups, "chosen", 1]);
  const flat = [groups, multiplyDimensions("chosen", block)] as const;
  const isFound = less(best, nowhere);
  const offsets = reshape(add(range(block), init), [1, 1, block]);
  const bounded = minimum(best, sizeValue(capacity));
  const tokens = reshape(add(multiply(bounded, block), offsets), flat);
  const areFound = reshape(and(isFound, greaterOrEqual(offsets, 0)), flat);
  // The incomplete last block stays visible with the latest tokens.
  const rest = add(
    add(multiply(whole, block), init),
    reshape(range(local + block - 1), [1, local + block - 1]),
  );
  const first: Tensor[] = init > 0 ? [forGroups(range(init), groups)] : [];
  const places = concat([...first, tokens, rest], 1);
  const valid = concat(
    [...first.map((x) => less(x, seen)), areFound, isWithin(rest, init, seen)],
    1,
  );
  const shape = [groups, 1, places.shape[1] as Dimension] as const;
  return { places: reshape(places, shape), valid: reshape(valid, shape) };
}
