/**
 * How much of full attention's mass lies on the tokens that methods choose: of one token behind a text, in every layer, by
 * the queries and keys of full attention.
 */
import {
  attendMasked,
  type ChosenRows,
  type ContextPolicy,
  type LoadedModel,
  lastGroup,
  markPlaces,
  type PolicyInput,
  type PolicyOptions,
  type PolicyOutput,
  type PolicyProgram,
  scoreRotated,
} from "../../model/index.ts";
import type { ReproductionContext } from "../../reproduce/index.ts";
import {
  cast,
  concat,
  gather,
  mean,
  minimum,
  multiply,
  range,
  reshape,
  subtract,
  sum,
  type Tensor,
} from "../../tensor/index.ts";
import { chooseBlocks } from "../policies/block-selection.ts";
import { definePolicy, type PolicyOptionValues } from "../policies/define-policy.ts";
import { addAlways, groupQuery, isBetween } from "../policies/group-query.ts";
import { chooseRandom } from "../policies/reproduction-random.ts";
import { type PasskeyPrompt, stepLast } from "../policies/reproduction-recall.ts";
import { choosePlaces } from "./token-select.ts";

const options = {
  init: { kind: "integer", default: 4, min: 0, help: "first tokens" },
  local: { kind: "integer", default: 28, min: 1, help: "latest tokens" },
  k: { kind: "integer", default: 64, min: 1, help: "tokens that are chosen between them" },
  block: { kind: "integer", default: 16, min: 1, help: "tokens of a block" },
} as const;
type Options = PolicyOptionValues<typeof options>;

const massPolicy = definePolicy({
  name: "attention-mass",
  summary: "full attention that reports what it gives to chosen tokens",
  module: import.meta.url,
  createProgram: createPolicy,
  options,
});

/** The policy's program; called in the model worker. */
export function createPolicy(given: PolicyOptions): PolicyProgram {
  const settings = given as Options;
  const { local, k, block } = settings;
  return {
    attention: {
      keys: "raw",
      positions: local + 64,
      sizes: { chosen: k, chosenBlocks: Math.floor(k / block) },
      passSizes: ({ capacity }) => ({ blocks: Math.ceil(capacity / block) }),
      attend: (input) => attendAndReport(input, settings),
    },
  };
}

function attendAndReport(input: PolicyInput, settings: Options): PolicyOutput {
  const { pass, key, value, pastKey } = input;
  const { capacity, count } = pass;
  const positions = reshape(range(capacity), [1, capacity]);
  const rotated = { ...input, pastKey: input.rotate(cast(pastKey, "float32"), positions) };
  const { attention, attended, weights } = attendMasked(rotated, scoreRotated(rotated));
  return {
    attention: { ...attention, cached: { key, value } },
    attended,
    report() {
      const ofLast = mean(gather(weights, subtract(count, 1), 1), { axes: [0] });
      const mass = reshape(ofLast, [1, capacity]);
      const group = lastGroup(pass);
      const on = (marks: Tensor): Tensor =>
        reshape(sum(multiply(mass, minimum(marks, 1)), { axes: [1] }), [1]);
      const onChosen = ({ places, valid }: ChosenRows): Tensor => {
        const of = (x: Tensor): Tensor => reshape(gather(x, group), [1, x.shape[2]!]);
        return on(markPlaces(of(places), of(valid), pass));
      };
      const vote = { ...settings, vote: "soft", pool: 1, scoreHeads: "floor" };
      const voted = choosePlaces(input, groupQuery(input, settings.local), vote);
      const between = gather(cast(isBetween(pass, settings), "float32"), group);
      return concat(
        [
          onChosen(addAlways(pass, voted, settings)),
          onChosen(chooseBlocks(input, settings, "chosenBlocks")),
          onChosen(chooseRandom(input, settings)),
          // What no choice is needed for.
          subtract(1, on(between)),
        ],
        0,
      );
    },
  };
}

/** Shares of full attention's mass of one question's last token, means over layers and heads. */
export interface AttentionMass {
  readonly tokens: number;
  readonly blocks: number;
  readonly random: number;
  /** On the first and latest tokens alone. */
  readonly always: number;
}

/** Shares of the mass of the last token of each prompt; remembered. */
export function measureMass(
  context: Pick<ReproductionContext, "remember" | "progress" | "signal">,
  model: LoadedModel,
  prompts: readonly PasskeyPrompt[],
  given: Partial<Options>,
): Promise<AttentionMass[]> {
  const policy: ContextPolicy = massPolicy.create(given as PolicyOptions);
  const settings = { options: policy.options, count: prompts.length };
  return context.remember("attention mass", settings, async () => {
    const view = model.withContextPolicy!(policy);
    const layers = model.config.layers.length;
    const found: AttentionMass[] = [];
    for (const [at, { ids }] of prompts.entries()) {
      context.signal.throwIfAborted();
      context.progress("attention mass", at, prompts.length);
      // [layers, 4]
      const report = (await stepLast(view, ids)).policyReport!;
      const [tokens, blocks, random, always] = [0, 1, 2, 3].map((column) => {
        let total = 0;
        for (let layer = 0; layer < layers; layer++) total += report[layer * 4 + column]!;
        return total / layers;
      });
      found.push({ tokens: tokens!, blocks: blocks!, random: random!, always: always! });
    }
    return found;
  });
}
