/**
 * Measures exact byte probabilities: prompts cut inside tokens beside token healing and plain tokens, the
 * probability of whole texts, and the mean of two models with different vocabularies.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { quantile } from "../../core/index.ts";
import { type LoadedModel, loadModel } from "../../model/index.ts";
import { gibbonParagraphs, isHeldOutChapter } from "../../reproduce/data/held-out-chapters.ts";
import {
  defineReproduction,
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
import { type ClaimId, claims } from "./reproduction-claims.ts";
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
import {
  type CutKind,
  describeHealing,
  type HealedCut,
  measureHealing,
  shareOfWords,
} from "./reproduction-healing.ts";
import { tokenBaselines } from "./token-baselines.ts";

type Context = ReproductionContext<ClaimId>;

export const reproduction: Reproduction = defineReproduction({
  system: "exact-byte-probabilities",
  module: import.meta.url,
  models: ["jeton-nano"],
  claims,
  async run(context): Promise<Plot> {
    const model = await loadModel(await context.model(), { format: "f32", exact: false });
    let plot: Plot | undefined;
    try {
      await context.part(async () => {
        plot = await measureHumanEval(context, model);
      });
      await context.part(() => measurePrompts(context, model));
      await context.part(() => measureTexts(context, model));
      if (!context.quick && context.speed) {
        await context.part(() => context.timed(() => measureCost(context, model)));
      }
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
    .slice(0, quick ? 6 : 80);
  const cuts: Cut[][] = [];
  const words: WordCut[][] = [];
  for (const [at, problem] of problems.entries()) {
    context.signal.throwIfAborted();
    context.progress("cuts of HumanEval", at, problems.length);
    cuts.push(await measureCuts(model, problem, { limit: quick ? 8 : 12, seed }));
    if (!quick) words.push(await measureWords(model, problem, { limit: 4, seed }));
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
    reportWords(context, words);
  }
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
  context.report("words-beside-healing", {
    ...measured,
    baseline: share(inside, "token"),
    baselineName: "token healing",
  });
}

/** Paragraphs of a held-out chapter. */
async function heldOutParagraphs(context: Context): Promise<string[]> {
  const gibbon = await context.data("text/gibbon");
  const file = (await readdir(gibbon)).filter(isHeldOutChapter).sort()[0]!;
  const texts = gibbonParagraphs(await readFile(join(gibbon, file), "utf8"));
  return texts.filter((text) => text.length > 300);
}

/** What is written at the ends of prompts of prose, which decides what `jeton run` does. */
async function measurePrompts(context: Context, model: LoadedModel): Promise<void> {
  const { quick, seed } = context;
  const paragraphs = (await heldOutParagraphs(context)).slice(0, quick ? 10 : 40);
  const texts: HealedCut[][] = [];
  for (const [at, text] of paragraphs.entries()) {
    context.signal.throwIfAborted();
    context.progress("ends of prompts", at, paragraphs.length);
    texts.push(await measureHealing(model, text, { count: quick ? 2 : 6, seed }));
  }
  const share = (method: Healing | "other", kinds?: readonly CutKind[]): Sample =>
    shareOfWords(texts, method, kinds);
  const all = { measured: share("exact"), control: share("other") };
  context.report("default-healing", {
    ...all,
    baseline: share("none"),
    baselineName: "no healing",
    details: describeHealing(texts),
  });
  if (quick) return;
  context.report("default-healing-beside-token", {
    ...all,
    baseline: share("token"),
    baselineName: "token healing",
  });
  const ends = ["at a word's end"] as const;
  context.report("default-healing-at-word-ends", {
    measured: share("exact", ends),
    control: share("other", ends),
    baseline: share("none", ends),
    baselineName: "no healing",
  });
}

async function measureTexts(context: Context, model: LoadedModel): Promise<void> {
  const texts = (await heldOutParagraphs(context))
    .map((text) => text.slice(0, context.quick ? 60 : 200))
    .slice(0, context.quick ? 3 : 12);
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
  const { byMember, ensemble, control, parameters } = await measureEnsemble(context, { texts: 24 });
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
  ).slice(0, 25);
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
  // The first text compiles code and fills the vocabulary's tables.
  for (const list of Object.values(times)) list.shift();
  context.report("cost", {
    measured: medianOf(times.bytes),
    baseline: medianOf(times.tokens),
    baselineName: "ordinary generation",
    control: medianOf(times.single),
  });
}

const medianOf = (values: readonly number[]): Sample =>
  statisticOf(values, (some) => quantile(Float64Array.from(some).sort(), 0.5));

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
