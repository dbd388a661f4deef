/**
 * What a step of the hypernetwork's training reads: texts, cut into tokens of a vocabulary of that step
 * alone, with the matrices that the graph takes.
 */
import type { Random } from "../../core/index.ts";
import { rotationTables } from "../../model/index.ts";
import { ignoredTarget, type TrainingInputs } from "../../train/index.ts";
import { type HypernetworkConfig, packSpellings, spellTokens } from "../hypernetwork.ts";
import type { CutText, TextCutter } from "../text-cutter.ts";
import type { ModelFiles } from "../whole-model.ts";
import { SubstringQueue, sampleTokenizer } from "./sample-tokenizers.ts";

/** Each step has another tokenizer: a Unigram model over frequent substrings of the latest texts. */
export function cutBySampledTokenizers(options: {
  readonly vocabSize: number;
  readonly queue: number;
}): TextCutter {
  const queue = new SubstringQueue({ texts: options.queue });
  return {
    earlier: options.queue,
    see: (text) => queue.push(text),
    cut(texts, random) {
      const { forms, encode } = sampleTokenizer(queue.counts, options.vocabSize, random);
      return { forms, rows: texts.map((text) => ({ predicted: encode(text) })) };
    },
  };
}

/** What batches are made of. */
export interface TransferBatchesOptions {
  readonly texts: readonly string[];
  /** Texts of a step. */
  readonly batch: number;
  /** Longer sequences are cut. */
  readonly longest: number;
  readonly cutter: TextCutter;
}

/** Batches of the second stage, each with a vocabulary of its own. */
export function transferBatches(
  whole: ModelFiles,
  config: HypernetworkConfig,
  { texts, batch: size, longest, cutter }: TransferBatchesOptions,
  random: Random,
): () => TrainingInputs[] {
  const { vocabulary } = whole.source;
  const { tokenizer } = vocabulary;
  const start = tokenizer.bosTokenId ?? tokenizer.eosTokenId ?? 0;
  const specials = { dtype: "int32", data: Int32Array.of(start), shape: [1] } as const;
  const rotations = rotationTables(whole.source.config, longest);
  const order = random.fork("order");
  const draw = (): string => {
    const text = texts[order.integer(texts.length)]!;
    cutter.see?.(text);
    return text;
  };
  for (let text = size; text < (cutter.earlier ?? 0); text++) draw();
  const spellings = new Map<string, number[] | undefined>();
  let step = 0;
  return () => {
    step++;
    const chosen = Array.from({ length: size }, draw);
    const { forms, rows } = cutter.cut(chosen, random.fork("tokenizer", step));
    for (const form of forms) {
      if (!spellings.has(form)) spellings.set(form, spellTokens(vocabulary, [form])[0]);
    }
    // A byte that the source cannot spell stands for the token that begins texts.
    const matrix = packSpellings(
      config,
      forms.map((form) => spellings.get(form) ?? [start]),
    );
    const cut = { rows, forms: forms.length, longest, continues: cutter.continues ?? false };
    return [{ spellings: { dtype: "int32", ...matrix }, specials, ...packRows(cut), ...rotations }];
  };
}

/** Ids as the table of the step has them: the special token, the predicted rows, those of the source. */
function packRows(cut: {
  readonly rows: readonly CutText[];
  readonly forms: number;
  readonly longest: number;
  readonly continues: boolean;
}): TrainingInputs {
  const { rows, forms, longest, continues } = cut;
  const lengthOf = ({ predicted, known = [] }: CutText): number =>
    Math.min(longest, predicted.length + (continues ? known.length : 0));
  const time = Math.max(...rows.map(lengthOf));
  const ids = new Int32Array(rows.length * time);
  const targets = new Int32Array(rows.length * time).fill(ignoredTarget);
  const knownTargets = new Int32Array(rows.length * time).fill(ignoredTarget);
  for (const [place, row] of rows.entries()) {
    const { predicted, known = [] } = row;
    for (let at = 0; at < lengthOf(row); at++) {
      const isKnown = at >= predicted.length;
      const own = isKnown ? known[at - predicted.length]! : predicted[at]! + 1;
      (isKnown ? knownTargets : targets)[place * time + at] = own;
      if (at + 1 < time) ids[place * time + at + 1] = isKnown ? 1 + forms + own : own;
    }
  }
  const shape = [rows.length, time];
  return {
    ids: { dtype: "int32", shape, data: ids },
    targets: { dtype: "int32", shape, data: targets },
    ...(continues && { knownTargets: { dtype: "int32", shape, data: knownTargets } }),
  };
}
