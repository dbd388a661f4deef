/**
 * Measures exact byte probabilities: prompts cut inside tokens beside token healing and plain tokens, the
 * probability of whole texts, and the mean of two models with different vocabularies.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type LoadedModel, loadModel } from "../../model/index.ts";
import { gibbonParagraphs, isHeldOutChapter } from "../../reproduce/data/held-out-chapters.ts";
import {
  defineReproduction,
  halfOf,
  meanOf,
  type Plot,
  type RatioParts,
  type Reproduction,
  type ReproductionContext,
  ratioOfSums,
  type Sample,
  statisticOf,
  wholeValue,
} from "../../reproduce/index.ts";
import { scoreBytes } from "../bytes/score-bytes.ts";
import { openModelRows, type TokenRows } from "../bytes/token-rows.ts";
import { complete } from "../generate.ts";
import { score } from "../score.ts";
import type { Healing } from "./heal-prompt.ts";
import { openByteDistribution } from "./open-byte-distribution.ts";
import {
  beginsWithWord,
  type Cut,
  type Method,
  measureCuts,
  measureWords,
  partsOf,
  readProblems,
  type WordCut,
} from "./reproduction-cuts.ts";
import { measureEnsemble } from "./reproduction-ensemble.ts";
import { tokenBaselines } from "./token-baselines.ts";

const cutsInside = "HumanEval infilling (random spans), jeton-nano, prompts cut inside a token";
const otherCut = "the distribution after another cut of the same problem";
// A problem's own words repeat, so that another cut of it is often continued by the right word.
const otherProblem = "what is written, after exact healing, at a cut of another problem";
const rates = {
  paper: {
    value: 63.9,
    unit: "%",
    setting: "pass rate of code infilling, 7B; 45.0 % by tokens, healing in between",
  },
  unit: "%",
  units: "problems",
  control: otherCut,
  direction: "higher",
  effect: "difference",
} as const;
const surprise = {
  paper: { words: "not reported alone" },
  unit: "bits",
  units: "problems",
  control: otherCut,
  direction: "lower",
} as const;
const beyondPlain = { reproduced: 10, partly: 2 };
const beyondHealing = { reproduced: 0.5, partly: 0.05 };
const fewerBits = { reproduced: 1.02, partly: 1.001 };
const together = { reproduced: 1.005, partly: 1.0005 };

const claims = [
  {
    id: "next-byte-beside-plain",
    text: `Share of cuts at which the most probable next byte is the true one, beside the first byte of the next token: ${cutsInside}`,
    ...rates,
    ...beyondPlain,
    quick: halfOf(beyondPlain, 0),
  },
  {
    id: "next-byte-beside-healing",
    text: `The same beside token healing: ${cutsInside}`,
    ...rates,
    ...beyondHealing,
    quick: "full-only",
  },
  {
    id: "surprise-beside-healing",
    text: `Bits of the true next byte (at most 20) beside token healing: ${cutsInside}`,
    ...surprise,
    effect: "ratio",
    ...fewerBits,
    quick: "full-only",
  },
  {
    id: "words-beside-plain",
    text: `Words whose rest is written as it stands, greedy generation after exact healing beside none: ${cutsInside} and before or within a word`,
    ...rates,
    control: otherProblem,
    ...beyondPlain,
    quick: halfOf(beyondPlain, 0),
  },
  {
    id: "words-beside-healing",
    text: "The same beside token healing",
    ...rates,
    control: otherProblem,
    ...beyondHealing,
    quick: "full-only",
  },
  {
    id: "default-healing",
    text: "Ours: over all cuts before or within a word, also those between tokens, exact healing loses nothing beside none: what `jeton run` does by default rests on it",
    ...rates,
    paper: { words: "not in the paper" },
    control: otherProblem,
    noWorse: true,
    reproduced: 0,
    partly: -1,
    quick: { reproduced: -5, partly: -10 },
  },
  {
    id: "whole-texts",
    text: "Bits per byte of held-out chapters of Gibbon are no more than those of their one encoding, jeton-nano: other coverings only add",
    paper: { words: "follows from the lemma" },
    unit: "bits/byte",
    units: "texts",
    control: "bytes by the first byte of the next token, at most 20 bits each",
    direction: "lower",
    effect: "ratio",
    noWorse: true,
    reproduced: 1,
    partly: 0.999,
    quick: { reproduced: 0.999, partly: 0.99 },
  },
  {
    id: "ensemble-beside-mean",
    text: "The mean of two models of 1.2 million parameters with 768 and 3,072 tokens, trained on the same chapters, beside the mean of their bits per byte, held-out chapters",
    paper: { value: 3.7, unit: "%", setting: "best gain over the better member, tasks, 7B" },
    unit: "bits/byte",
    units: "texts",
    control: "the better member and uniform bytes",
    direction: "lower",
    effect: "ratio",
    ...together,
    quick: "full-only",
  },
  {
    id: "ensemble-beside-better",
    text: "The same beside the better member",
    paper: { value: 3.7, unit: "%", setting: "best gain over the better member, tasks, 7B" },
    unit: "bits/byte",
    units: "texts",
    control: "the better member and uniform bytes",
    direction: "lower",
    effect: "ratio",
    ...together,
    quick: "full-only",
  },
  {
    id: "cost",
    text: "Time per byte of generation by bytes beside that of ordinary generation, jeton-nano, one pass over the likely tokens' prefixes",
    paper: { words: "one pass for each byte" },
    unit: "ms/byte",
    units: "requests",
    control: "a pass for each byte",
    direction: "lower",
    effect: "ratio",
    noWorse: true,
    reproduced: 0.4,
    partly: 0.33,
    quick: "full-only",
    speed: true,
  },
] as const;

type Context = ReproductionContext<(typeof claims)[number]["id"]>;

export const reproduction: Reproduction = defineReproduction({
  system: "exact-byte-probabilities",
  module: import.meta.url,
  claims,
  async run(context): Promise<Plot> {
    const model = await loadModel(await context.model(), { format: "f32", exact: false });
    let plot: Plot | undefined;
    try {
      await context.part(async () => {
        plot = await measureHumanEval(context, model);
      });
      await context.part(() => measureTexts(context, model));
      if (!context.quick && context.speed) await context.part(() => measureCost(context, model));
    } finally {
      await model.close();
    }
    if (!context.quick) await context.part(() => reportEnsemble(context));
    return plot ?? { title: "Exact byte probabilities", panels: [] };
  },
});

async function measureHumanEval(context: Context, model: LoadedModel): Promise<Plot> {
  const { quick, seed } = context;
  const path = await context.data("code/humaneval-infilling-random-span-light.jsonl.gz");
  const problems = (await readProblems(path))
    .filter(({ prompt }) => model.tokenizer.countTokens(prompt) < model.contextLength - 128)
    .slice(0, quick ? 6 : 120);
  const cuts: Cut[][] = [];
  const words: WordCut[][] = [];
  for (const [at, problem] of problems.entries()) {
    context.signal.throwIfAborted();
    context.progress("cuts of HumanEval", at, problems.length);
    cuts.push(await measureCuts(model, problem, { limit: quick ? 8 : 16, seed }));
    words.push(await measureWords(model, problem, { limit: quick ? 2 : 4, seed }));
  }
  const inside = cuts
    .map((some) => some.filter((cut) => cut.isInside))
    .filter((some) => some.length > 0);
  const hits = (method: Method): Sample =>
    ratioOfSums(inside.map((some) => partsOf(some, method).hits));
  const bits = (method: Method): Sample =>
    ratioOfSums(inside.map((some) => partsOf(some, method).bits));
  const counts = { cuts: inside.flat().length, ofAllCuts: cuts.flat().length };
  const measured = { measured: hits("exact"), control: hits("other") };
  context.report("next-byte-beside-plain", {
    ...measured,
    baseline: hits("plain"),
    baselineName: "plain tokens",
    details: counts,
  });
  if (!quick) {
    const baselineName = "token healing";
    context.report("next-byte-beside-healing", {
      ...measured,
      baseline: hits("healing"),
      baselineName,
    });
    context.report("surprise-beside-healing", {
      measured: bits("exact"),
      baseline: bits("healing"),
      baselineName,
      control: bits("other"),
      details: { plainTokens: wholeValue(bits("plain")) },
    });
  }
  reportWords(context, words);
  return plotOf(cuts.flat(), words.flat());
}

/** Words as they stand, by method: the continuation of the same cut, or of a cut of another problem. */
function reportWords(context: Context, words: readonly (readonly WordCut[])[]): void {
  const share = (of: readonly (readonly WordCut[])[], method: Healing | "other"): Sample =>
    ratioOfSums(
      of.map((some, problem): RatioParts => {
        const others = of[(problem + Math.ceil(of.length / 2)) % of.length]!;
        const textOf = (cut: WordCut, at: number): string =>
          method === "other" ? others[at % others.length]!.texts.exact : cut.texts[method];
        const hits = some.filter((cut, at) => beginsWithWord(textOf(cut, at), cut.word)).length;
        return { sum: 100 * hits, weight: some.length };
      }),
    );
  const all = words.filter((some) => some.length > 0);
  const inside = words
    .map((some) => some.filter((cut) => cut.isInside))
    .filter((some) => some.length > 0);
  const measured = { measured: share(inside, "exact"), control: share(inside, "other") };
  const details = { cuts: inside.flat().length };
  context.report("words-beside-plain", {
    ...measured,
    baseline: share(inside, "none"),
    baselineName: "no healing",
    details,
  });
  if (!context.quick) {
    const baselineName = "token healing";
    context.report("words-beside-healing", {
      ...measured,
      baseline: share(inside, "token"),
      baselineName,
    });
  }
  context.report("default-healing", {
    measured: share(all, "exact"),
    baseline: share(all, "none"),
    baselineName: "no healing",
    control: share(all, "other"),
    details: { tokenHealing: wholeValue(share(all, "token")), cuts: all.flat().length },
  });
}

