/**
 * What the lexinvariant paper claims, at the scale of small alphabets: a text of letters (27 symbols),
 * the same text with its letters in six classes, and random Markov chains.
 */

import { readFile } from "node:fs/promises";
import { createRandom } from "../../core/index.ts";
import {
  defineReproduction,
  meanOf,
  type Panel,
  type Reproduction,
  type Sample,
  wholeValue,
} from "../../reproduce/index.ts";
import { mean, meanByPosition, ranges, series } from "./reproduction-curves.ts";
import { countNgrams } from "./reproduction-language.ts";
import { type Context, classes, classSize } from "./reproduction-models.ts";
import { measureChain, measureIdeal } from "./reproduction-observer.ts";
import { measureTexts } from "./reproduction-texts.ts";
import { foldText, initialParameters, letters, symbolDecoder } from "./reproduction-training.ts";
import { openSymbolModel } from "./symbol-model.ts";

const corpusName = "text/tinyshakespeare.txt";

export const reproduction: Reproduction = defineReproduction({
  system: "lexinvariant",
  module: import.meta.url,
  claims: [
    {
      id: "exactly-invariant",
      text: "Probabilities that differ, by a single bit, after one of 100 renamings of all symbols (canonical variant, jeton's own; random weights).",
      paper: {
        value: 0,
        unit: "numbers",
        compares: "measured",
        setting: "by definition; the construction is invariant in distribution",
      },
      units: "renamings",
      control: "a model with a learned row for each symbol",
      unit: "numbers",
      direction: "lower",
      effect: "value",
      noEffect: 100,
      reproduced: 0,
      partly: 0,
      quick: { reproduced: 0, partly: 0 },
    },
    {
      id: "ideal-convergence",
      text: "An ideal observer who knows the language but not the names of its six symbols (5-grams of Shakespeare's letter classes; exact mixture over 720 keys): L1 distance of its predictions to those with known names, at positions 128 to 191 beside positions 1 to 15.",
      paper: { words: "falls at least as fast as (d/T)^(1/4): theorem" },
      units: "windows",
      control: "positions 1 to 15 of the next window",
      unit: "L1 distance",
      direction: "lower",
      effect: "ratio",
      reproduced: 4,
      partly: 2,
      quick: { reproduced: 4, partly: 2 },
    },
    {
      id: "approaches-ideal",
      text: "A lexinvariant decoder trained on one random Markov chain (6 symbols): loss at positions 32 to 63 beyond the exact observer's, which no such model can beat.",
      paper: { words: "in-context deciphering is approximate Bayesian inference: no number" },
      units: "sequences",
      control: "counted unigrams of the sequence",
      unit: "nats",
      direction: "lower",
      effect: "value",
      noEffect: 0.5,
      reproduced: 0.05,
      partly: 0.15,
      quick: { reproduced: 0.1, partly: 0.3 },
    },
    {
      id: "gap-closes",
      text: "Share of the loss that lexinvariance costs at positions 1 to 15 which is gone at positions 128 to 191 (letter classes, held-out Shakespeare).",
      paper: {
        words:
          "the perplexity gap falls from 9 times the standard model's perplexity to 0.69 (characters, 512 positions)",
      },
      units: "windows",
      control: "counted unigrams of the window",
      unit: "%",
      direction: "higher",
      effect: "value",
      noEffect: 0,
      reproduced: 50,
      partly: 25,
      quick: "full-only",
    },
    {
      id: "gap-closes-letters",
      text: "The same for all 27 letters: excess perplexity over the standard model's at positions 128 to 191, beside that at positions 1 to 15.",
      paper: {
        value: 13,
        unit: "times",
        compares: "effect",
        setting: "from 9 to (3.38 - 2.00) / 2.00 = 0.69 at position 511",
      },
      units: "windows",
      control: "counted unigrams of the window",
      unit: "times",
      direction: "lower",
      effect: "ratio",
      reproduced: 2,
      partly: 1.2,
      quick: "full-only",
    },
    {
      id: "cipher",
      text: "Symbols of a substitution cipher that a probe of the frozen model names rightly, by majority over the last 100 of 192 symbols (letter classes).",
      paper: { value: 99.6, unit: "%", compares: "measured", setting: "26 letters" },
      units: "ciphers",
      control: "symbols ranked by frequency in the same window",
      unit: "%",
      direction: "higher",
      effect: "value",
      noEffect: 16.7,
      reproduced: 80,
      partly: 50,
      quick: "full-only",
    },
    {
      id: "lookup",
      text: "Accuracy on 1,000 tables of six pairs of random letters: the value beside a key. The circuit for it is planted in both models: half of the input is the symbol before, and what attention fetches begins as a copy of itself; the control has it as well.",
      paper: {
        value: 21.4,
        unit: "%",
        compares: "effect",
        setting: "38.3 (standard) to 59.7 %, the least of its range; to 48.5 and 91.8 %",
      },
      units: "tables",
      control: "the same model before its training",
      unit: "%",
      direction: "higher",
      effect: "difference",
      reproduced: 20,
      partly: 5,
      quick: "full-only",
    },
    {
      id: "permutation",
      text: "Symbols right when a reordering of three random letters, shown six times, is applied to new ones (1,000 prompts).",
      paper: {
        value: 38.6,
        unit: "%",
        compares: "effect",
        setting: "20.8 (standard) to 59.4 %, the least of its range; to 27.7 and 71.6 %",
      },
      units: "prompts",
      control: "the same model before its training",
      unit: "%",
      direction: "higher",
      effect: "difference",
      reproduced: 20,
      partly: 5,
      quick: "full-only",
    },
    {
      id: "regularizer",
      text: "A standard model trained with one in five occurrences renamed: mean accuracy on both tasks beside the same model without.",
      paper: {
        words: "with p = 0.2 a BIG-bench task is 25 % more likely to improve than to get worse",
      },
      units: "prompts",
      control: "an untrained lexinvariant model",
      unit: "%",
      direction: "higher",
      effect: "difference",
      reproduced: 5,
      partly: 1,
      quick: "full-only",
    },
    {
      id: "renaming",
      text: "Loss that renaming all letters of a text costs the lexinvariant model (one draw of its vectors before, another after).",
      paper: { value: 0, unit: "nats", compares: "measured", setting: "by definition" },
      units: "windows",
      control: "the standard model",
      unit: "nats",
      direction: "lower",
      effect: "value",
      noEffect: 1,
      reproduced: 0.02,
      partly: 0.1,
      quick: "full-only",
    },
  ],
  async run(reproduce) {
    const { quick, report, part } = reproduce;
    report("exactly-invariant", {
      measured: await countDifferences(reproduce, "canonical"),
      control: await countDifferences(reproduce, "learned"),
    });
    const chain = await measureChain(reproduce);
    report("approaches-ideal", {
      measured: meanOf(chain.excess.learned),
      baseline: meanOf(chain.excess.bigrams),
      baselineName: "counted bigrams of the sequence",
      control: meanOf(chain.excess.unigrams),
    });
    const text = await part(() => reproduce.data(corpusName));
    if (text === undefined) return;
    const characters = foldText(await readFile(text, "utf8"));
    const split = Math.floor(0.9 * characters.length);
    const inClasses = characters.map((id) =>
      classes.findIndex((one) => one.includes(letters[id]!)),
    );
    const ngrams = countNgrams(inClasses.subarray(0, split), classes.length, 5);
    const observed = measureIdeal(reproduce, ngrams, inClasses.subarray(split));
    const distances = ranges.map(([from, to]) =>
      meanOf(observed.windows.map((window) => mean(window.subarray(from, to)))),
    );
    const first = observed.windows.map((window) => mean(window.subarray(...ranges[0]!)));
    report("ideal-convergence", {
      measured: distances.at(-1)!,
      baseline: distances[0]!,
      baselineName: "positions 1 to 15",
      control: meanOf([...first.slice(1), first[0]!]),
      details: { ranges, distances: distances.map(wholeValue) },
    });
    const panels: Panel[] = [
      {
        title: "An ideal observer deciphers while it reads",
        kind: "line",
        x: { title: "position", scale: "log" },
        y: { title: "L1 distance to known names", zero: true },
        series: [
          series("5-grams of letter classes", meanByPosition(observed.windows)),
          series("random Markov chain", chain.distance),
        ],
      },
      {
        title: "A trained decoder approaches it (Markov chain)",
        kind: "line",
        x: { title: "position", scale: "log" },
        y: { title: "nats a symbol" },
        series: [
          series("lexinvariant decoder", chain.losses.learned),
          series("ideal observer", chain.losses.ideal, true),
          series("names known", chain.losses.known, true),
          series("counted unigrams", chain.losses.unigrams, true),
          series("counted bigrams", chain.losses.bigrams, true),
        ],
      },
    ];
    if (!quick) panels.push(...(await measureTexts(reproduce, characters, inClasses, split)));
    return { title: "Lexinvariant language models", panels };
  },
});

