/**
 * What OpenMoE found about routers, at the scale of a model of four layers with eight experts in two of
 * them, trained on Shakespeare's plays with a vocabulary of 512 tokens.
 */
import { readFile } from "node:fs/promises";
import { createRandom } from "../../core/index.ts";
import {
  defineReproduction,
  meanOf,
  type Reproduction,
  type ReproductionContext,
  type Sample,
} from "../../reproduce/index.ts";
import { loadTokenizer } from "../../tokenizer/index.ts";
import {
  cutSequences,
  exchangeExperts,
  initialize,
  context as length,
  lossesOf,
  smallModel,
  traceSmall,
  trainSmall,
} from "./reproduction-training.ts";
import { capacityOf } from "./route-with-capacity.ts";
import {
  dropByPosition,
  expertLoads,
  type RoutingFactor,
  routingSimilarity,
  specialization,
  staticTable,
  tableAgreement,
} from "./routing-reports.ts";
import type { RoutingTrace } from "./routing-trace.ts";

type Ids =
  | "token-specialization"
  | "early-routing"
  | "drops-at-the-end"
  | "no-starvation"
  | "less-loss-than-dense";
type Context = ReproductionContext<Ids>;

const corpusName = "text/tinyshakespeare.txt";
const tokenizerName = "models/tinystories-260k";
/** The last sparse layer: specialization is strongest there. */
const layer = 1;

export const reproduction: Reproduction = defineReproduction({
  system: "openmoe",
  module: import.meta.url,
  claims: [
    {
      id: "token-specialization",
      text: "First choices on held-out text that a table from token id to expert predicts, made from other text, beside a table from position to expert.",
      paper: { words: "experts specialize by token id, not by domain or position: no number" },
      units: "sequences",
      control: "a table in which the ids have changed places",
      unit: "%",
      direction: "higher",
      effect: "difference",
      reproduced: 20,
      partly: 5,
      quick: { reproduced: 20, partly: 5 },
    },
    {
      id: "early-routing",
      text: "Cosine similarity of each token id's routing after a fifth of the training to that at its end, beside the untrained router's.",
      paper: { words: "routing is learned early and stays: no number" },
      units: "token ids",
      control: "other token ids of the early router",
      unit: "cosine",
      direction: "higher",
      effect: "difference",
      reproduced: 0.1,
      partly: 0.02,
      quick: { reproduced: 0.1, partly: 0.02 },
    },
    {
      id: "drops-at-the-end",
      text: "By how much more choices are dropped in the last quarter of a held-out sequence than in the first, at the training capacity of 1.25.",
      paper: { words: "drops rise towards the end of a sequence: no number" },
      units: "sequences",
      control: "tokens that queue in an order of chance",
      unit: "percentage points",
      direction: "higher",
      effect: "value",
      noEffect: 0,
      reproduced: 10,
      partly: 3,
      quick: { reproduced: 10, partly: 3 },
    },
    {
      id: "no-starvation",
      text: "Load of the least used expert, as a share of an even load, on held-out text: trained with the balance loss, beside without.",
      paper: { words: "the balance loss keeps all experts in use: no number" },
      units: "seeds and layers",
      control: "no balance loss, the other layer",
      unit: "%",
      direction: "higher",
      effect: "difference",
      reproduced: 20,
      partly: 5,
      quick: "full-only",
    },
    {
      id: "less-loss-than-dense",
      text: "Loss on held-out text beside a dense model of equal active size, trained with the same steps on the same text, three seeds.",
      paper: { words: "more quality for the same active parameters: on tasks, not at equal data" },
      units: "sequences",
      control: "each expert takes the tokens of the one before it",
      unit: "nats/token",
      direction: "lower",
      effect: "ratio",
      reproduced: 1.02,
      partly: 1.002,
      quick: "full-only",
    },
  ],
  async run(reproduce: Context) {
    const { seed, quick, report } = reproduce;
    const tokenizer = await loadTokenizer(await reproduce.data(tokenizerName));
    const text = await readFile(await reproduce.data(corpusName), "utf8");
    const ids = Int32Array.from(tokenizer.encodeIds(text, { addSpecialTokens: false }));
    const split = Math.floor(0.9 * ids.length);
    const training = ids.subarray(0, split);
    const config = smallModel(tokenizer.vocabSize, {});
    const steps = quick ? 100 : 1500;
    const trained = (name: string, of = config, count = steps, own = seed) =>
      trainSmall(reproduce, { name, config: of, steps: count, seed: own, text: training });
    const final = await trained("whole");
    const early = await trained("fifth", config, steps / 5);
    const count = quick ? 48 : 160;
    const heldOut = cutSequences(ids.subarray(split), count);
    const seen = cutSequences(training, 2 * count);
    const onHeldOut = await traceSmall(config, final, heldOut);
    reportTables(reproduce, await traceSmall(config, final, seen), onHeldOut);
    reportEarly(reproduce, onHeldOut, {
      early: await traceSmall(config, early, heldOut),
      untrained: await traceSmall(config, initialize(config, seed), heldOut),
    });
    reportDrops(reproduce, onHeldOut);
    if (quick) return;
    const { vocabSize } = tokenizer;
    const loads = { with: [] as number[], without: [] as number[] };
    const losses = { sparse: [] as number[][], dense: [] as number[][], moved: [] as number[][] };
    for (let own = seed; own < seed + 3; own++) {
      for (const which of ["with", "without"] as const) {
        const of = smallModel(vocabSize, { balanceLoss: which === "with" ? 0.01 : 0 });
        const parameters = await trained(`${which}-balance-${own - seed}`, of, 600, own);
        const routing = await traceSmall(of, parameters, heldOut);
        for (let at = 0; at < routing.layers; at++) {
          loads[which].push(
            100 * routing.experts * Math.min(...expertLoads(routing, { layer: at })),
          );
        }
        if (which === "without") continue;
        losses.sparse.push(await lossesOf(of, parameters, heldOut));
        losses.moved.push(await lossesOf(of, exchangeExperts(of, parameters), heldOut));
      }
      const dense = smallModel(vocabSize, "dense");
      const parameters = await trained(`dense-${own - seed}`, dense, 600, own);
      losses.dense.push(await lossesOf(dense, parameters, heldOut));
    }
    report("no-starvation", {
      measured: meanOf(loads.with),
      baseline: meanOf(loads.without),
      baselineName: "without the balance loss",
      control: meanOf([...loads.without.slice(1), loads.without[0]!]),
    });
    report("less-loss-than-dense", {
      measured: meanOfSeeds(losses.sparse),
      baseline: meanOfSeeds(losses.dense),
      baselineName: "a dense model of equal active size",
      control: meanOfSeeds(losses.moved),
      details: { bySeed: losses.sparse.map(mean), denseBySeed: losses.dense.map(mean) },
    });
  },
});

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Losses by seed, then sequence: one unit for each sequence, its mean over the seeds. */
function meanOfSeeds(bySeed: readonly (readonly number[])[]): Sample {
  return meanOf(bySeed[0]!.map((_, at) => mean(bySeed.map((losses) => losses[at]!))));
}

