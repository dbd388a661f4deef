/**
 * What a hypernetwork for dynamic tokenization is trained on: texts that begin merged, as prompts will be
 * read, and end in the model's own tokens, as it will write them.
 */
import type { CutText, TextCutter } from "../text-cutter.ts";
import type { TokenForms } from "../token-forms.ts";
import {
  type DynamicToken,
  type MergeBatchOptions,
  mergeBatch,
  mergesForReduction,
} from "./merge-batch.ts";

/** Options of `cutByMerging`. */
export interface CutByMergingOptions extends Pick<MergeBatchOptions, "boundary"> {
  /** Tokens of a step's vocabulary: those of its batch, and the latest others. Default 512. */
  vocabSize?: number;
  /** Least and greatest share of a text that is merged. Default [0.5, 0.9]. */
  prompt?: readonly [number, number];
}

/**
 * Cuts the texts of a training step of `trainHypernetwork` by merging them as one batch. The budget of
 * merges is drawn anew for each step, evenly over the reduction of length that it gives (part B of the
 * method), so that one hypernetwork serves every granularity.
 *
 * @example
 * const { source } = await readModelFiles("models/jeton-nano");
 * const cutter = cutByMerging(source.vocabulary);
 * const hypernetwork = await trainHypernetwork("models/jeton-nano", { texts, cutter });
 */
export function cutByMerging(
  vocabulary: TokenForms,
  options: CutByMergingOptions = {},
): TextCutter {
  const { vocabSize = 512, prompt: [least, greatest] = [0.5, 0.9], boundary } = options;
  const merging = boundary === undefined ? {} : { boundary };
  /** Byte forms of the latest batches, the oldest first. */
  const latest = new Set<string>();
  const encode = (text: string): Int32Array =>
    vocabulary.tokenizer.encodeIds(text, { addSpecialTokens: false, allowedSpecial: "none" });
  return {
    continues: true,
    cut(texts, random) {
      const parts = texts.map((text) => {
        const share = least + (greatest - least) * random.uniform();
        return splitAtWord(text, Math.floor(share * text.length));
      });
      const base = parts.map(([prompt]) =>
        Array.from(encode(prompt), (id): DynamicToken => vocabulary.forms[id] ?? id),
      );
      const all = mergeBatch(base, merging);
      const merges = mergesForReduction(all, 100 * random.uniform());
      const { sequences } = mergeBatch(base, { ...merging, merges });
      const own = new Set(sequences.flat().filter((token) => typeof token === "string"));
      for (const form of own) {
        latest.delete(form);
        latest.add(form);
      }
      const forms = [...latest].slice(-Math.max(vocabSize, own.size));
      for (const form of latest) {
        if (latest.size <= forms.length) break;
        latest.delete(form);
      }
      const places = new Map(forms.map((form, place) => [form, place]));
      const rows = sequences.map((sequence, at): CutText => {
        // Special tokens within a text have no form and no row that is predicted.
        const predicted = sequence.flatMap((token) => places.get(token as string) ?? []);
        return { predicted, known: [...encode(parts[at]![1])] };
      });
      return { forms, rows };
    },
  };
}

/** A text in two parts, the second beginning with the space before a word. */
function splitAtWord(text: string, near: number): [string, string] {
  const at = text.indexOf(" ", near);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at)];
}
