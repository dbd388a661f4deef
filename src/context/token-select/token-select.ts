/**
 * TokenSelect (Wu et al., 2025): per-head soft votes choose single tokens of the cache, one set for all heads of a
 * layer; the chosen ones are renumbered, so that rotary positions stay within the trained range.
 */
import {
  attendChosen,
  type ContextPolicy,
  largestPlaces,
  nowhere,
  type PolicyInput,
  type PolicyOptions,
  type PolicyOutput,
  type PolicyProgram,
} from "../../model/index.ts";
import {
  add,
  and,
  broadcastTo,
  cast,
  concat,
  conditional,
  divide,
  greater,
  greaterOrEqual,
  less,
  multiply,
  reshape,
  slice,
  sqrt,
  sum,
  type Tensor,
  where,
} from "../../tensor/index.ts";
import {
  definePolicy,
  type NamedPolicy,
  optionError,
  type PolicyOptionValues,
} from "../policies/define-policy.ts";
import {
  addAlways,
  chunkOf,
  groupAttention,
  groupQuery,
  isBetween,
  scoreHeads,
} from "../policies/group-query.ts";
import { countVotes } from "./votes.ts";

const options = {
  // n_init, n_local, k, c and theta of the paper.
  init: { kind: "integer", default: 128, min: 0, help: "first tokens that are always kept" },
  local: { kind: "integer", default: 512, min: 1, help: "latest tokens that are always kept" },
  k: { kind: "integer", default: 2048, min: 1, help: "tokens that are chosen between them" },
  chunk: {
    kind: "integer",
    default: 0,
    min: 0,
    help: "prompt tokens that share a choice; 0: 512, at most `local`",
  },
  cache: {
    kind: "number",
    default: 0,
    min: 0,
    help: "cosine from which on a decoded token keeps the choice of an earlier one (paper: 0.9); 0: each chooses",
  },
  cacheInPrefill: {
    kind: "flag",
    default: false,
    help: "with `cache`: chunks of the prompt keep choices too",
  },
  vote: {
    kind: "choice",
    default: "soft",
    choices: ["soft", "hard", "sum"],
    help: "softmax per head, each head's own k best counted, or the sum of scores",
  },
  pool: { kind: "integer", default: 1, min: 1, help: "votes are max-pooled over so many tokens" },
  scoreHeads: {
    kind: "choice",
    default: "floor",
    choices: ["floor", "modulo"],
    help: "key head of a query head in the scores; modulo is the authors' kernel",
  },
} as const;

type Options = PolicyOptionValues<typeof options>;
/** Options of `tokenSelect`. */
export type TokenSelectOptions = Partial<Options>;

/** The policy by its name. */
export const tokenSelectPolicy: NamedPolicy = definePolicy({
  name: "token-select",
  summary: "single tokens by a soft vote of the heads, one set a layer",
  module: import.meta.url,
  createProgram: createPolicy,
  options,
  check({ pool, cache, cacheInPrefill }) {
    if (pool % 2 === 0) throw optionError("token-select", "pool", pool, "an odd integer");
    if (cacheInPrefill && cache === 0) {
      throw optionError("token-select", "cacheInPrefill", true, "false where `cache` is 0");
    }
  },
  drafting: ({ cache }) =>
    cache > 0
      ? {
          kind: "excluded",
          why: "with its selection cache each token's choice depends on the last",
        }
      : { kind: "lossless" },
  // A chunk of a prompt may have the choice of any chunk before it.
  reuse: (given) => (given.cacheInPrefill ? "none" : { chunk: chunkOf(given) }),
  promptChunk: chunkOf,
});

/** Attention to the first tokens, the latest ones, and those that the heads vote for. */
export function tokenSelect(given: TokenSelectOptions = {}): ContextPolicy {
  return tokenSelectPolicy.create(given as PolicyOptions);
}

/** The policy's program; called in the model worker. */
export function createPolicy(given: PolicyOptions): PolicyProgram {
  const settings = given as Options;
  const { k, cache } = settings;
  return {
    attention: {
      ...groupAttention("token-select", settings, { chosen: k }),
      isSequential: cache > 0,
      sizes: { chosen: k },
      states: ({ numAttentionHeads, headDim }) =>
        cache > 0
          ? [
              { name: "query", shape: [numAttentionHeads * headDim] },
              { name: "places", shape: ["chosen"], initial: nowhere },
              { name: "held", shape: [1] },
            ]
          : [],
      attend: (input) => attendVoted(input, settings),
    },
  };
}

function attendVoted(input: PolicyInput, settings: Options): PolicyOutput {
  const query = groupQuery(input, settings.local);
  const fresh = (): Tensor => choosePlaces(input, query, settings);
  const cached = settings.cache > 0 ? chooseCached(input, query, { settings, fresh }) : undefined;
  const { groups } = input.pass;
  const chosen = cached ? broadcastTo(cached.places, [groups, "chosen"]) : fresh();
  const rows = addAlways(input.pass, chosen, settings);
  return { ...attendChosen(input, rows), ...cached?.output };
}

/** Places of the `k` candidates with most votes, ascending: int32 `[groups, chosen]`, `nowhere` where fewer. */
export function choosePlaces(
  input: PolicyInput,
  query: Tensor,
  settings: Pick<Options, "init" | "local" | "vote" | "pool" | "scoreHeads">,
): Tensor {
  const candidates = isBetween(input.pass, settings);
  const scores = scoreHeads(input, query, settings.scoreHeads === "modulo");
  const votes = countVotes(scores, candidates, settings);
  return largestPlaces(votes, candidates, "chosen");
}

/** The selection cache: a query close to that of the last choice keeps the choice, while decoding or in prompts too. */
function chooseCached(
  { pass, states }: PolicyInput,
  query: Tensor,
  { settings, fresh }: { readonly settings: Options; readonly fresh: () => Tensor },
): { readonly places: Tensor; readonly output: Pick<PolicyOutput, "states" | "report"> } {
  const { query: before, places: kept, held } = states as Record<string, Tensor>;
  const { init, k, local, cache, cacheInPrefill } = settings;
  // One group: the prompt's chunk, or the one token of a sequential pass.
  const now = reshape(slice(query, { axis: 0, end: 1 }), [-1]);
  const dot = (a: Tensor, b: Tensor): Tensor => sum(multiply(a, b), { keepAxes: true });
  const norms = sqrt(multiply(dot(now, now), dot(before!, before!)));
  const cosine = divide(dot(now, before!), where(greater(norms, 0), norms, 1));
  const seen = add(pass.length, pass.count);
  const chooses = greater(seen, init + k + local);
  const selects = cacheInPrefill
    ? chooses
    : and(greaterOrEqual(pass.length, pass.promptLength), chooses);
  const hit = and(and(selects, greater(held!, 0)), greaterOrEqual(cosine, cache));
  const found = conditional(
    hit,
    () => ({ places: cast(reshape(kept!, [1, "chosen"]), "int32") }),
    () => ({ places: slice(fresh(), { axis: 0, end: 1 }) }),
  );
  const places = reshape(found.places, [1, "chosen"]);
  const missed = and(selects, less(cast(hit, "float32"), 0.5));
  return {
    places,
    output: {
      states: {
        query: where(missed, now, before!),
        places: where(missed, reshape(cast(places, "float32"), ["chosen"]), kept!),
        held: where(missed, 1, held!),
      },
      // 0: everything fits, 1: a miss, 2: a hit; and the cosine, 0 without an earlier choice.
      report: () =>
        concat([add(cast(selects, "float32"), cast(hit, "float32")), multiply(cosine, held!)], 0),
    },
  };
}
