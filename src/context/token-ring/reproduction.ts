/** Measures what TokenRing claims and can be counted on one machine: exactness, balance, bytes by direction. */
import { createRandom } from "../../core/index.ts";
import { complete } from "../../generate/index.ts";
import { loadModel } from "../../model/index.ts";
import {
  defineReproduction,
  meanOf,
  type Plot,
  type Reproduction,
  type ReproductionContext,
} from "../../reproduce/index.ts";
import {
  attend,
  createState,
  mergeState,
  type RingArray,
  type RingShape,
} from "./attention-state.ts";
import { sampleRingInput } from "./reproduction-input.ts";
import { prefillInRing, readPrefillCheckpoint } from "./reproduction-prefill.ts";
import { planTokenRing } from "./schedule.ts";
import {
  countCosts,
  ringAttentionBytes,
  simulateRingAttention,
  simulateSchedule,
} from "./simulate-ring.ts";
import { openThreadRing } from "./thread-ring.ts";
import { attendInRing, type RingInput } from "./token-ring.ts";

const claims = [
  {
    id: "exact",
    text: "Largest difference of outputs and log-sum-exps from attention in one process (float64, causal and not, MHA and GQA)",
    paper: { words: "exact; no accuracy is reported" },
    unit: "largest difference",
    units: "rings",
    control: "results of the ranks averaged instead of merged by log-sum-exp",
    direction: "lower",
    effect: "value",
    noEffect: 1e-3,
    reproduced: 1e-12,
    partly: 1e-9,
    quick: { reproduced: 1e-12, partly: 1e-9 },
  },
  {
    id: "prefill",
    text: "Prefill of jeton-nano with its tokens split among ranks: largest difference of any logit from the same prefill on one rank, both in float64",
    paper: { words: "no loss is reported" },
    unit: "largest difference",
    units: "passages",
    control: "the logits of the token before",
    direction: "lower",
    effect: "value",
    noEffect: 0.1,
    reproduced: 1e-9,
    partly: 1e-4,
    quick: { reproduced: 1e-9, partly: 1e-4 },
  },
  {
    id: "balanced",
    text: "Causal: the busiest rank's score entries as a multiple of the mean, counted over the operations, 3 to 16 ranks",
    paper: { words: "zigzag balances causal work" },
    unit: "of the mean",
    units: "ring sizes",
    control: "shards of consecutive tokens",
    direction: "lower",
    effect: "value",
    noEffect: 2,
    reproduced: 1.01,
    partly: 1.2,
    quick: { reproduced: 1.01, partly: 1.2 },
  },
  {
    id: "half-the-bytes",
    text: "Multi-head attention: bytes of one step over the busiest link, not causal, measured on messages that were sent, against Ring Attention's, 3 to 8 ranks",
    paper: {
      value: 1.9,
      unit: "times",
      compares: "effect",
      setting: "7.6 ms against 3.5 to 4.6 ms a step on 4 GPUs: 1.7 to 2.2",
    },
    unit: "bytes",
    units: "ring sizes",
    control: "grouped-query attention, 4 query heads to one of keys",
    direction: "lower",
    effect: "ratio",
    reproduced: 1.7,
    partly: 1.2,
    quick: { reproduced: 1.7, partly: 1.2 },
  },
  {
    id: "overlap",
    text: "Seconds of causal attention by four threads over links shaped to 4 MB/s: messages travel while ranks compute, against the same messages waited for first",
    paper: { words: "communication overlaps compute; no figure is given for it alone" },
    unit: "ms",
    units: "runs",
    control: "links that are not shaped, with and without waiting",
    direction: "lower",
    effect: "ratio",
    reproduced: 1.15,
    partly: 1.05,
    quick: "full-only",
    speed: true,
  },
  {
    id: "simulated-speedup",
    text: "Simulated, not measured: seconds of an attention on the paper's machine (4 GPUs, 24,000 tokens, 12 to 15 GB/s for each link), against Ring Attention's",
    paper: {
      value: 1.9,
      unit: "times",
      compares: "effect",
      setting: "read off the steps of a trace",
    },
    unit: "ms",
    units: "bandwidths",
    control: "one port for all that a GPU sends",
    direction: "lower",
    effect: "ratio",
    reproduced: 1.4,
    // Above what one port reaches, 1.12: its last results travel while others still compute.
    partly: 1.2,
    quick: { reproduced: 1.4, partly: 1.2 },
  },
] as const;

type Context = ReproductionContext<(typeof claims)[number]["id"]>;

const mha: RingShape = { heads: 8, kvHeads: 8, headDim: 16 };
const gqa: RingShape = { heads: 8, kvHeads: 2, headDim: 16 };

