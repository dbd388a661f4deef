/**
 * Options of a generation: checked, and filled in from the checkpoint's `generation_config.json`.
 */
import { JetonError } from "../../core/index.ts";
import type { LoadedModel } from "../../model/index.ts";
import type { GenerateOptions, Prompt } from "../types.ts";
import type { Sampling } from "./sampler.ts";

interface Rule {
  readonly test: (value: number) => boolean;
  readonly expected: string;
}

const fraction: Rule = { test: (v) => v > 0 && v <= 1, expected: "a number above 0, up to 1" };
const count: Rule = {
  test: (v) => Number.isSafeInteger(v) && v >= 0,
  expected: "a non-negative integer",
};
const positiveCount: Rule = {
  test: (v) => Number.isSafeInteger(v) && v > 0,
  expected: "a positive integer",
};

const rules: Readonly<Record<string, Rule>> = {
  temperature: { test: (v) => v >= 0 && v <= 100, expected: "a number from 0 to 100" },
  topK: count,
  topP: fraction,
  minP: { test: (v) => v >= 0 && v <= 1, expected: "a number from 0 to 1" },
  repetitionPenalty: { test: (v) => v > 0 && v <= 100, expected: "a positive number up to 100" },
  seed: { test: Number.isSafeInteger, expected: "an integer" },
  maxTokens: count,
  sequence: count,
  topLogProbabilities: {
    test: (v) => Number.isSafeInteger(v) && v >= 0 && v <= 20,
    expected: "an integer from 0 to 20",
  },
  prefillChunk: positiveCount,
  maxDraft: {
    test: (v) => Number.isSafeInteger(v) && v > 0 && v <= 1024,
    expected: "an integer from 1 to 1024",
  },
};

/** @throws JetonError `generate-option-invalid` naming the option, its value and what was expected */
export function checkOptions(options: GenerateOptions): void {
  for (const [name, { test, expected }] of Object.entries(rules)) {
    const value = options[name as keyof GenerateOptions];
    if (value === undefined) continue;
    if (typeof value !== "number" || !test(value)) throw invalid(name, value, expected);
  }
  const { stop, stopIds, drafter } = options;
  for (const [name, list] of [
    ["stop", stop],
    ["stopIds", stopIds],
  ] as const) {
    if (list !== undefined && !Array.isArray(list)) throw invalid(name, list, "a list");
  }
  if (drafter !== undefined && typeof drafter.begin !== "function") {
    throw invalid("drafter", drafter, "a drafter, such as `openDrafter` gives for a name");
  }
  if (stop?.some((text) => typeof text !== "string" || text === "")) {
    throw invalid("stop", stop, "non-empty strings");
  }
  if (stopIds?.some((id) => !Number.isSafeInteger(id) || id < 0)) {
    throw invalid("stopIds", stopIds, "token ids");
  }
}

function invalid(name: string, value: unknown, expected: string): JetonError {
  return new JetonError(`${name} is ${JSON.stringify(value)}, expected ${expected}`, {
    code: "generate-option-invalid",
    details: { name, value, expected },
  });
}

/** Sampling with the model's own defaults for whatever the caller leaves open. */
export function resolveSampling(model: LoadedModel, options: GenerateOptions): Sampling {
  const file = model.checkpoint.generationConfig ?? {};
  const fromFile = (name: string, option: string, fallback: number): number => {
    const value = file[name];
    return typeof value === "number" && rules[option]!.test(value) ? value : fallback;
  };
  // A file that says nothing about sampling leaves the choice to the most probable token only where
  // it says so: `do_sample: false`.
  const asksForGreedy = options.temperature === undefined && file["do_sample"] === false;
  const greedy = options.greedy ?? asksForGreedy;
  return {
    temperature: greedy ? 0 : (options.temperature ?? fromFile("temperature", "temperature", 1)),
    topK: options.topK ?? fromFile("top_k", "topK", 0),
    topP: options.topP ?? fromFile("top_p", "topP", 1),
    minP: options.minP ?? fromFile("min_p", "minP", 0),
    repetitionPenalty:
      options.repetitionPenalty ?? fromFile("repetition_penalty", "repetitionPenalty", 1),
    seed: options.seed ?? Math.floor(Math.random() * 2 ** 32),
    sequence: options.sequence ?? 0,
  };
}

/** The ids of a prompt. The empty text is the beginning-of-sequence token alone. */
export function promptIds(model: LoadedModel, prompt: Prompt): number[] {
  const ids =
    typeof prompt === "string"
      ? [...model.tokenizer.encodeIds(prompt, { applyLimits: false })]
      : Array.from(prompt);
  const vocabulary = model.config.vocabSize;
  const wrong = ids.find((id) => !Number.isSafeInteger(id) || id < 0 || id >= vocabulary);
  if (wrong !== undefined) {
    throw new JetonError(`the prompt holds the id ${wrong}, the model has ${vocabulary} tokens`, {
      code: "generate-prompt-invalid",
      details: { id: wrong, vocabulary },
    });
  }
  if (ids.length > 0) return ids;
  const start = model.bosTokenId ?? model.eosTokenIds[0];
  if (start === undefined || typeof prompt !== "string") {
    throw new JetonError("the prompt is empty and the model has no beginning-of-sequence token", {
      code: "generate-prompt-empty",
    });
  }
  return [start];
}

/** Rows that stand in place of the prompt, if any were given. */
export function promptEmbeddings(
  model: LoadedModel,
  { promptEmbeddings: rows }: GenerateOptions,
): Float32Array | undefined {
  const { hiddenSize } = model.config;
  if (rows && (rows.length === 0 || rows.length % hiddenSize !== 0)) {
    throw new JetonError(
      `promptEmbeddings hold ${rows.length} numbers, expected a multiple of the model's width, ${hiddenSize}`,
      {
        code: "generate-option-invalid",
        details: { name: "promptEmbeddings", value: rows.length, expected: hiddenSize },
      },
    );
  }
  return rows;
}

/** Tokens to generate: what was asked for, or at most 256 of what the context leaves. */
export function resolveMaxTokens(
  model: LoadedModel,
  promptLength: number,
  asked: number | undefined,
): number {
  const room = model.contextLength - promptLength;
  if (room < (asked ?? 1)) {
    throw new JetonError(
      `${promptLength} prompt tokens and ${asked ?? 1} to generate exceed the context of ${model.contextLength} tokens`,
      {
        code: "generate-context-exceeded",
        details: {
          promptTokens: promptLength,
          maxTokens: asked,
          contextLength: model.contextLength,
        },
      },
    );
  }
  return asked ?? Math.min(256, room);
}
