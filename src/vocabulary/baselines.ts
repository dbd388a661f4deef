/**
 * The simple ways of filling a new vocabulary, with which every learned one is compared.
 */

import {
  mixTables,
  normalizeMixture,
  type UnknownRows,
  type VocabularyMixture,
} from "./mixture.ts";
import { decompose } from "./token-forms.ts";
import type { TransferMethod, TransferTask } from "./transfer.ts";

/** Random rows, with the source table's mean and deviation in each dimension. */
export function randomRows(): TransferMethod {
  return mixtureMethod("random", (task) => new Array<undefined>(task.target.size).fill(undefined));
}

/**
 * Tokens that both vocabularies have keep their rows; the others get rows of which nothing is known.
 *
 * @param options `unknown`: default `"normal"`
 */
export function lexicalOverlap(options: { unknown?: UnknownRows } = {}): TransferMethod {
  const { unknown = "normal" } = options;
  return mixtureMethod(
    "overlap",
    ({ source, target }) =>
      target.forms.map((form) => {
        const id = form === undefined ? undefined : source.vocabulary.ids.get(form);
        return id === undefined ? undefined : { sources: [id], weights: [1] };
      }),
    unknown,
  );
}

/**
 * Each token gets the mean of the rows of the source tokens that spell it (Fast Vocabulary Transfer,
 * Gee et al., 2022). A token that the source has as well keeps its row.
 */
export function meanOfSubtokens(): TransferMethod {
  return mixtureMethod("mean", spellingMixture);
}

/** Mixtures of the source tokens that spell each target token, in equal parts. */
export function spellingMixture({ source, target }: TransferTask): VocabularyMixture {
  return target.forms.map((form) => {
    if (form === undefined) return undefined;
    const same = source.vocabulary.ids.get(form);
    if (same !== undefined) return { sources: [same], weights: [1] };
    const shares = new Map<number, number>();
    for (const id of decompose(source.vocabulary, form)) shares.set(id, (shares.get(id) ?? 0) + 1);
    return normalizeMixture(shares);
  });
}

/** A method whose rows are averages of source rows. */
export function mixtureMethod(
  name: string,
  mix: (task: TransferTask) => VocabularyMixture | Promise<VocabularyMixture>,
  unknown: UnknownRows = "normal",
): TransferMethod {
  return {
    name,
    async predict(task) {
      const { source, seed } = task;
      return mixTables(source.tables, await mix(task), {
        width: source.config.hiddenSize,
        unknown,
        seed,
      });
    },
  };
}
