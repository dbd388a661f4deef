/**
 * What the lexinvariant paper claims, at the scale of small alphabets: a text of letters (27 symbols),
 * the same text with its letters in six classes, and random Markov chains.
 */

import { readFile } from "node:fs/promises";
import { createRandom } from "../../core/index.ts";
import { defineReproduction, type Panel, type Reproduction } from "../../reproduce/index.ts";
import { mean, ranges, series } from "./reproduction-curves.ts";
import { countNgrams } from "./reproduction-language.ts";
import { type Context, classes, classSize } from "./reproduction-models.ts";
import { measureChain, measureIdeal } from "./reproduction-observer.ts";
import { measureTexts } from "./reproduction-texts.ts";
import { foldText, initialParameters, letters, symbolDecoder } from "./reproduction-training.ts";
import { openSymbolModel } from "./symbol-model.ts";

const corpusName = "text/tinyshakespeare.txt";

export const reproduction: Reproduction = defineReproduction({
  system: "lexinvariant",
  claims: [
    {
      id: "exactly-invariant",
      text: "Probabilities that differ, by a single bit, after one of 100 renamings of all symbols (canonical variant, jeton's own; random weights).",
      paper: "0 by definition; the paper's construction is invariant in distribution",
      unit: "numbers",
      direction: "lower",
      effect: "value",
      reproduced: 0,
      partly: 0,
    },
    {
      id: "ideal-convergence",
      text: "An ideal observer who knows the language but not the names of its six symbols (5-grams of Shakespeare's letter classes; exact mixture over 720 keys): L1 distance of its predictions to those with known names, at positions 128 to 191 beside positions 1 to 15.",
      paper: "falls at least as fast as (d/T)^(1/4): theorem",
      unit: "L1 distance",
      direction: "lower",
      effect: "ratio",
      reproduced: 4,
      partly: 2,
    },
    {
      id: "approaches-ideal",
      text: "A lexinvariant decoder trained on one random Markov chain (6 symbols): loss at positions 32 to 63 beyond the exact observer's, which no such model can beat.",
      paper: "in-context deciphering is approximate Bayesian inference: no number",
      unit: "nats",
      direction: "lower",
      effect: "value",
      reproduced: 0.05,
      partly: 0.15,
    },
    {
      id: "gap-closes",
      text: "Share of the loss that lexinvariance costs at positions 1 to 15 which is gone at positions 128 to 191 (letter classes, held-out Shakespeare).",
      paper:
        "the perplexity gap falls from 9 times the standard model's perplexity to 0.69 (characters, 512 positions)",
      unit: "%",
      direction: "higher",
      effect: "value",
      reproduced: 50,
      partly: 25,
      fullOnly: true,
    },
    {
      id: "gap-closes-letters",
      text: "The same for all 27 letters: excess perplexity over the standard model's at positions 128 to 191, beside that at positions 1 to 15.",
      paper: "(3.38 - 2.00) / 2.00 = 0.69 at position 511, from 9",
      unit: "times",
      direction: "lower",
      effect: "ratio",
      reproduced: 2,
      partly: 1.2,
      fullOnly: true,
    },
    {
      id: "cipher",
      text: "Symbols of a substitution cipher that a probe of the frozen model names rightly, by majority over the last 100 of 192 symbols (letter classes).",
      paper: 99.6,
      unit: "%",
      direction: "higher",
      effect: "value",
      reproduced: 80,
      partly: 50,
      fullOnly: true,
    },
    {
      id: "lookup",
      text: "Accuracy on 1,000 tables of six pairs of random letters: the value beside a key.",
      paper: "38.3 to 48.5 % (standard) against 59.7 to 91.8 % (lexinvariant), characters",
      unit: "%",
      direction: "higher",
      effect: "difference",
      reproduced: 20,
      partly: 5,
      fullOnly: true,
    },
    {
      id: "permutation",
      text: "Symbols right when a reordering of three random letters, shown six times, is applied to new ones (1,000 prompts).",
      paper: "20.8 to 27.7 % (standard) against 59.4 to 71.6 % (lexinvariant), characters",
      unit: "%",
      direction: "higher",
      effect: "difference",
      reproduced: 20,
      partly: 5,
      fullOnly: true,
    },
    {
      id: "regularizer",
      text: "A standard model trained with one in five occurrences renamed: mean accuracy on both tasks beside the same model without.",
      paper: "with p = 0.2 a BIG-bench task is 25 % more likely to improve than to get worse",
      unit: "%",
      direction: "higher",
      effect: "difference",
      reproduced: 5,
      partly: 1,
      fullOnly: true,
    },
    {
      id: "renaming",
      text: "Loss that renaming all letters of a text costs the lexinvariant model (one draw of its vectors before, another after).",
      paper: "0 by definition",
      unit: "nats",
      direction: "lower",
      effect: "value",
      reproduced: 0.02,
      partly: 0.1,
      fullOnly: true,
    },
  ],
  async run(reproduce) {
    const { quick, report, part } = reproduce;
    report("exactly-invariant", { measured: await countDifferences(reproduce) });
    const chain = await measureChain(reproduce);
    const { excess, ideal, learned } = chain.loss;
    report("approaches-ideal", {
      measured: excess,
      baseline: chain.unadapted,
      baselineName: "excess of a model that learns nothing but the chain's frequencies in context",
      details: { ideal, learned },
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
    const distances = ranges.map(([from, to]) => mean(observed.distance.subarray(from, to)));
    report("ideal-convergence", {
      measured: distances.at(-1)!,
      baseline: distances[0]!,
      baselineName: "positions 1 to 15",
      details: { ranges, distances },
    });
    const panels: Panel[] = [
      {
        title: "An ideal observer deciphers while it reads",
        kind: "line",
        x: { title: "position", scale: "log" },
        y: { title: "L1 distance to known names", zero: true },
        series: [
          series("5-grams of letter classes", observed.distance),
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
        ],
      },
    ];
    if (!quick) panels.push(...(await measureTexts(reproduce, characters, inClasses, split)));
    return { title: "Lexinvariant language models", panels };
  },
});

/** Numbers that change when all symbols are renamed; the sequences hold few and many symbols. */
async function countDifferences({ seed }: Context): Promise<number> {
  const config = symbolDecoder(classSize);
  const parameters = initialParameters(config, "canonical", seed);
  await using model = await openSymbolModel({
    config,
    embeddings: "canonical",
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
  let differences = 0;
  for (let renaming = 0; renaming < 100; renaming++) {
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
  }
  return differences;
}