async function measureTexts(context: Context, model: LoadedModel): Promise<void> {
  const gibbon = await context.data("text/gibbon");
  const file = (await readdir(gibbon)).filter(isHeldOutChapter).sort()[0]!;
  const texts = gibbonParagraphs(await readFile(join(gibbon, file), "utf8"))
    .filter((text) => text.length > 300)
    .map((text) => text.slice(0, context.quick ? 60 : 200))
    .slice(0, context.quick ? 3 : 20);
  const distribution = await openByteDistribution(model);
  const rows = await openModelRows(model);
  const parts: Record<"exact" | "tokens" | "plain", RatioParts[]> = {
    exact: [],
    tokens: [],
    plain: [],
  };
  for (const [at, text] of texts.entries()) {
    context.progress("whole texts", at, texts.length);
    const exact = await scoreBytes(distribution, text, { signal: context.signal });
    const tokens = await score(model, text, { signal: context.signal });
    const weight = exact.bytes;
    parts.exact.push({ sum: -exact.logProbability / Math.LN2, weight });
    parts.tokens.push({ sum: -tokens.logProbability / Math.LN2, weight });
    parts.plain.push({ sum: await plainBits(model, rows, text), weight });
  }
  await rows.close();
  await distribution.close();
  context.report("whole-texts", {
    measured: ratioOfSums(parts.exact),
    baseline: ratioOfSums(parts.tokens),
    baselineName: "the one encoding",
    control: ratioOfSums(parts.plain),
  });
}