export const reproduction: Reproduction = defineReproduction({
  system: "token-ring",
  module: import.meta.url,
  models: ["jeton-nano"],
  claims,
  async run(context) {
    await measureExactness(context);
    measureBalance(context);
    await measureBytes(context);
    if (context.speed && !context.quick) await context.timed(() => measureOverlap(context));
    await context.part(() => measurePrefill(context));
    return simulate(context);
  },
});

function sampleInput(seed: number, tokens: number, shape: RingShape): RingInput {
  const random = createRandom(seed, "token-ring", tokens, shape.kvHeads);
  return sampleRingInput(random, tokens, shape, 2);
}

function differenceOf(found: RingArray, expected: RingArray): number {
  let most = 0;
  for (let i = 0; i < expected.length; i++)
    most = Math.max(most, Math.abs(found[i]! - expected[i]!));
  return most;
}

async function measureExactness(context: Context): Promise<void> {
  const [measured, averaged]: [number[], number[]] = [[], []];
  for (const ranks of context.quick ? [2, 3, 4] : [2, 3, 4, 5, 8, 16]) {
    for (const shape of [mha, gqa]) {
      for (const causal of [true, false]) {
        context.progress(`attending over ${ranks} ranks`);
        const input = sampleInput(context.seed, 8 * ranks, shape);
        const whole = attend(input.queries, input.keys, input.values, input, causal);
        const ring = await attendInRing(input, { ranks, causal });
        measured.push(
          Math.max(
            differenceOf(ring.output, whole.output),
            differenceOf(ring.logSumExp, whole.logSumExp),
          ),
        );
        averaged.push(differenceOf(averageBlocks(input, ranks), whole.output));
      }
    }
  }
  context.report("exact", { measured: meanOf(measured), control: meanOf(averaged) });
}

/** What comes out if results of parts are averaged: each part counts the same, high or low as its scores are. */
function averageBlocks(input: RingInput, ranks: number): RingArray {
  const rows = input.keys.length / ranks;
  const tokens = input.queries.length / (input.heads * input.headDim);
  const state = createState(input.queries, tokens, input);
  for (let rank = 0; rank < ranks; rank++) {
    const cut = (array: RingArray): RingArray => array.subarray(rank * rows, (rank + 1) * rows);
    const part = attend(input.queries, cut(input.keys), cut(input.values), input);
    mergeState(state, { ...part, logSumExp: part.logSumExp.map(() => 0) }, input);
  }
  return state.output;
}

function measureBalance(context: Context): void {
  const sizes = [3, 4, 5, 6, 8, 12, 16];
  const busiest = (scores: readonly number[]): number =>
    (Math.max(...scores) * scores.length) / scores.reduce((sum, value) => sum + value, 0);
  const zigzag = sizes.map((ranks) => {
    const costs = countCosts(planTokenRing({ ranks, causal: true }), {
      ...mha,
      tokens: 4096 * ranks,
    });
    return busiest(costs.map(({ scores }) => scores));
  });
  const consecutive = sizes.map((ranks) =>
    busiest(Array.from({ length: ranks }, (_, rank) => 4096 * (rank * 4096 + 4097 / 2))),
  );
  context.report("balanced", { measured: meanOf(zigzag), control: meanOf(consecutive) });
}

async function measureBytes(context: Context): Promise<void> {
  const sizes = [3, 4, 5, 6, 8];
  const measured: number[] = [];
  for (const ranks of sizes) {
    const { traffic } = await attendInRing(sampleInput(context.seed, 8 * ranks, mha), {
      ranks,
      causal: false,
    });
    // A link carries queries in every step but the last, or results of one step.
    const steps = traffic.map(({ kind, bytes }) =>
      kind === "query" ? bytes / (ranks - 1) : bytes,
    );
    measured.push(Math.max(...steps));
  }
  const ring = (shape: RingShape): number[] =>
    sizes.map((ranks) => {
      const tokens = 8 * ranks;
      return ringAttentionBytes(ranks, { ...shape, tokens, queryBytes: 8 }) / (ranks - 1);
    });
  // Grouped keys make Ring Attention's messages smaller and leave TokenRing's as they are.
  const [many, few] = [ring(mha), ring(gqa)];
  context.report("half-the-bytes", {
    measured: meanOf(measured),
    baseline: meanOf(many),
    baselineName: "Ring Attention",
    control: meanOf(measured.map((bytes, i) => (bytes * many[i]!) / few[i]!)),
  });
}

