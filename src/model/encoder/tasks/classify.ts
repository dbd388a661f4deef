/** Classes of texts, of pairs of texts, of tokens and of spans, by the heads of an encoder. */
import { JetonError } from "../../../core/index.ts";
import type { LoadedEncoder } from "../types.ts";
import { answerWindows } from "./answer-windows.ts";
import { checkTask } from "./check-task.ts";
import { choosePrompt, encodeText } from "./embed.ts";
import { type ScoreActivation, scoreLogits } from "./score-activation.ts";

/** A class of a text and how sure the model is of it. */
export interface ClassScore {
  readonly label: string;
  /**
   * What the activation that the model's folder names makes of the logits (sentence-transformers' cross encoders: with
   * `Identity` the logit itself, where there is one class). Otherwise a probability: of classes that exclude each other all sum to 1, otherwise, and
   * of one class alone, each by itself; of `problem_type` `regression` the logit.
   */
  readonly score: number;
  /** What the head gives. */
  readonly logit: number;
}

/** A text, or two texts that are read as a pair. */
export type TextOrPair = string | readonly [string, string];

/** Options of `classify`. */
export interface ClassifyOptions {
  /** Only the so many most probable classes. Default: all. */
  readonly topK?: number;
  /** Texts are cut to this many tokens, the longer one of a pair first. Default: what the model takes. */
  readonly maxLength?: number;
  readonly signal?: AbortSignal;
}

/**
 * Classes of each text or pair, that with the largest logit first. The default prompt of a cross encoder's folder stands
 * before each.
 *
 * @example
 * const [classes] = await classify(model, ["The king is dead."]);
 * console.log(classes?.[0]); // { label, score, … }
 *
 * @throws JetonError `encoder-head-missing` where the checkpoint classifies no sequences,
 *   `encoder-option-invalid`, `encoder-prompt-unknown`
 */
export async function classify(
  model: LoadedEncoder,
  texts: readonly TextOrPair[],
  options: ClassifyOptions = {},
): Promise<ClassScore[][]> {
  checkTask("classify", model, texts, options);
  const { topK, signal } = options;
  if (topK !== undefined && !(Number.isSafeInteger(topK) && topK > 0)) {
    throw new JetonError(`topK is ${topK}, expected a whole number above 0`, {
      code: "encoder-option-invalid",
      details: { option: "topK", found: topK },
    });
  }
  const { logits } = await sequenceLogits(model, texts, { ...options, signal });
  const activation = classActivation(model);
  return logits.map((row) =>
    scoreClasses(model, row, activation)
      .sort((a, b) => b.logit - a.logit)
      .slice(0, topK),
  );
}

/**
 * What the folder names, otherwise what the config's problem asks for. `Identity`, which sentence-transformers writes into
 * every newer folder, says nothing of several classes: their scores stay probabilities, and the logits stand beside them.
 */
function classActivation({ sentence, config }: LoadedEncoder): ScoreActivation {
  const named = sentence.scoreActivation ?? config.classActivation;
  return named === "identity" && config.labels.length > 1 ? config.classActivation : named;
}

/** What the head of classes gives for each text or pair, and how many tokens the model read. */
export async function sequenceLogits(
  model: LoadedEncoder,
  texts: readonly TextOrPair[],
  { maxLength, signal }: { readonly maxLength?: number; readonly signal?: AbortSignal | undefined },
): Promise<{ logits: Float32Array[]; tokens: number }> {
  const limit = maxLength === undefined ? {} : { maxLength };
  // A cross encoder's default prompt stands before the first text of a pair.
  const prompt = choosePrompt(model, {});
  let tokens = 0;
  const logits = await Promise.all(
    texts.map(async (text) => {
      const { length, ...input } =
        typeof text === "string"
          ? encodeText(model, prompt + text, limit)
          : encodeText(model, prompt + text[0], { ...limit, pair: text[1] });
      tokens += length;
      const results = await model.run({ ...input, outputs: ["sequence"] }, { signal });
      return results.sequence!.data;
    }),
  );
  return { logits, tokens };
}

/** Classes with their scores, in their order. */
function scoreClasses(
  { config }: LoadedEncoder,
  logits: Float32Array,
  activation: ScoreActivation,
): ClassScore[] {
  const scores = scoreLogits(logits, activation);
  return Array.from(logits, (logit, index) => ({
    label: config.labels[index] ?? `LABEL_${index}`,
    score: scores[index]!,
    logit,
  }));
}

