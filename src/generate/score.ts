/**
 * How probable a model finds a text: log-probabilities, perplexity, bits per byte.
 */
import { JetonError } from "../core/index.ts";
import {
  checkOptionRules,
  describeValue,
  functionRule,
  integerRule,
  type OptionRule,
  positiveRule,
  signalRule,
} from "../core/option-rules.ts";
import { checkDecoder } from "../model/check-loaded.ts";
import type { LoadedModel, StepResult } from "../model/index.ts";
import { promptChunkOf, refuseChosenPrompt } from "./context-policy.ts";
import { checkIds, isPrompt, promptIds } from "./prompt.ts";
import { checkFinite } from "./sampling/sampler.ts";
import { topTokens } from "./top-tokens.ts";
import type { Prompt, ScoredToken, ScoreResult } from "./types.ts";

/** Options of `score`. */
export interface ScoreOptions {
  /**
   * Comes before the text and is not scored. Two texts are read as one; a token that reaches from the
   * one into the other is scored. Default: the BOS token, if any.
   */
  prefix?: Prompt;
  /** Tokens of one forward pass; under a context policy rounded up to its whole prompt chunks. Default 256. */
  chunk?: number;
  /** Also report this many of the most probable tokens at every scored place, at most 20. Default 0. */
  topLogProbabilities?: number;
  /** Called with the tokens scored so far and in all. */
  onProgress?: (done: number, total: number) => void;
  /** Aborting ends the scoring with the signal's reason. */
  signal?: AbortSignal;
}

const scoreRules: Readonly<Record<keyof ScoreOptions, OptionRule>> = {
  prefix: { test: isPrompt, expected: "a text or token ids" },
  chunk: positiveRule,
  topLogProbabilities: integerRule(0, 20),
  onProgress: functionRule,
  signal: signalRule,
};

/**
 * Scores every token of a text given those before it. A text longer than the context is scored in
 * windows that overlap by half of it, so that a token is never judged from less than that.
 *
 * @throws JetonError `model-not-loaded`, `generate-prompt-invalid`, `generate-option-unknown`, `generate-option-invalid`,
 *   `score-text-empty`, `generate-logits-not-finite`, `context-policy-unavailable` under a policy that chooses among a
 *   prompt's tokens
 */
export async function score(
  model: LoadedModel,
  text: Prompt,
  options: ScoreOptions = {},
): Promise<ScoreResult> {
  checkDecoder(model);
  checkOptionRules(options, scoreRules, {
    what: "a scoring",
    unknownCode: "generate-option-unknown",
    invalidCode: "generate-option-invalid",
  });
  refuseChosenPrompt(model, "scores of a text");
  const { signal, topLogProbabilities: alternatives = 0 } = options;
  const multiple = promptChunkOf(model.contextPolicy);
  const chunk = multiple * Math.ceil((options.chunk ?? 256) / multiple);
  const { ids, firstScored, content } = layOut(model, text, options.prefix);
  const total = ids.length - firstScored;
  if (total < 1) {
    throw new JetonError("there is no token to score: give a longer text", {
      code: "score-text-empty",
      details: { tokens: ids.length },
    });
  }
  const scores: PlaceScore[] = new Array(ids.length);
  const context = model.contextLength;
  const overlap = Math.floor(context / 2);
  let scored = firstScored;
  let start = 0;
  while (scored < ids.length) {
    const end = Math.min(ids.length, start + context);
    await scoreWindow(model, ids, { start, end, scored, chunk, alternatives, signal }, scores);
    scored = end;
    options.onProgress?.(scored - firstScored, total);
    start = end - overlap;
  }

  const tokens: ScoredToken[] = [];
  let sum = 0;
  for (let index = firstScored; index < ids.length; index++) {
    const place = scores[index]!;
    sum += place.logProbability;
    const id = ids[index]!;
    tokens.push({ id, text: model.tokenizer.idToToken(id) ?? "", ...place });
  }
  const bytes = new TextEncoder().encode(content).length;
  return {
    tokens,
    logProbability: sum,
    perplexity: Math.exp(-sum / total),
    bitsPerByte: -sum / (Math.LN2 * bytes),
    scoredTokens: total,
    bytes,
  };
}