/** Bits of a text's characters by the first byte of the next token, each at most 20. */
async function plainBits(model: LoadedModel, rows: TokenRows, text: string): Promise<number> {
  let bits = 0;
  for (let at = 0; at < text.length; at++) {
    const { plain } = await tokenBaselines(rows, model.tokenizer, text.slice(0, at));
    const [byte] = new TextEncoder().encode(text.slice(at, at + 2));
    bits += Math.min(20, -plain[byte!]! / Math.LN2);
  }
  return bits;
}

async function reportEnsemble(context: Context): Promise<void> {
  const { byMember, ensemble, control, parameters } = await measureEnsemble(context, { texts: 40 });
  const samples = Object.values(byMember).map((parts) => ratioOfSums(parts));
  const better = samples.reduce((best, one) => (wholeValue(one) < wholeValue(best) ? one : best));
  const mean = statisticOf(
    ensemble.map((_, text) => Object.values(byMember).map((parts) => parts[text]!)),
    (some) => {
      const bits = some.flat().reduce((sum, part) => sum + part.sum, 0);
      return bits / some.flat().reduce((sum, part) => sum + part.weight, 0);
    },
  );
  const details = {
    parameters,
    bitsPerByte: Object.fromEntries(
      Object.entries(byMember).map(([name, parts]) => [name, wholeValue(ratioOfSums(parts))]),
    ),
  };
  const found = { measured: ratioOfSums(ensemble), control: ratioOfSums(control), details };
  context.report("ensemble-beside-mean", {
    ...found,
    baseline: mean,
    baselineName: "the members' mean",
  });
  context.report("ensemble-beside-better", {
    ...found,
    baseline: better,
    baselineName: "the better member",
  });
}