/** Numbers that change when all symbols are renamed; the sequences hold few and many symbols. */
async function countDifferences(
  { seed }: Context,
  embeddings: "canonical" | "learned",
): Promise<Sample> {
  const config = symbolDecoder(classSize);
  const parameters = initialParameters(config, embeddings, seed);
  await using model = await openSymbolModel({
    config,
    embeddings,
    parameters,
    threads: 1,
    inline: true,
  });
  const { symbols } = classSize;
  const time = 48;
  const random = createRandom(seed, "renamings");
  const ids = Int32Array.from({ length: 3 * time }, (_, at) => {
    return random.integer([2, 4, symbols][Math.floor(at / time)]!);
  });
  const before = await model.read({ batch: 3, time, ids }, createRandom(seed, "vectors"));
  const counts: number[] = [];
  for (let renaming = 0; renaming < 100; renaming++) {
    let differences = 0;
    const names = random.shuffle(Array.from({ length: symbols }, (_, id) => id));
    const renamed = { batch: 3, time, ids: ids.map((id) => names[id]!) };
    const after = await model.read(renamed, createRandom(seed, "vectors"));
    for (let at = 0; at < ids.length; at++) {
      for (let id = 0; id < symbols; id++) {
        const one = before.logProbabilities[at * symbols + id];
        const other = after.logProbabilities[at * symbols + names[id]!];
        if (one !== other) differences++;
      }
    }
    counts.push(differences);
  }
  return meanOf(counts);
}