/** What the model reads, which of it is scored, and the text of that. */
function layOut(
  model: LoadedModel,
  text: Prompt,
  prefix: Prompt | undefined,
): { ids: number[]; firstScored: number; content: string } {
  const { tokenizer } = model;
  if (!isPrompt(text)) {
    throw new JetonError("the text to score is neither text nor token ids", {
      code: "generate-prompt-invalid",
      details: { found: describeValue(text), expected: "a string, or ids" },
    });
  }
  const options = { addSpecialTokens: false, applyLimits: false } as const;
  if (typeof text === "string" && typeof prefix === "string") {
    // Read as one text: on its own, many tokenizers would put another space before the second part.
    const joined = tokenizer.encodeIds(prefix + text, options);
    const alone = tokenizer.encodeIds(prefix, options);
    let shared = 0;
    while (shared < alone.length && joined[shared] === alone[shared]) shared++;
    const start = beginning(model);
    const firstScored = Math.max(1, start.length + shared);
    return { ids: [...start, ...joined], firstScored, content: text };
  }
  const before = prefix === undefined ? beginning(model) : promptIds(model, prefix);
  if (typeof text !== "string") {
    const content = tokenizer.decode(before.length > 0 ? text : text.slice(1), {
      skipSpecialTokens: false,
    });
    checkIds(model, text);
    return { ids: [...before, ...text], firstScored: Math.max(1, before.length), content };
  }
  if (before.length > 0) {
    const target = tokenizer.encodeIds(text, options);
    return { ids: [...before, ...target], firstScored: before.length, content: text };
  }
  // Nothing says how probable the first token is, so its bytes do not count either.
  const { ids, offsets } = tokenizer.encode(text, options);
  return { ids: [...ids], firstScored: 1, content: text.slice(offsets[1]?.[0] ?? text.length) };
}

function beginning(model: LoadedModel): number[] {
  // Whether a text begins with a special token is the tokenizer's own rule.
  const empty = [...model.tokenizer.encodeIds("", { applyLimits: false })];
  if (empty.length > 0) return empty;
  return model.bosTokenId === undefined ? [] : [model.bosTokenId];
}

type PlaceScore = Pick<ScoredToken, "logProbability" | "topLogProbabilities">;

interface Window {
  readonly start: number;
  readonly end: number;
  /** First token whose score is not known yet. */
  readonly scored: number;
  readonly chunk: number;
  /** Most probable tokens to report. */
  readonly alternatives: number;
  readonly signal: AbortSignal | undefined;
}

async function scoreWindow(
  model: LoadedModel,
  ids: readonly number[],
  { start, end, scored, chunk, alternatives, signal }: Window,
  scores: PlaceScore[],
): Promise<void> {
  const sequence = await model.openSequence({
    promptLength: end - start,
    ...(signal && { signal }),
  });
  try {
    // The last token is only a target.
    for (let from = start, to = start; from < end - 1; from = to) {
      // Tokens before the scored ones are no targets: a prefix may hold ids that the head does not have.
      const wanted = from >= scored - 1;
      to = Math.min(wanted ? end - 1 : scored - 1, from + chunk);
      const result = await sequence.step(
        {
          ids: ids.slice(from, to),
          results: wanted ? "all" : "none",
          ...(wanted && { targets: ids.slice(from + 1, to + 1) }),
          ...(wanted && alternatives > 0 && { topK: alternatives }),
        },
        signal ? { signal } : {},
      );
      if (!wanted) continue;
      for (let index = from + 1; index <= to; index++) {
        if (index < scored) continue;
        const place = readPlace(result, index - from - 1, ids[index]!, alternatives);
        checkFinite(place.logProbability);
        scores[index] = place;
      }
    }
  } finally {
    await sequence.release();
  }
}

/** The score of one row's target, and the most probable tokens of that row. */
function readPlace(result: StepResult, row: number, id: number, alternatives: number): PlaceScore {
  const logProbability = result.targetLogProbabilities![row]!;
  if (alternatives === 0) return { logProbability };
  const topLogProbabilities = topTokens(result, row);
  // One token has one number, to the last bit, wherever it is reported.
  const own = topLogProbabilities.find((top) => top.id === id);
  return { logProbability: own?.logProbability ?? logProbability, topLogProbabilities };
}