/** How well a table of token ids predicts the first choice, beside a table of positions. */
function reportTables({ seed, report }: Context, seen: RoutingTrace, heldOut: RoutingTrace): void {
  const percent = (shares: readonly number[]): number[] => shares.map((share) => 100 * share);
  const table = staticTable(seen, { layer });
  const keys = [...table.keys()];
  const shuffled = createRandom(seed, "ids").shuffle([...table.values()]);
  const chance = new Map(keys.map((id, at) => [id, shuffled[at]!]));
  // A position in the place of the id.
  const places = (routing: RoutingTrace): RoutingTrace => ({ ...routing, ids: routing.positions });
  const information = (by: RoutingFactor): number =>
    specialization(heldOut, by, { layer, minCount: 16 }).information;
  report("token-specialization", {
    measured: meanOf(percent(tableAgreement(heldOut, table, { layer }))),
    baseline: meanOf(
      percent(tableAgreement(places(heldOut), staticTable(places(seen), { layer }), { layer })),
    ),
    baselineName: "a table of positions",
    control: meanOf(percent(tableAgreement(heldOut, chance, { layer }))),
    details: { information: { token: information("token"), position: information("position") } },
  });
}

function reportEarly(
  { report }: Context,
  final: RoutingTrace,
  { early, untrained }: { readonly early: RoutingTrace; readonly untrained: RoutingTrace },
): void {
  const options = { layer, minCount: 16 };
  const { byToken } = routingSimilarity(early, final, options);
  // The next id's choices in the place of each one's own.
  const order = specialization(early, "token", options).values.map(({ value }) => value);
  const next = new Map(order.map((id, at) => [id, order[(at + 1) % order.length]!]));
  const moved = { ...early, ids: early.ids.map((id) => next.get(id) ?? -1) };
  report("early-routing", {
    measured: meanOf(byToken),
    baseline: meanOf(routingSimilarity(untrained, final, options).byToken),
    baselineName: "the untrained router",
    control: meanOf(routingSimilarity(moved, final, options).byToken),
  });
}

function reportDrops({ seed, report }: Context, routing: RoutingTrace): void {
  const { experts, perToken } = routing;
  const rule = { rule: "floor", factor: 1.25, least: 4 } as const;
  const capacity = (tokens: number): number => capacityOf(rule, { tokens, experts, perToken })!;
  const random = createRandom(seed, "queue");
  const inOrder = Array.from({ length }, (_, at) => at);
  const rises = (orderOf: () => readonly number[]): number[] =>
    Array.from({ length: routing.ids.length / length }, (_, sequence) => {
      const queue = orderOf().map((at) => sequence * length + at);
      const ranges = dropByPosition(takeTokens(routing, queue), { capacity, layer });
      const [first, , , last] = ranges.map(({ byChoice }) => byChoice.reduce((a, b) => a + b, 0));
      return (100 * (last! - first!)) / perToken;
    });
  report("drops-at-the-end", {
    measured: meanOf(rises(() => inOrder)),
    control: meanOf(rises(() => random.shuffle([...inOrder]))),
    details: { capacity: capacity(length), quarters: dropByPosition(routing, { capacity, layer }) },
  });
}

/** Some tokens of a trace, in the order in which they queue, as one sequence. */
function takeTokens(trace: RoutingTrace, tokens: readonly number[]): RoutingTrace {
  const width = trace.layers * trace.perToken;
  const take = (values: Int32Array): Int32Array => Int32Array.from(tokens, (at) => values[at]!);
  const choices = tokens.flatMap((at) => [...trace.choices.subarray(at * width, (at + 1) * width)]);
  return {
    ...trace,
    ids: take(trace.ids),
    positions: take(trace.positions),
    sequences: new Int32Array(tokens.length),
    domains: take(trace.domains),
    choices: Int32Array.from(choices),
    weights: new Float32Array(choices.length),
  };
}