async function measureOverlap(context: Context): Promise<void> {
  const input = sampleInput(context.seed, 1024, mha);
  const times: Record<"shaped" | "free", { overlapped: number[]; waited: number[] }> = {
    shaped: { overlapped: [], waited: [] },
    free: { overlapped: [], waited: [] },
  };
  await using shaped = await openThreadRing({ ranks: 4, bytesPerSecond: 4e6 });
  await using free = await openThreadRing({ ranks: 4 });
  const rings = { shaped, free };
  for (let run = -1; run < 10; run++) {
    context.progress("overlap", run, 10);
    for (const link of ["shaped", "free"] as const) {
      for (const overlap of [true, false]) {
        const begin = performance.now();
        await rings[link].attend(input, { overlap });
        // The first run warms up.
        const list = times[link][overlap ? "overlapped" : "waited"];
        if (run >= 0) list.push(performance.now() - begin);
      }
    }
  }
  const { overlapped, waited } = times.shaped;
  context.report("overlap", {
    measured: meanOf(overlapped),
    baseline: meanOf(waited),
    baselineName: "waited for first",
    // The baseline, faster by the ratio that links without a limit give.
    control: meanOf(
      waited.map((ms, i) => (ms * times.free.overlapped[i]!) / times.free.waited[i]!),
    ),
  });
}

async function measurePrefill(context: Context): Promise<void> {
  const folder = await context.model();
  const checkpoint = await readPrefillCheckpoint(folder);
  const model = await loadModel(folder, { threads: 1, slots: 1 });
  const passages: number[][] = [];
  try {
    for (const [i, prompt] of [
      "The emperor",
      "Once",
      "const value",
      "In the year",
      "A river",
    ].entries()) {
      const { ids } = await complete(model, prompt, { maxTokens: 48, seed: i, ignoreEos: true });
      passages.push([...ids].slice(0, 48));
    }
  } finally {
    await model.close();
  }
  const [measured, shifted]: [number[], number[]] = [[], []];
  for (const [i, ids] of passages.entries()) {
    context.progress("prefill in a ring", i, passages.length);
    const expected = await prefillInRing(checkpoint, ids, 1);
    const ring = await prefillInRing(checkpoint, ids, [2, 3, 4, 6, 8][i]!);
    const width = expected.length / ids.length;
    measured.push(differenceOf(ring, expected));
    shifted.push(differenceOf(ring.subarray(0, -width), expected.subarray(width)));
  }
  context.report("prefill", { measured: meanOf(measured), control: meanOf(shifted) });
}

function simulate(context: Context): Plot {
  const sizes = { tokens: 24_000, heads: 32, kvHeads: 32, headDim: 128 };
  const machines = [12, 12.5, 13, 13.5, 14, 14.5, 15].map((gigabytes) => ({
    bandwidth: gigabytes * 1e9,
    scoresPerSecond: 36e6 / 2.5e-3,
  }));
  const schedule = planTokenRing({ ranks: 4, causal: false });
  const inMilliseconds = (seconds: number): number => 1000 * seconds;
  const measured = machines.map((machine) =>
    inMilliseconds(simulateSchedule(schedule, sizes, machine)),
  );
  const ring = machines.map((machine) => inMilliseconds(simulateRingAttention(4, sizes, machine)));
  const shared = machines.map((machine) =>
    inMilliseconds(simulateSchedule(schedule, sizes, { ...machine, network: "port" })),
  );
  context.report("simulated-speedup", {
    measured: meanOf(measured),
    baseline: meanOf(ring),
    baselineName: "Ring Attention",
    control: meanOf(shared),
  });
  const [machine] = machines;
  const counts = [2, 3, 4, 6, 8, 12, 16];
  const seriesOf = (name: string, secondsOf: (ranks: number) => number) => ({
    name,
    points: counts.map((ranks) => ({ x: ranks, y: inMilliseconds(secondsOf(ranks)) })),
  });
  const token = (ranks: number, network: "links" | "port"): number =>
    simulateSchedule(planTokenRing({ ranks, causal: false }), sizes, { ...machine!, network });
  return {
    title: "TokenRing, simulated: 24,000 tokens, 32 heads of 128, 12 GB/s",
    panels: [
      {
        title: "One attention",
        kind: "line",
        x: { title: "ranks" },
        y: { title: "ms", zero: true },
        series: [
          seriesOf("TokenRing, a link for each pair", (ranks) => token(ranks, "links")),
          seriesOf("TokenRing, one port a rank", (ranks) => token(ranks, "port")),
          seriesOf("Ring Attention", (ranks) => simulateRingAttention(ranks, sizes, machine!)),
        ],
      },
    ],
  };
}
