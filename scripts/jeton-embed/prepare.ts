/**
 * Makes what `models/jeton-embed` learns from, and its first weights:
 *
 *     JETON_DATA=path/to/data node --import tsx scripts/jeton-embed/prepare.ts OUT
 *
 * OUT then holds `pairs.jsonl`, `held-out.jsonl`, `initial/` (a checkpoint folder with its tokenizer) and
 * `sources.json`. Only text whose licence allows giving weights away goes in: public-domain prose, comments of
 * packages under MIT, BSD and Apache licences, and word vectors in the public domain (PDDL).
 */
import { mkdir, readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { openSafetensors, writeFileAtomically } from "../../src/checkpoint/index.ts";
import { createRandom } from "../../src/core/index.ts";
import { targetFolder } from "../../src/data/index.ts";
import { gibbonParagraphs, isHeldOutChapter } from "../../src/reproduce/data/held-out-chapters.ts";
import { writeInitialModel } from "./initial-model.ts";
import { makePairs, type Passage } from "./make-pairs.ts";
import { readPythonPassages, readTypeScriptPassages } from "./read-passages.ts";

const seed = 1;
const heldOutPairs = 1024;
const freeLicences = /^(MIT|Apache-2\.0|BSD-[23]-Clause|public domain text|PDDL.*)$/;

const [out] = process.argv.slice(2);
if (out === undefined) throw new Error("usage: prepare.ts OUT");
await mkdir(out, { recursive: true });
const data = targetFolder();
const manifest = JSON.parse(await readFile(join(data, "manifest.json"), "utf8")) as {
  files: { file: string; licence: string }[];
};

const passages: Passage[] = [];
const sources: { name: string; licence: string; passages: number }[] = [];
for (const [folder, read] of [
  ["code/python", readPythonPassages],
  ["code/typescript", readTypeScriptPassages],
] as const) {
  const path = join(data, folder);
  for (const name of (await readdir(path)).sort()) {
    const licence = licenceOf(`${folder}/${name}`);
    const text = gunzipSync(await readFile(join(path, name))).toString("utf8");
    const files = text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as { path: string; text: string });
    const own = files.flatMap((file) => read(file.text, `${basename(name)}/${file.path}`));
    passages.push(...own);
    sources.push({ name: `${folder}/${name}`, licence, passages: own.length });
  }
}
const gibbon = join(data, "text/gibbon");
const chapters: Passage[] = [];
for (const name of (await readdir(gibbon)).sort()) {
  if (isHeldOutChapter(name)) continue;
  for (const text of gibbonParagraphs(await readFile(join(gibbon, name), "utf8"))) {
    if (text.length > 200) chapters.push({ group: name, text: text.slice(0, 900) });
  }
}
passages.push(...chapters);
sources.push({ name: "text/gibbon", licence: licenceOf("text/gibbon"), passages: chapters.length });

const pairs = createRandom(seed, "pairs").shuffle(makePairs(passages, seed));
const write = (name: string, lines: readonly unknown[]): Promise<void> =>
  writeFileAtomically(join(out, name), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
await write("held-out.jsonl", pairs.slice(0, heldOutPairs));
await write("pairs.jsonl", pairs.slice(heldOutPairs));

const vectors = join(data, "models/glove-100d-12k");
sources.push({ name: "models/glove-100d-12k", licence: "PDDL 1.0", passages: 0 });
const words = JSON.parse(await readFile(join(vectors, "tokenizer.json"), "utf8")) as {
  model: { vocab: Record<string, number> };
};
await using file = await openSafetensors(join(vectors, "model.safetensors"));
await writeInitialModel(join(out, "initial"), {
  texts: pairs.flatMap(({ query, document }) => [query, document]),
  words: words.model.vocab,
  vectors: await file.readFloat32("embeddings"),
  seed,
});
await writeFileAtomically(join(out, "sources.json"), `${JSON.stringify(sources, null, 1)}\n`);
console.log(`${passages.length} passages, ${pairs.length} pairs`);

function licenceOf(name: string): string {
  const found = manifest.files.filter(({ file }) => file === name || file.startsWith(`${name}/`));
  const licences = [...new Set(found.map(({ licence }) => licence))];
  const wrong = licences.find((licence) => !freeLicences.test(licence));
  if (licences.length === 0 || wrong !== undefined) throw new Error(`${name}: licence ${wrong}`);
  return licences.join("; ");
}
