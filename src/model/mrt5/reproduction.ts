/** What the MrT5 paper claims, at the scale of random letters and of small models. */
import { createRandom } from "../../core/index.ts";
import {
  defineReproduction,
  meanOf,
  type Reproduction,
  type ReproductionContext,
  ratioOfSums,
  type Sample,
  statisticOf,
  wholeValue,
} from "../../reproduce/index.ts";
import { measureSpans, type SpanResults, spanTarget } from "./reproduction-spans.ts";
import { timeReading } from "./reproduction-speed.ts";
import {
  type Evaluated,
  evaluatePairs,
  type PairTraining,
  type SmallSize,
  trainPairs,
  type Way,
} from "./reproduction-training.ts";
import { isVowel, vowelRemoval } from "./tasks.ts";

const vowelSize: SmallSize = {
  width: 64,
  heads: 4,
  feedForward: 128,
  encoderLayers: 2,
  decoderLayers: 2,
  layer: 1,
  vocabSize: 131,
};

/** Share of vowels among random letters, a "#" and an end. */
const vowelShare = 0.18;
const textLength = 26;
const spanText =
  "15 % hidden in spans of about 20 bytes, target 40 % deleted, 128 bytes, three seeds";

export const reproduction: Reproduction = defineReproduction({
  system: "mrt5",
  module: import.meta.url,
  claims: [
    {
      id: "reading-time",
      text: "Time to read 1,024 bytes (12 encoder layers of ByT5-small's proportions at a quarter of its width, random weights, and the keys and values for the decoder) where half of the positions are deleted behind the third layer.",
      paper: {
        value: 1.48,
        unit: "times",
        compares: "effect",
        setting: "44.3 to 30.0 ms for encoder and decoder of ByT5-small, target 0.5",
      },
      units: "rounds",
      control: "the gate as a mask alone, at full length",
      unit: "ms",
      direction: "lower",
      effect: "ratio",
      reproduced: 1.3,
      partly: 1.1,
      quick: { reproduced: 1.2, partly: 1.05 },
      speed: true,
    },
    {
      id: "spans-loss",
      text: `Bits per byte of spans that are hidden in held-out prose (Gibbon, ${spanText}), with the positions gone that the gate deletes, beside the same model without deletion.`,
      paper: {
        words: "0.70 to 0.74 bits per byte with 49.5 % deleted (large model)",
      },
      units: "texts",
      control: "the gated model asked about the spans of another text",
      unit: "bits per byte",
      direction: "lower",
      effect: "ratio",
      noWorse: true,
      reproduced: 0.98,
      partly: 0.95,
      quick: "full-only",
    },
    {
      id: "spans-beside-random",
      text: "The same beside a model that deletes as many positions at random.",
      paper: { words: "random deletion loses more at every rate: no number" },
      units: "texts",
      control: "the gated model asked about the spans of another text",
      unit: "bits per byte",
      direction: "lower",
      effect: "ratio",
      reproduced: 1.01,
      partly: 1.002,
      quick: "full-only",
    },
    {
      id: "spans-rate",
      text: "Share of positions of held-out prose that are gone behind the gate, distance from the middle of 30 to 60 %.",
      paper: { words: "targets of 30 to 70 % are reached" },
      units: "texts",
      control: "a gate that was not trained, which keeps everything",
      unit: "points",
      direction: "lower",
      effect: "value",
      noEffect: 45,
      reproduced: 15,
      partly: 20,
      quick: "full-only",
    },
    {
      id: "vowels-found",
      text: "Vowel removal: share of the vowels that the learned gate deletes (the task does not need them).",
      paper: {
        words:
          "the gate deletes 18.6 to 20.1 % of the symbols, of which about 19 to 20 % are vowels",
      },
      units: "texts",
      control: "the same number of positions deleted at random",
      unit: "%",
      direction: "higher",
      effect: "value",
      noEffect: 20,
      reproduced: 90,
      partly: 60,
      quick: "full-only",
    },
    {
      id: "vowels-right",
      text: "Vowel removal: whole targets that are right (teacher forcing, hard deletion) beside a model that deletes at random, equal target rate, steps and data.",
      paper: {
        words: "99.92 % with the gate, 99.93 % without deletion; no number for random deletion",
      },
      units: "texts",
      control: "the model that deletes at random",
      unit: "%",
      direction: "higher",
      effect: "difference",
      reproduced: 30,
      partly: 10,
      quick: "full-only",
    },
    {
      id: "vowels-loss",
      text: "Vowel removal: whole targets right that the gate costs beside the same model without deletion.",
      paper: {
        value: 0.01,
        unit: "points",
        compares: "effect",
        setting: "99.93 to 99.92 % with 18.6 % deleted",
      },
      units: "texts",
      control: "the model that deletes at random",
      unit: "points",
      direction: "lower",
      effect: "value",
      noEffect: 50,
      reproduced: 2,
      partly: 10,
      quick: "full-only",
    },
    {
      id: "rate",
      text: "Distance of the share deleted on held-out texts from the controller's target.",
      paper: { words: "the controller holds its targets of 30 to 70 %: no number" },
      units: "texts",
      control: "a gate that was not trained, which keeps everything",
      unit: "points",
      direction: "lower",
      effect: "value",
      noEffect: 10,
      reproduced: 2,
      partly: 5,
      quick: "full-only",
    },
  ],
  async run(reproduce) {
    const { report, quick, speed } = reproduce;
    if (speed) {
      await reproduce.timed(async () => {
        const times = await timeReading(reproduce);
        report("reading-time", {
          measured: medianOf(times.hard),
          baseline: medianOf(times.none),
          baselineName: "nothing deleted",
          control: medianOf(times.soft),
          details: { deleted: times.deleted },
        });
      });
    }
    if (quick) return;
    await reproduce.part(() => reportSpans(reproduce));
    const gate = await measureVowels(reproduce, "gate");
    const random = await measureVowels(reproduce, "random");
    const none = await measureVowels(reproduce, "none");
    report("vowels-found", { measured: meanOf(gate.found), control: meanOf(random.found) });
    report("vowels-right", {
      measured: meanOf(gate.right),
      baseline: meanOf(random.right),
      baselineName: "random deletion",
      control: meanOf(random.right),
      details: { deleted: { gate: gate.rate, random: random.rate } },
    });
    report("vowels-loss", {
      measured: meanOf(none.right.map((right, at) => right - gate.right[at]!)),
      control: meanOf(none.right.map((right, at) => right - random.right[at]!)),
    });
    report("rate", {
      measured: distanceTo(gate.deleted),
      control: distanceTo(gate.deleted.map(() => 0)),
    });
  },
});

