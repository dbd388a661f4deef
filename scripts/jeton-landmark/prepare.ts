/**
 * Makes the corpora of `models/jeton-landmark`:
 *
 *     JETON_DATA=path/to/data node --import tsx scripts/jeton-landmark/prepare.ts OUT
 *
 * OUT then holds `prose.jsonl` and `keys.jsonl`: passages of Gibbon's history (public domain) as they are, and passages in
 * which a number of five digits is told several times, as a statement or in answer to the question for it.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomically } from "../../src/checkpoint/index.ts";
import { createRandom, type Random } from "../../src/core/index.ts";
import { locateData } from "../../src/data/index.ts";
import { readGibbon } from "../../src/reproduce/data/held-out-chapters.ts";

const seed = 1;
/** Characters of prose in a passage: about two training windows with what is told in it. */
const passageLength = 700;
const tellings = 6;

const [out] = process.argv.slice(2);
if (out === undefined) throw new Error("usage: prepare.ts OUT");

const passages: string[][] = [];
for (const paragraphs of await readGibbon(await locateData("text/gibbon"), false)) {
  const words = paragraphs.join(" ").split(" ");
  let passage: string[] = [];
  let length = 0;
  for (const word of words) {
    passage.push(word);
    length += word.length + 1;
    if (length < passageLength) continue;
    passages.push(passage);
    passage = [];
    length = 0;
  }
}

/** A passage that tells a number at random places. */
function tellKey(words: readonly string[], random: Random): string {
  const key = String(10_000 + random.integer(90_000));
  const cuts = Array.from({ length: tellings }, () => random.integer(words.length + 1));
  cuts.sort((a, b) => a - b);
  const parts = cuts.map((cut, at) => [
    ...words.slice(at === 0 ? 0 : cuts[at - 1]!, cut),
    // What tells it first is never the question.
    at > 0 && random.uniform() < 0.5
      ? `What is the pass key? The pass key is ${key}.`
      : `The pass key is ${key}. Remember it.`,
  ]);
  return [...parts.flat(), ...words.slice(cuts.at(-1)!)].join(" ");
}

await mkdir(out, { recursive: true });
const write = (name: string, texts: readonly string[]): Promise<void> =>
  writeFileAtomically(
    join(out, name),
    texts.map((text) => `${JSON.stringify({ text })}\n`).join(""),
  );
await write(
  "prose.jsonl",
  passages.map((words) => words.join(" ")),
);
await write(
  "keys.jsonl",
  passages.map((words, at) => tellKey(words, createRandom(seed, "key", at))),
);
