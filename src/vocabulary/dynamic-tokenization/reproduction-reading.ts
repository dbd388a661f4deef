/** What reading merged prompts costs a frozen model: bits of their continuations. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "../../core/index.ts";
import type { LoadedModel } from "../../model/index.ts";
import {
  gibbonParagraphs,
  heldOutChapters,
  isHeldOutChapter,
} from "../../reproduce/data/held-out-chapters.ts";
import { type ReproductionContext, ratioOfSums, type Sample } from "../../reproduce/index.ts";
import type { Hypernetwork } from "../hypernetwork.ts";
import { readHypernetwork, writeHypernetwork } from "../hypernetwork-file.ts";
import { fingerprint } from "../reproduction-measure.ts";
import { readModelFiles } from "../whole-model.ts";
import { trainHypernetwork } from "../zett/index.ts";
import { type ContinuationQuestion, type DynamicModel, openDynamicModel } from "./dynamic-model.ts";
import { mergeBatch } from "./merge-batch.ts";
import { share, words } from "./reproduction-lengths.ts";

type Context = ReproductionContext<"reading-merged-prompts" | "reading-with-means" | "rows-matter">;

/** Bits of each continuation. */
type Bits = readonly number[];

/** A model's bits after merged prompts. */
interface Read {
  readonly some: Bits;
  readonly whole: Bits;
}

/** What reading merged prompts costs, with three kinds of rows. */
export async function measureReading(context: Context, model: LoadedModel): Promise<void> {
  const questions = await readQuestions(context);
  await using means = await openDynamicModel(model);
  const merges = mergesFor(means, questions);
  const plain = await bitsOf(context, means, questions, 0);
  // What the continuations cost without any prompt.
  const bare = questions.map(({ continuation }) => ({ prompt: "", continuation }));
  const nothing = await bitsOf(context, means, bare, 0);
  const readWith = async (dynamic: DynamicModel): Promise<Read> => ({
    some: await bitsOf(context, dynamic, questions, merges),
    whole: await bitsOf(context, dynamic, questions, Number.POSITIVE_INFINITY),
  });
  const byMeans = await readWith(means);
  await using learned = await openDynamicModel(model, {
    hypernetwork: await hypernetworkOf(context),
  });
  const byNetwork = await readWith(learned);
  await using foreign = await openForeign(context, model, means);
  const byForeign = await readWith(foreign);

  /** Share of what the prompts are worth that is left, over paragraphs. */
  const leftOf = (bits: Bits): Sample =>
    ratioOfSums(
      bits.map((value, at) => ({
        sum: 100 * (nothing[at]! - value),
        weight: nothing[at]! - plain[at]!,
      })),
    );
  const total = (bits: Bits): number => bits.reduce((sum, value) => sum + value, 0);
  const details = {
    merges,
    bits: { "no prompt": total(nothing), "not merged": total(plain) },
  };
  const control = leftOf(byForeign.some);
  context.report("reading-merged-prompts", { measured: leftOf(byNetwork.some), control, details });
  context.report("reading-with-means", { measured: leftOf(byMeans.some), control });
  context.report("rows-matter", {
    measured: leftOf(byNetwork.whole),
    baseline: leftOf(byMeans.whole),
    baselineName: "means of sub-tokens",
    control: leftOf(byForeign.whole),
  });
}

/** Paragraphs of the held-out chapters, without notes, cut into prompt and continuation. */
async function readQuestions({ data, quick }: Context): Promise<ContinuationQuestion[]> {
  const gibbon = await data("text/gibbon");
  const questions: ContinuationQuestion[] = [];
  for (const chapter of heldOutChapters) {
    const text = await readFile(join(gibbon, `${chapter}.txt`), "utf8");
    const own = gibbonParagraphs(text).filter((paragraph) => paragraph.length > 500);
    for (const paragraph of own.slice(0, quick ? 4 : 40)) {
      const cut = paragraph.indexOf(" ", 300);
      const end = paragraph.indexOf(" ", cut + 120);
      questions.push({
        prompt: paragraph.slice(0, cut),
        continuation: paragraph.slice(cut, end === -1 ? undefined : end),
      });
    }
  }
  return questions;
}

/** The fewest merges that give the share of the possible reduction. */
function mergesFor(dynamic: DynamicModel, questions: readonly ContinuationQuestion[]): number {
  const tokens = questions.map(({ prompt }) => dynamic.tokenize(prompt));
  const lengthWith = (merges: number): number =>
    mergeBatch(tokens, { merges, boundary: words }).sequences.reduce(
      (sum, sequence) => sum + sequence.length,
      0,
    );
  const [base, least] = [lengthWith(0), lengthWith(Number.POSITIVE_INFINITY)];
  let merges = 1;
  while ((100 * (base - lengthWith(merges))) / (base - least) < share) merges++;
  return merges;
}

async function bitsOf(
  context: Context,
  dynamic: DynamicModel,
  questions: readonly ContinuationQuestion[],
  merges: number,
): Promise<Bits> {
  context.signal.throwIfAborted();
  context.progress(`reading prompts with ${merges} merges`);
  const { logProbabilities } = await dynamic.score(questions, { merges, boundary: words });
  return logProbabilities.map((value) => -value / Math.LN2);
}

/** A hypernetwork that corrects means, trained on tokenizers that are drawn anew in every step. */
async function hypernetworkOf(context: Context): Promise<Hypernetwork> {
  const { quick, seed, signal } = context;
  const model = await readModelFiles(await context.model());
  const gibbon = await context.data("text/gibbon");
  const names = (await readdir(gibbon)).filter((name) => !isHeldOutChapter(name)).sort();
  const texts: string[] = [];
  for (const name of names.slice(0, quick ? 3 : 20)) {
    for (const line of gibbonParagraphs(await readFile(join(gibbon, name), "utf8"))) {
      if (line.length > 200) texts.push(...(line.match(/.{200,400}?[.;,] /g) ?? []));
    }
  }
  const training = quick
    ? { steps: 6, batch: 4, vocabSize: 512 }
    : { steps: 1000, batch: 8, vocabSize: 2048 };
  const configuration = { weights: fingerprint(model), ...training };
  const folder = await context.folder("hypernetwork", configuration);
  const path = join(folder, "hypernetwork.safetensors");
  await context.remember("hypernetwork-training", configuration, async () => {
    const trained = await trainHypernetwork(model, {
      ...{ texts, form: { predicts: "corrections" }, ...training, seed, signal },
      onProgress: (stage, done, total, loss) =>
        context.progress(`hypernetwork: ${stage}, loss ${loss.toFixed(3)}`, done, total),
    });
    await writeHypernetwork(path, trained);
    return true;
  });
  return readHypernetwork(path);
}

/** The control: merged tokens have the rows of other tokens. */
function openForeign(
  { seed }: Context,
  model: LoadedModel,
  { source }: DynamicModel,
): Promise<DynamicModel> {
  const { vocabulary, tables, config } = source;
  const rowOf = (id: number): Float32Array =>
    tables.embedding.subarray(id * config.hiddenSize, (id + 1) * config.hiddenSize);
  return openDynamicModel(model, {
    predict: async (forms) =>
      forms.map((form) =>
        rowOf(
          vocabulary.ids.get(form) ?? createRandom(seed, "foreign", form).integer(config.vocabSize),
        ),
      ),
  });
}
