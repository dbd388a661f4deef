/**
 * What each weight format costs in quality, beside fp32: perplexity of the tiny model's own greedy text,
 * bits per byte on WikiText-2, and how many greedy tokens stay the same; bits per byte of jeton-nano on
 * a chapter that it was not trained on.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { complete, score } from "../../dist/generate/index.js";
import { loadModel } from "../../dist/model/index.js";
import { gibbonParagraphs, isHeldOutChapter } from "../../dist/reproduce/data/held-out-chapters.js";

const formats = ["f32", "int8", "int8-channel", "int4"];
const nano = fileURLToPath(new URL("../../models/jeton-nano", import.meta.url));
/** Characters of the chapter that are read, and of one passage: it must fit the context. */
const [chapterLength, passage] = [60_000, 2_500];

export async function run({ json }) {
  const data = process.env.JETON_DATA;
  if (!data) throw new Error("JETON_DATA must name the data folder");
  const rows = [];
  for (const format of formats) {
    rows.push({ format, ...(await tiny(data, format)), nanoBits: await ofNano(data, format) });
  }
  const base = rows[0];
  const results = rows.flatMap(({ format, perplexity, bitsPerByte, same, count, nanoBits }) => [
    row(`${format}: perplexity of the reference text`, perplexity, base.perplexity, "perplexity"),
    row(`${format}: WikiText-2, first 20 kB`, bitsPerByte, base.bitsPerByte, "bits per byte"),
    {
      ...row(`${format}: greedy tokens kept of ${count}`, same, count, "tokens"),
      ratio: same / count,
    },
    row(`${format}: jeton-nano, held-out chapter`, nanoBits, base.nanoBits, "bits per byte"),
  ]);
  if (!json) {
    console.log("format         perplexity  bits/byte  greedy tokens kept  jeton-nano bits/byte");
    for (const { format, perplexity, bitsPerByte, same, nanoBits } of rows) {
      const cells = [format.padEnd(14), perplexity.toFixed(4).padStart(10)];
      cells.push(bitsPerByte.toFixed(4).padStart(10), String(same).padStart(19));
      console.log([...cells, nanoBits.toFixed(4).padStart(21)].join(" "));
    }
  }
  return results;
}

async function tiny(data, format) {
  const folder = join(data, "models/tinystories-260k");
  const ids = JSON.parse(readFileSync(join(folder, "reference.json"), "utf8")).greedy_ids.slice(1);
  const text = readFileSync(join(data, "text/wikitext-2/test.txt")).subarray(0, 20_000).toString();
  const model = await loadModel(folder, { format, threads: 1 });
  try {
    const { perplexity } = await score(model, ids);
    const { bitsPerByte } = await score(model, text);
    const options = { greedy: true, maxTokens: ids.length, ignoreEos: true };
    const { ids: greedy } = await complete(model, "", options);
    const differs = greedy.findIndex((id, index) => id !== ids[index]);
    return { perplexity, bitsPerByte, same: differs < 0 ? ids.length : differs, count: ids.length };
  } finally {
    await model.close();
  }
}

async function ofNano(data, format) {
  const folder = join(data, "text/gibbon");
  const file = readdirSync(folder).find(isHeldOutChapter);
  const chapter = gibbonParagraphs(readFileSync(join(folder, file), "utf8")).join("\n\n");
  const text = chapter.slice(0, chapterLength);
  const model = await loadModel(nano, { format, threads: 1 });
  try {
    let [bits, bytes] = [0, 0];
    for (let at = 0; at < text.length; at += passage) {
      const part = text.slice(at, at + passage);
      const size = Buffer.byteLength(part);
      bits += size * (await score(model, part)).bitsPerByte;
      bytes += size;
    }
    return bits / bytes;
  } finally {
    await model.close();
  }
}

/** Lower is better: the ratio is above 1 where ours is. */
function row(name, ours, peer, unit) {
  return { name, ours, peer, peerName: "f32", unit, ratio: peer / ours, runs: 1 };
}
