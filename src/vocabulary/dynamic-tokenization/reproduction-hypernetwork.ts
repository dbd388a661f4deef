/** The hypernetworks of the reproduction: trained on batches merged by budgets that are drawn anew. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gibbonParagraphs, isHeldOutChapter } from "../../reproduce/data/held-out-chapters.ts";
import type { ReproductionContext } from "../../reproduce/index.ts";
import type { Hypernetwork, HypernetworkConfig } from "../hypernetwork.ts";
import { readHypernetwork, writeHypernetwork } from "../hypernetwork-file.ts";
import { fingerprint } from "../reproduction-measure.ts";
import { readModelFiles } from "../whole-model.ts";
import { trainHypernetwork } from "../zett/index.ts";
import { cutByMerging } from "./merged-texts.ts";
import { words } from "./reproduction-lengths.ts";

/** `"rows"` is the published form, `"corrections"` of means are ours. */
export type Form = HypernetworkConfig["predicts"];

/** Settings of the training; the rest is as `trainHypernetwork` has it. */
const full = { steps: 700, mimicSteps: 300, mimicTokens: 1024, batch: 8, vocabSize: 512 };
const quick = { steps: 6, mimicSteps: 20, mimicTokens: 512, batch: 4, vocabSize: 256 };
/** Source tokens of a spelling that are read: the paper's number for encoders. */
const longest = 4;

/** Paragraphs of the chapters that the model has learned from, without notes. */
export async function readKnownText(
  context: ReproductionContext,
  chapters: number,
): Promise<string[]> {
  const gibbon = await context.data("text/gibbon");
  const names = (await readdir(gibbon)).filter((name) => !isHeldOutChapter(name)).sort();
  const paragraphs: string[] = [];
  for (const name of names.slice(0, chapters)) {
    paragraphs.push(...gibbonParagraphs(await readFile(join(gibbon, name), "utf8")));
  }
  return paragraphs;
}

/** A hypernetwork for the bundled model, trained on merged batches. */
export async function hypernetworkOf(
  context: ReproductionContext,
  predicts: Form,
): Promise<Hypernetwork> {
  const { seed, signal } = context;
  const model = await readModelFiles(await context.model());
  const texts = (await readKnownText(context, context.quick ? 3 : 20))
    .filter((paragraph) => paragraph.length > 200)
    .flatMap((paragraph) => paragraph.match(/.{200,400}?[.;,] /g) ?? []);
  const { vocabSize, mimicSteps, ...training } = context.quick ? quick : full;
  const stages = { ...training, mimicSteps: predicts === "rows" ? mimicSteps : 0 };
  const configuration = { weights: fingerprint(model), predicts, longest, vocabSize, ...stages };
  const folder = await context.folder("hypernetwork", configuration);
  const path = join(folder, "hypernetwork.safetensors");
  await context.remember("hypernetwork-training", configuration, async () => {
    const trained = await trainHypernetwork(model, {
      ...{ texts, form: { predicts, longest }, ...stages, seed, signal },
      cutter: cutByMerging(model.source.vocabulary, { vocabSize, boundary: words }),
      onProgress: (stage, done, total, loss) =>
        context.progress(`${predicts}: ${stage}, loss ${loss.toFixed(3)}`, done, total),
    });
    await writeHypernetwork(path, trained);
    return true;
  });
  return readHypernetwork(path);
}
