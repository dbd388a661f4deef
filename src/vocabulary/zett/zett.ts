/**
 * Zero-shot tokenizer transfer (Minixhofer et al., 2024): a hypernetwork that was trained once for a
 * model predicts the rows of any tokenizer's tokens from how the model spells them.
 */
import { JetonError } from "../../core/index.ts";
import {
  checkTrainedFor,
  type Hypernetwork,
  type OpenPredictorOptions,
  predictRows,
  spellTokens,
} from "../hypernetwork.ts";
import { mixTables, type VocabularyTables } from "../mixture.ts";
import type { TransferMethod } from "../transfer.ts";

/** Options of `zett`. */
export interface ZettOptions extends OpenPredictorOptions {
  /**
   * True: the hypernetwork may be one of another model of the same shape, such as the one that this model was fine-tuned
   * from. Default false.
   */
  acceptOtherModel?: boolean;
}

/**
 * The method, for `transfer`.
 *
 * @param hypernetwork one that was trained for this very model
 *
 * @throws JetonError `zett-hypernetwork-foreign` when it was trained for another model
 */
export function zett(hypernetwork: Hypernetwork, options: ZettOptions = {}): TransferMethod {
  const { acceptOtherModel = false, ...how } = options;
  return {
    name: "zett",
    async predict({ source, target, seed, signal, progress }): Promise<VocabularyTables> {
      const { width, tied, sourceSize } = hypernetwork.config;
      const { config, tables } = source;
      const fits =
        width === config.hiddenSize &&
        tied === config.tieWordEmbeddings &&
        sourceSize * width === tables.embedding.length;
      if (!fits) {
        throw new JetonError(
          `the hypernetwork is for a table [${sourceSize}, ${width}], the model's is [${config.vocabSize}, ${config.hiddenSize}]`,
          {
            code: "zett-hypernetwork-foreign",
            details: { found: hypernetwork.config, expected: config.vocabSize },
          },
        );
      }
      if (!acceptOtherModel) checkTrainedFor(hypernetwork, source);
      const spellings = spellTokens(source.vocabulary, target.forms);
      const known = [...spellings.keys()].filter((id) => spellings[id] !== undefined);
      const rows = await predictRows(
        hypernetwork,
        tables,
        known.map((id) => spellings[id]!),
        {
          ...how,
          ...(signal && { signal }),
          onProgress: (done, total) => progress("predicting rows", done, total),
        },
      );
      // Tokens without a spelling (special ones without a counterpart) get rows as in every method.
      const nothing = new Array<undefined>(target.size).fill(undefined);
      const predicted = mixTables(tables, nothing, { width, seed });
      for (const [place, id] of known.entries()) {
        const from = place * width;
        predicted.embedding.set(rows.embedding.subarray(from, from + width), id * width);
        predicted.head?.set(rows.head!.subarray(from, from + width), id * width);
      }
      return predicted;
    },
  };
}
