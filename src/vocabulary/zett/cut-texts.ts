/**
 * What a step of the hypernetwork's training reads: texts, cut into tokens of a vocabulary of that step
 * alone, with the matrices that the graph takes.
 */
import type { Random } from "../../core/index.ts";
import { rotationTables } from "../../model/index.ts";
import { ignoredTarget, type TrainingInputs } from "../../train/index.ts";
import { type HypernetworkConfig, noToken, spellTokens } from "../hypernetwork.ts";
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
    const {
      inputs,
      places,
      size: table,
    } = groupSpellings(
      config,
      // A byte that the source cannot spell stands for the token that begins texts.
      forms.map((form) => spellings.get(form) ?? [start]),
      start,
    );
    const cut = { rows, places, table, longest, continues: cutter.continues ?? false };
    return [{ ...inputs, specials, ...packRows(cut), ...rotations }];
  };
}

/**
 * Lengths of spellings that are read together, ascending: most spellings are short, and padding all of them
 * to the longest would take most of a step.
 */
export function spellingGroups({ longest }: HypernetworkConfig): number[] {
  return [...[2, 4].filter((length) => length < longest), Math.max(2, longest)];
}

/** The input of a group of spellings. */
export const spellingInput = (group: number): string => `spellings.${group}`;

/** Spellings by groups: inputs of the graph, and the row of each in the table that the groups give. */
function groupSpellings(
  config: HypernetworkConfig,
  spellings: readonly (readonly number[])[],
  filler: number,
): { inputs: TrainingInputs; places: Int32Array; size: number } {
  const groups = spellingGroups(config);
  const places = new Int32Array(spellings.length);
  const inputs: Record<string, TrainingInputs[string]> = {};
  let size = 0;
  for (const [group, length] of groups.entries()) {
    const shorter = groups[group - 1] ?? 0;
    const members = [...spellings.keys()].filter((place) => {
      const own = Math.min(spellings[place]!.length, config.longest);
      return own > shorter && own <= length;
    });
    // A group is never empty: its first row belongs to no token, and is spelt by two, as known ones are not.
    const data = new Int32Array((members.length + 1) * length).fill(noToken);
    data.set([filler, filler]);
    for (const [at, place] of members.entries()) {
      data.set(spellings[place]!.slice(0, length), (at + 1) * length);
      places[place] = size + at + 1;
    }
    size += members.length + 1;
    inputs[spellingInput(group)] = { dtype: "int32", shape: [members.length + 1, length], data };
  }
  return { inputs, places, size };
}

/** Ids as the table of the step has them: the special token, the predicted rows, those of the source. */
function packRows(cut: {
  readonly rows: readonly CutText[];
  /** The predicted row of each form, and the number of predicted rows. */
  readonly places: Int32Array;
  readonly table: number;
  readonly longest: number;
  readonly continues: boolean;
}): TrainingInputs {
  const { rows, places, table, longest, continues } = cut;
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
      const own = isKnown ? known[at - predicted.length]! : places[predicted[at]!]! + 1;
      (isKnown ? knownTargets : targets)[place * time + at] = own;
      if (at + 1 < time) ids[place * time + at + 1] = isKnown ? 1 + table + own : own;
    }
  }
  const shape = [rows.length, time];
  return {
    ids: { dtype: "int32", shape, data: ids },
    targets: { dtype: "int32", shape, data: targets },
    ...(continues && { knownTargets: { dtype: "int32", shape, data: knownTargets } }),
  };
}
