/** What is claimed of exact byte probabilities, and when it counts as reproduced. */
import { type Claim, halfOf } from "../../reproduce/index.ts";

const cutsInside = "HumanEval infilling (random spans), jeton-nano, prompts cut inside a token";
const otherCut = "the distribution after another cut of the same problem";
// A problem's own words repeat, so that another cut of it is often continued by the right word.
const otherProblem = "what is written, after exact healing, at a cut of another problem";
const otherText = "what is written, after exact healing, at a cut of another text";
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
const prose = {
  paper: { words: "not in the paper" },
  unit: "%",
  units: "texts",
  control: otherText,
  direction: "higher",
  effect: "difference",
} as const;
const beyondPlain = { reproduced: 10, partly: 2 };
const beyondHealing = { reproduced: 0.5, partly: 0.05 };
const fewerBits = { reproduced: 1.02, partly: 1.001 };
const together = { reproduced: 1.005, partly: 1.0005 };

/** Identifier of a claim. */
export type ClaimId =
  | "next-byte-beside-plain"
  | "next-byte-beside-healing"
  | "surprise-beside-healing"
  | "words-beside-plain"
  | "words-beside-healing"
  | "default-healing"
  | "default-healing-beside-token"
  | "default-healing-at-word-ends"
  | "whole-texts"
  | "ensemble-beside-mean"
  | "ensemble-beside-better"
  | "cost";

export const claims: readonly Claim<ClaimId>[] = [
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
    quick: "full-only",
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
    text: "Ours, what `jeton run` does by default rests on it: whole words written as they stand (greedy, exact healing beside none), held-out chapters of Gibbon, a third of the prompts each cut inside a word, at its end and behind the space that follows, jeton-nano",
    ...prose,
    reproduced: 5,
    partly: 1,
    quick: { reproduced: 2.5, partly: 0.5 },
  },
  {
    id: "default-healing-beside-token",
    text: "Ours: the same beside token healing, no worse",
    ...prose,
    noWorse: true,
    reproduced: -0.5,
    partly: -2,
    quick: "full-only",
  },
  {
    id: "default-healing-at-word-ends",
    text: "Ours: the same beside none where a prompt ends with a whole word, so that nothing is to be healed, no worse",
    ...prose,
    noWorse: true,
    reproduced: -0.5,
    partly: -2,
    quick: "full-only",
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
    text: "The mean of two models of 1.2 million parameters with 768 and 3,072 tokens, trained on the same chapters, beside the mean of their bits per byte (which no mean of probabilities exceeds), held-out chapters",
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
    text: "Median time per byte of generation by bytes beside that of ordinary generation, jeton-nano, one pass over the likely tokens' prefixes",
    paper: { words: "one pass for each byte" },
    unit: "ms/byte",
    units: "requests",
    control: "a pass for each byte",
    direction: "lower",
    effect: "ratio",
    noWorse: true,
    // A pass for each byte reaches 0.45.
    reproduced: 0.6,
    partly: 0.5,
    quick: "full-only",
    speed: true,
  },
];
