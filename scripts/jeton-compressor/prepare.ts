/**
 * Makes the corpora of `models/jeton-compressor`:
 *
 *     JETON_DATA=path/to/data node --import tsx scripts/jeton-compressor/prepare.ts OUT
 *
 * OUT then holds `prose.jsonl` (whole chapters of Gibbon, public domain), `tasks.jsonl` and `repeats.jsonl` (generated from
 * them), and `held-out.jsonl` (the chapters that jeton-nano was not trained on either).
 */
import { join } from "node:path";
import { writeFileAtomically } from "../../src/checkpoint/index.ts";
import { createRandom } from "../../src/core/index.ts";
import { locateData } from "../../src/data/index.ts";
import { readGibbon } from "../../src/reproduce/data/held-out-chapters.ts";
import { makeRecallTask, type RecallTaskKind } from "../../src/reproduce/data/recall-tasks.ts";
import { taskMaterial } from "../jeton-nano/task-material.ts";

const seed = 1;
/** Generated documents of each kind. */
const count = 4000;

const [out] = process.argv.slice(2);
if (out === undefined) throw new Error("usage: prepare.ts OUT");

const gibbon = await locateData("text/gibbon");
const chapters = async (isHeldOut: boolean): Promise<string[]> =>
  (await readGibbon(gibbon, isHeldOut)).map((paragraphs) => paragraphs.join("\n\n"));
const [prose, heldOut] = [await chapters(false), await chapters(true)];
const { words, filler } = taskMaterial(prose);

/** What is asked for at the end was told a window or more before: it is in embeddings alone. */
const kinds: readonly RecallTaskKind[] = ["key-value", "key-value", "list", "passkey"];
const tasks = Array.from({ length: count }, (_, index) => {
  const random = createRandom(seed, "tasks", index);
  const kind = kinds[random.integer(kinds.length)]!;
  const length = 500 + random.integer(1800);
  const questions = kind === "passkey" ? 1 : 12;
  return makeRecallTask(random, { kind, words, filler, length, questions }).text;
});

/** A passage about as long as a chunk, three times: its second copy can be told from embeddings alone. */
const repeats = Array.from({ length: count }, (_, index) => {
  const random = createRandom(seed, "repeats", index);
  const length = 350 + random.integer(450);
  let passage = "";
  while (passage.length < length) passage += `${filler[random.integer(filler.length)]!} `;
  return `${passage.trim()}\n\n`.repeat(3).trim();
});

for (const [name, documents] of Object.entries({ prose, tasks, repeats, "held-out": heldOut })) {
  const lines = documents.map((text) => JSON.stringify(text)).join("\n");
  await writeFileAtomically(join(out, `${name}.jsonl`), `${lines}\n`);
  const bytes = documents.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  console.error(`${name}: ${documents.length} documents, ${bytes} bytes`);
}