/** What deletion costs and saves in span corruption. */
async function reportSpans(context: ReproductionContext): Promise<void> {
  const results = await measureSpans(context, 3);
  const bits = (way: keyof SpanResults): Sample =>
    ratioOfSums(results.flatMap((seed) => seed[way].bits));
  const deleted = results.flatMap(({ gate }) => gate.deleted);
  const measured = { measured: bits("gate"), control: bits("mismatched") };
  context.report("spans-loss", {
    ...measured,
    baseline: bits("none"),
    baselineName: "nothing deleted",
    details: {
      bySeed: results.map((seed) =>
        Object.fromEntries(
          Object.entries(seed).map(([way, { bits: parts }]) => [
            way,
            wholeValue(ratioOfSums(parts)),
          ]),
        ),
      ),
    },
  });
  context.report("spans-beside-random", {
    ...measured,
    baseline: bits("random"),
    baselineName: "random deletion",
  });
  const distance = (shares: readonly number[]): Sample =>
    statisticOf(shares, (some) =>
      Math.abs(100 * (some.reduce((a, b) => a + b, 0) / some.length - 0.45)),
    );
  context.report("spans-rate", {
    measured: distance(deleted),
    control: distance(deleted.map(() => 0)),
    details: { target: spanTarget },
  });
}

const medianOf = (values: readonly number[]): Sample =>
  statisticOf(values, (some) => [...some].sort((a, b) => a - b)[Math.floor(some.length / 2)]!);

const distanceTo = (shares: readonly number[]): Sample =>
  statisticOf(shares, (some) =>
    Math.abs(100 * (some.reduce((a, b) => a + b, 0) / some.length - vowelShare)),
  );

interface VowelResult {
  /** Per text, in percent: vowels that were deleted; 100 where the whole target is right. */
  readonly found: readonly number[];
  readonly right: readonly number[];
  readonly deleted: readonly number[];
  readonly rate: number;
}

/** Trains three models and evaluates each on texts of its own. */
async function measureVowels(context: ReproductionContext, way: Way): Promise<VowelResult> {
  const settings = {
    size: vowelSize,
    steps: 5400,
    batch: 16,
    learningRate: 2e-3,
    target: vowelShare,
    // The weight stays within what the paper gives these tasks (1e-4 to 1.5e-2): pushed harder, a small gate deletes
    // everything softly at once, and what has no weight has no gradient by which it could come back.
    proportional: 0.02,
    scores: 0.5,
    delay: 1200,
  };
  const results: VowelResult[] = [];
  for (let run = 0; run < 3; run++) {
    const seed = context.seed + run;
    const name = `${way}, seed ${seed}`;
    results.push(
      await context.remember(name, { way, ...settings, run }, async () => {
        const training: PairTraining = {
          ...settings,
          name,
          way,
          seed,
          draw: (random) => vowelRemoval(textLength, random),
        };
        const trained = await trainPairs(context, training);
        const random = createRandom(seed, "held out");
        const pairs = Array.from({ length: 200 }, () => vowelRemoval(textLength, random));
        const evaluated = await evaluatePairs(trained, way, pairs, vowelShare);
        return describe(evaluated, pairs, trained.rate);
      }),
    );
  }
  return {
    found: results.flatMap(({ found }) => found),
    right: results.flatMap(({ right }) => right),
    deleted: results.flatMap(({ deleted }) => deleted),
    rate: results.reduce((sum, { rate }) => sum + rate, 0) / results.length,
  };
}

function describe(
  { right, kept, deleted }: Evaluated,
  pairs: readonly { readonly source: readonly number[] }[],
  rate: number,
): VowelResult {
  const found = pairs.map(({ source }, index) => {
    const vowels = source.flatMap((id, place) => (isVowel(id) ? [place] : []));
    const gone = vowels.filter((place) => !kept[index]!.has(place));
    return vowels.length === 0 ? 100 : (100 * gone.length) / vowels.length;
  });
  return { found, right: right.map((one) => 100 * one), deleted, rate };
}
