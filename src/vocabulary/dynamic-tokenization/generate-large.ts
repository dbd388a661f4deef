/**
 * Generation with a very large vocabulary: the next token is found by an index instead of a product with the
 * whole head. The numbers are those of step 5 of the method.
 */
import {
  checkOptions,
  createStopText,
  type FinishReason,
  type GenerateOptions,
  pickToken,
  type Sampling,
  tokenDistribution,
  uniformFor,
} from "../../generate/index.ts";
import { invalidOption } from "../../generate/sampling/check-options.ts";
import { fromByteAlphabet } from "../../tokenizer/decoders/byte-alphabet.ts";
import type { SearchOptions } from "./direction-index.ts";
import type { DynamicModel } from "./dynamic-model.ts";
import type { LargeVocabulary } from "./large-vocabulary.ts";
import type { DynamicToken } from "./merge-batch.ts";

/** Options of generation with a large vocabulary; those of `generate` have the same meaning. */
export interface GenerateLargeOptions
  extends SearchOptions,
    Pick<GenerateOptions, "minP" | "stop" | "seed" | "signal"> {
  /** Default 32. */
  maxTokens?: number;
  /** Tokens that the index gives. Default 20. */
  shortlist?: number;
  /** 0 takes the best of them. Default 0. */
  temperature?: number;
  /** Tokens that are sampled from, the best of the short list. Default 10. */
  topK?: number;
  /** Divides positive and multiplies negative logits of tokens in prompt or text. Default 1; the paper's: 1.1. */
  repetitionPenalty?: number;
  /**
   * Added to the logit of the token that ends texts, which is always a candidate; -Infinity excludes it.
   * Default 0.
   */
  eosBias?: number;
}

/** A generated token of a large vocabulary. */
export interface LargeToken {
  readonly form: string;
  /**
   * The text that this token adds. It is withheld while it ends in half a character or may turn into a stop
   * string, as by `generate`.
   */
  readonly text: string;
  /** Its product with the hidden state, exact, before bias and penalty. */
  readonly logit: number;
}

/** What a generation with a large vocabulary returns after its last token. */
export interface GenerateLargeResult {
  /** The whole text. */
  readonly text: string;
  /** Text that was withheld until the end and belongs to no token. */
  readonly tail: string;
  readonly tokens: number;
  /** `"stop"`: the token that ends texts, its spelling by others, or a stop string. */
  readonly finishReason: FinishReason;
  readonly seed: number;
}

/**
 * Generates with a large vocabulary: the hidden state asks the index for a short list, exact products decide
 * among it, and the predicted row of the chosen token is the next input. It ends at the model's EOS token,
 * also where that is spelt by several tokens.
 *
 * @throws JetonError `generate-option-invalid`
 */
export async function* generateLarge(
  model: DynamicModel,
  vocabulary: LargeVocabulary,
  prompt: string,
  options: GenerateLargeOptions = {},
): AsyncGenerator<LargeToken, GenerateLargeResult, void> {
  const sampling = resolveLarge(options);
  const { maxTokens = 32, signal, stop = [] } = options;
  const { tokenizer } = model.source.vocabulary;
  const begin = tokenizer.bosTokenId ?? tokenizer.eosTokenId;
  const asked = vocabulary.encode(prompt);
  const seen = new Set(asked.map((form) => vocabulary.ids.get(form)!));
  let unread: DynamicToken[] = [...(begin === undefined ? [] : [begin]), ...asked];
  const { endSource } = vocabulary;
  const spelling = endSource === undefined ? undefined : tokenizer.idToToken(endSource);
  const stopText = createStopText(spelling === undefined ? stop : [...stop, spelling]);
  const decoder = new TextDecoder();
  const result = { text: "", tail: "", tokens: 0, finishReason: "length" as FinishReason };
  let hitStopString = false;
  const sequence = await model.openSequence({ promptLength: unread.length });
  try {
    while (result.tokens < maxTokens && result.finishReason === "length") {
      signal?.throwIfAborted();
      const hidden = await sequence.append(unread);
      const { id, logit } = chooseLarge(
        vocabulary,
        hidden,
        { ...options, sampling, seen },
        result.tokens,
      );
      // The row behind the last form is that of the token that ends texts.
      const form = vocabulary.forms[id];
      if (form === undefined) {
        result.finishReason = "stop";
        break;
      }
      seen.add(id);
      unread = [form];
      const piece = decoder.decode(fromByteAlphabet(form) ?? new Uint8Array(0), { stream: true });
      const { text, stopped } = stopText.push(piece);
      if (stopped) [hitStopString, result.finishReason] = [true, "stop"];
      result.text += text;
      result.tokens++;
      yield { form, text, logit };
    }
  } finally {
    await sequence.release();
  }
  if (!hitStopString) {
    const rest = stopText.push(decoder.decode());
    if (rest.stopped) result.finishReason = "stop";
    result.tail = rest.text + stopText.flush();
  }
  return { ...result, text: result.text + result.tail, seed: sampling.seed };
}

/** Checks the options that `generate` has as well, and fills in the defaults of this generation. */
function resolveLarge(options: GenerateLargeOptions): Sampling {
  const { maxTokens, temperature = 0, topK = 10, minP = 0, repetitionPenalty = 1 } = options;
  const { stop, seed = 0, signal, shortlist = 20, eosBias = 0 } = options;
  if (!Number.isSafeInteger(shortlist) || shortlist < 1) {
    throw invalidOption("shortlist", shortlist, "a positive integer");
  }
  if (typeof eosBias !== "number" || !(eosBias < Number.POSITIVE_INFINITY)) {
    throw invalidOption("eosBias", eosBias, "a number, or -Infinity");
  }
  checkOptions({
    ...{ temperature, topK, minP, repetitionPenalty, seed },
    ...(maxTokens !== undefined && { maxTokens }),
    ...(stop && { stop }),
    ...(signal && { signal }),
  });
  return {
    ...{ temperature, topK, topP: 1, minP, repetitionPenalty },
    ...{ frequencyPenalty: 0, presencePenalty: 0, seed, sequence: 0 },
  };
}

interface Choice extends GenerateLargeOptions {
  readonly sampling: Sampling;
  /** Ids of prompt and text. */
  readonly seen: ReadonlySet<number>;
}

/** The next token among those that the index gives and the one that ends texts. */
function chooseLarge(
  { index, forms, tables, endSource }: LargeVocabulary,
  hidden: Float32Array,
  { sampling, seen, shortlist = 20, eosBias = 0, ...search }: Choice,
  position: number,
): { id: number; logit: number } {
  const found = index.search(hidden, shortlist, search);
  const end = forms.length;
  const exact = new Map<number, number>();
  for (const [place, id] of found.ids.entries()) exact.set(id, found.logits[place]!);
  if (endSource !== undefined && !exact.has(end)) {
    const rows = tables.head ?? tables.embedding;
    const row = rows.subarray(end * hidden.length, (end + 1) * hidden.length);
    exact.set(
      end,
      row.reduce((sum, value, i) => sum + value * hidden[i]!, 0),
    );
  }
  const { repetitionPenalty } = sampling;
  const logits = Float32Array.from(exact, ([id, logit]) => {
    const biased = id === end ? logit + eosBias : logit;
    if (!seen.has(id)) return biased;
    return biased > 0 ? biased / repetitionPenalty : biased * repetitionPenalty;
  });
  const distribution = tokenDistribution(logits, sampling, Int32Array.from(exact.keys()));
  const id = pickToken(distribution, uniformFor(sampling, position));
  return { id, logit: exact.get(id)! };
}
