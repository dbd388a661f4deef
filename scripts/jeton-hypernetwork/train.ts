/**
 * Trains `models/jeton-hypernetwork`, two hypernetworks for jeton-nano, the page's demonstration of zero-shot tokenizer
 * transfer:
 *
 *     JETON_DATA=path/to/data node --import tsx scripts/jeton-hypernetwork/train.ts OUT
 *
 * `rows.safetensors` is of the published form, which predicts whole rows; `corrections.safetensors` adds to the mean of the
 * sub-tokens' rows. Twenty minutes on one core. The text is
 * prose of jeton-nano's training.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { trainHypernetwork, writeHypernetwork } from "../../src/vocabulary/index.ts";
import { gibbonPieces, training } from "./texts.ts";

const [out] = process.argv.slice(2);
if (out === undefined) throw new Error("usage: train.ts OUT");
await mkdir(out, { recursive: true });
const texts = await gibbonPieces(false);

/** Smaller than the reproduction's, for the sake of the package. */
const form = { hidden: 96, layers: 2 };
for (const predicts of ["corrections", "rows"] as const) {
  const began = performance.now();
  const hypernetwork = await trainHypernetwork("models/jeton-nano", {
    ...{ texts, form: { ...form, predicts }, ...training, vocabSize: 1024 },
    ...(predicts === "rows" && { mimicSteps: training.steps / 2 }),
    ...{ seed: 1, threads: 1 },
    onProgress(stage, done, total, loss) {
      if (done % 20 > 0 && done < total) return;
      const seconds = Math.round((performance.now() - began) / 1000);
      console.error(
        `${predicts}, ${stage}: step ${done} of ${total}, loss ${loss.toFixed(3)}, ${seconds} s`,
      );
    },
  });
  await writeHypernetwork(join(out, `${predicts}.safetensors`), hypernetwork, { dtype: "F16" });
}
