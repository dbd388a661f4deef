/** Checks of what the functions on an encoder are given: the model, the texts, names and types of options. */
import { JetonError } from "../../../core/index.ts";
import {
  checkedLater,
  checkOptionRules,
  choiceRule,
  describeValue,
  flagRule,
  functionRule,
  type OptionRule,
  positiveRule,
  signalRule,
  textRule,
} from "../../../core/option-rules.ts";
import { checkEncoder } from "../../check-loaded.ts";

// Ranges that depend on the model are the function's own to check.
const rules = {
  dimensions: checkedLater,
  group: flagRule,
  mask: textRule,
  maxLength: checkedLater,
  maxTokens: positiveRule,
  normalize: flagRule,
  onProgress: functionRule,
  pooling: checkedLater,
  prompt: textRule,
  promptName: textRule,
  role: choiceRule(["query", "document"]),
  signal: signalRule,
  terms: checkedLater,
  topK: checkedLater,
  topN: checkedLater,
} as const satisfies Record<string, OptionRule>;

/** A function on an encoder. */
export type EncoderFunction =
  | "classify"
  | "classifyTokens"
  | "embed"
  | "embedHybrid"
  | "embedSparse"
  | "embedTokens"
  | "fillMask"
  | "findSpans"
  | "rerank";

/** The options of each function. */
const optionsOf: Readonly<Record<EncoderFunction, readonly (keyof typeof rules)[]>> = {
  classify: ["topK", "maxLength", "signal"],
  classifyTokens: ["group", "signal"],
  embed: [
    "pooling",
    "normalize",
    "prompt",
    "promptName",
    "role",
    "dimensions",
    "maxLength",
    "signal",
    "onProgress",
  ],
  embedHybrid: ["terms", "maxLength", "signal", "onProgress"],
  embedSparse: ["terms", "prompt", "promptName", "role", "maxLength", "signal", "onProgress"],
  embedTokens: ["role", "signal"],
  fillMask: ["topK", "mask", "signal"],
  findSpans: ["topK", "maxTokens", "signal"],
  rerank: ["topN", "maxLength", "signal"],
};

/**
 * Checks the arguments of a function on an encoder.
 *
 * @param texts every text that it reads; pairs of texts are lists of two
 * @throws JetonError `model-not-loaded`, `encoder-text-invalid`, `encoder-option-unknown`, `encoder-option-invalid`
 */
export function checkTask(
  task: EncoderFunction,
  model: unknown,
  texts: unknown,
  options: unknown,
): void {
  checkEncoder(model);
  if (!Array.isArray(texts)) throw invalidText(texts, "a list of texts");
  for (const [at, text] of texts.entries()) {
    const isPair = task === "classify" && Array.isArray(text) && text.length === 2;
    if ((isPair ? text : [text]).every((one: unknown) => typeof one === "string")) continue;
    throw invalidText(text, task === "classify" ? "a text or a pair" : "a text", at);
  }
  const own = optionsOf[task].map((name) => [name, rules[name]] as const);
  checkOptionRules(options, Object.fromEntries(own), {
    what: task,
    unknownCode: "encoder-option-unknown",
    invalidCode: "encoder-option-invalid",
  });
}

function invalidText(found: unknown, expected: string, at?: number): JetonError {
  const place = at === undefined ? "the texts are" : `text ${at} is`;
  return new JetonError(`${place} ${describeValue(found)}, expected ${expected}`, {
    code: "encoder-text-invalid",
    details: { found, expected, ...(at !== undefined && { at }) },
  });
}
