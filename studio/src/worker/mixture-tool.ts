/** A tokenizer learned from a mixture of two texts, and the mixture inferred from its merges. */
import { inferMixture, readMergeList, trainTokenizer } from "jeton/tokenizer";
import { type Tool, writeForm } from "./tokenizer-tools.ts";
import type { Tools } from "./tool-types.ts";

/** Single bytes, before any merge. */
const bytes = 256;
/** Copies of both texts that the training text is made of. */
const copies = 40;

/** Trains on `share` of the first text and the rest of the second one, and infers the shares. */
export const inferMixtureOf: Tool<"inferMixture"> = async (input) => {
  const { first, second, share, merges } = input;
  if (first.trim() === "" || second.trim() === "") throw new Error("Both samples need some text.");
  const size = (text: string): number => new TextEncoder().encode(text).length;
  const whole = Math.max(size(first), size(second)) * copies;
  const [timesFirst, timesSecond] = [
    Math.round((share * whole) / size(first)),
    Math.round(((1 - share) * whole) / size(second)),
  ];
  const texts = [
    ...new Array<string>(timesFirst).fill(first),
    ...new Array<string>(timesSecond).fill(second),
  ];
  const kind = "byte-level-bpe";
  const { json } = await trainTokenizer({ kind, texts, vocabSize: bytes + merges });
  const samples = [
    { name: "first", texts: [first] },
    { name: "second", texts: [second] },
  ];
  const { shares } = await inferMixture(readMergeList(json), samples, { parts: 0 });
  const amount = timesFirst * size(first);
  return {
    mixed: amount / (amount + timesSecond * size(second)),
    inferred: shares.find(({ name }) => name === "first")!.share,
    merges: mergesOf(json),
  };
};

function mergesOf(json: Readonly<Record<string, unknown>>): Tools["inferMixture"][1]["merges"] {
  const { merges } = json["model"] as { merges: (string | [string, string])[] };
  return merges.map((pair) => {
    const [left, right] = typeof pair === "string" ? pair.split(" ") : pair;
    return writeForm(`${left}${right}`);
  });
}