/** A token's or a group of tokens' class. */
export interface LabelledSpan {
  readonly label: string;
  /** Mean probability of the class over the tokens. */
  readonly score: number;
  /** `[start, end)` in the text. */
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Options of `classifyTokens`. */
export interface ClassifyTokensOptions {
  /**
   * True (default): neighbours of one class are one span, `B-` begins one anew, and spans of `O` are left
   * out. False: one span for each token.
   */
  readonly group?: boolean;
  readonly signal?: AbortSignal;
}

/** Classes of each text's tokens. */
export async function classifyTokens(
  model: LoadedEncoder,
  texts: readonly string[],
  options: ClassifyTokensOptions = {},
): Promise<LabelledSpan[][]> {
  checkTask("classifyTokens", model, texts, options);
  const { group = true, signal } = options;
  return Promise.all(
    texts.map(async (text) => {
      const { offsets, ...input } = encodeText(model, text);
      const results = await model.run({ ...input, outputs: ["tokens"] }, { signal });
      const width = model.config.labels.length;
      const spans = offsets.flatMap(([start, end], place): LabelledSpan[] => {
        if (start === end) return [];
        const row = results.tokens!.data.subarray(place * width, (place + 1) * width);
        const best = scoreClasses(model, row, "softmax").reduce((a, b) =>
          b.logit > a.logit ? b : a,
        );
        const { label, score } = best;
        return [{ label, score, start, end, text: text.slice(start, end) }];
      });
      return group ? groupSpans(spans, text) : spans;
    }),
  );
}

/** Joins neighbours of one class, as the labels' prefixes B- and I- say. */
function groupSpans(spans: readonly LabelledSpan[], text: string): LabelledSpan[] {
  const groups: { label: string; scores: number[]; start: number; end: number }[] = [];
  let open: string | undefined;
  for (const { label, score, start, end } of spans) {
    const [, prefix = "", name = label] = /^([BI])-(.*)$/s.exec(label) ?? [];
    if (name === "O") {
      open = undefined;
      continue;
    }
    if (open === name && prefix !== "B") {
      const last = groups.at(-1)!;
      last.scores.push(score);
      last.end = end;
    } else groups.push({ label: name, scores: [score], start, end });
    open = name;
  }
  return groups.map(({ label, scores, start, end }) => ({
    label,
    score: scores.reduce((sum, score) => sum + score, 0) / scores.length,
    start,
    end,
    text: text.slice(start, end),
  }));
}

/** An answer found in a text. */
export interface FoundSpan {
  readonly text: string;
  readonly start: number;
  readonly end: number;
  /** Product of the probabilities of both ends, among the text's tokens and "no answer" (the first token). */
  readonly score: number;
}

/** Options of `findSpans`. */
export interface FindSpansOptions {
  /** How many. Default 1. */
  readonly topK?: number;
  /** Tokens of an answer at most. Default 30. */
  readonly maxTokens?: number;
  readonly signal?: AbortSignal;
}

/**
 * Where a text answers a question, by a head for spans: the most probable spans first. A text that is longer than the model
 * reads is read in windows that overlap.
 */
export async function findSpans(
  model: LoadedEncoder,
  question: string,
  text: string,
  options: FindSpansOptions = {},
): Promise<FoundSpan[]> {
  checkTask("findSpans", model, [question, text], options);
  const { topK = 1, maxTokens = 30, signal } = options;
  const windows = answerWindows(model, question, text);
  const found = await Promise.all(
    windows.map(async ({ input, offsets, places }) => {
      const results = await model.run({ ...input, outputs: ["span"] }, { signal });
      const ends = endProbabilities(results.span!.data, places);
      return places.flatMap((place, a) =>
        places.slice(a, a + maxTokens).map((last, length): FoundSpan => {
          const [start, end] = [offsets[place]![0], offsets[last]![1]];
          const score = ends[0][a]! * ends[1][a + length]!;
          return { text: text.slice(start, end), start, end, score };
        }),
      );
    }),
  );
  return bestOfEach(found.flat()).slice(0, topK);
}

/** Probabilities of both ends at the places; the first token, which stands for "no answer", has its part of the sum. */
function endProbabilities(
  data: Float32Array,
  places: readonly number[],
): readonly [number[], number[]] {
  const side = (at: number): number[] => {
    const logits = Float32Array.from([0, ...places], (place) => data[2 * place + at]!);
    return scoreLogits(logits, "softmax").slice(1);
  };
  return [side(0), side(1)];
}

/** Spans by their score; of a span that several windows found the best alone. */
function bestOfEach(spans: readonly FoundSpan[]): FoundSpan[] {
  const best = new Map<string, FoundSpan>();
  for (const span of spans) {
    const key = `${span.start} ${span.end}`;
    const known = best.get(key);
    if (known === undefined || span.score > known.score) best.set(key, span);
  }
  return [...best.values()].sort((a, b) => b.score - a.score);
}
