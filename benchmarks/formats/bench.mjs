/**
 * What each weight format costs in quality: perplexity of the tiny model's own greedy text and bits
 * per byte on WikiText-2, beside fp32, and how many greedy tokens stay the same.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { complete, score } from "../../dist/generate/index.js";
import { loadModel } from "../../dist/model/index.js";

const formats = ["f32", "int8", "int8-channel", "int4"];

export async function run({ json }) {
  const data = process.env.JETON_DATA;
  if (!data) throw new Error("JETON_DATA must name the data folder");
  const folder = join(data, "models/tinystories-260k");
  const ids = JSON.parse(readFileSync(join(folder, "reference.json"), "utf8")).greedy_ids.slice(1);
  const text = readFileSync(join(data, "text/wikitext-2/test.txt")).subarray(0, 20_000).toString();
  const rows = [];
  for (const format of formats) {
    const model = await loadModel(folder, { format, threads: 1 });
    try {
      const own = await score(model, ids);
      const foreign = await score(model, text);
      const { ids: greedy } = await complete(model, "", {
        greedy: true,
        maxTokens: ids.length,
        ignoreEndOfSequence: true,
      });
      const differs = greedy.findIndex((id, index) => id !== ids[index]);
      rows.push({
        format,
        perplexity: own.perplexity,
        bitsPerByte: foreign.bitsPerByte,
        sameGreedyTokens: differs < 0 ? ids.length : differs,
      });
    } finally {
      await model.close();
    }
  }
  const base = rows[0];
  const results = rows.flatMap(({ format, perplexity, bitsPerByte, sameGreedyTokens }) => [
    row(`${format}: perplexity of the reference text`, perplexity, base.perplexity, "perplexity"),
    row(`${format}: WikiText-2, first 20 kB`, bitsPerByte, base.bitsPerByte, "bits per byte"),
    {
      ...row(
        `${format}: greedy tokens kept of ${ids.length}`,
        sameGreedyTokens,
        ids.length,
        "tokens",
      ),
      ratio: sameGreedyTokens / ids.length,
    },
  ]);
  if (!json) {
    console.log("format         perplexity  bits/byte  greedy tokens kept");
    for (const { format, perplexity, bitsPerByte, sameGreedyTokens } of rows) {
      const cells = [format.padEnd(14), perplexity.toFixed(4).padStart(10)];
      cells.push(bitsPerByte.toFixed(4).padStart(10), String(sameGreedyTokens).padStart(12));
      console.log(cells.join(" "));
    }
  }
  return results;
}

/** Lower is better: the ratio is above 1 where ours is. */
function row(name, ours, peer, unit) {
  return { name, ours, peer, peerName: "f32", unit, ratio: peer / ours, runs: 1 };
}