/** Time per byte of the same sampled texts, by tokens and by bytes, in turns. */
async function measureCost(context: Context, model: LoadedModel): Promise<void> {
  const problems = (
    await readProblems(await context.data("code/humaneval-infilling-random-span-light.jsonl.gz"))
  ).slice(0, 12);
  const times: Record<"tokens" | "bytes" | "single", number[]> = {
    tokens: [],
    bytes: [],
    single: [],
  };
  for (const [at, { prompt }] of problems.entries()) {
    context.progress("time per byte", at, problems.length);
    const options = { seed: context.seed, temperature: 0.8, maxTokens: 32, ignoreEos: true };
    const written = await complete(model, prompt, options);
    const text = new TextEncoder().encode(written.text);
    times.tokens.push((1000 * written.decodeSeconds) / text.length);
    for (const [name, maxAhead] of [
      ["bytes", undefined],
      ["single", 0],
    ] as const) {
      const distribution = await openByteDistribution(
        model,
        maxAhead === undefined ? {} : { maxAhead },
      );
      await distribution.prefill(new TextEncoder().encode(prompt));
      await distribution.logProbabilities();
      const began = performance.now();
      for (const byte of text) {
        await distribution.advance(byte);
        await distribution.logProbabilities();
      }
      times[name].push((performance.now() - began) / text.length);
      await distribution.close();
    }
  }
  context.report("cost", {
    measured: meanOf(times.bytes),
    baseline: meanOf(times.tokens),
    baselineName: "ordinary generation",
    control: meanOf(times.single),
  });
}

function plotOf(cuts: readonly Cut[], words: readonly WordCut[]): Plot {
  const names = { exact: "exact", healing: "token healing", plain: "plain tokens" } as const;
  const rate = (method: Method, isInside: boolean): number => {
    const some = cuts.filter((cut) => cut.isInside === isInside);
    return some.length === 0 ? 0 : partsOf(some, method).hits.sum / some.length;
  };
  const wordRate = (method: "exact" | "token" | "none"): number =>
    words.length === 0
      ? 0
      : (100 * words.filter(({ texts, word }) => beginsWithWord(texts[method], word)).length) /
        words.length;
  return {
    title: "Prompts cut at any byte, HumanEval infilling, jeton-nano",
    panels: [
      {
        title: "Most probable next byte is the true one",
        kind: "bar",
        x: { title: "cut", scale: "category" },
        y: { title: "% of cuts" },
        series: (Object.keys(names) as (keyof typeof names)[]).map((method) => ({
          name: names[method],
          points: [
            { x: "inside a token", y: rate(method, true) },
            { x: "between tokens", y: rate(method, false) },
          ],
        })),
      },
      {
        title: "Rest of the word, greedy",
        kind: "bar",
        x: { title: "healing", scale: "category" },
        y: { title: "% of words" },
        series: [
          {
            name: "all cuts",
            points: (["exact", "token", "none"] as const).map((x) => ({ x, y: wordRate(x) })),
          },
        ],
      },
    ],
  };
}
