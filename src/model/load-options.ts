/** Checks of the options with which models are loaded. */
import {
  checkOptionRules,
  choiceRule,
  flagRule,
  functionRule,
  type OptionRule,
  positiveRule,
  signalRule,
  textRule,
  threadsRule,
} from "../core/option-rules.ts";
import type { LoadModelOptions } from "./types.ts";

const rules: Readonly<Record<keyof LoadModelOptions, OptionRule>> = {
  format: choiceRule(["f32", "int8", "int8-channel", "int4"]),
  threads: threadsRule,
  slots: positiveRule,
  contextLength: positiveRule,
  exact: flagRule,
  inline: flagRule,
  cacheFolder: textRule,
  onProgress: functionRule,
  onWarning: functionRule,
  signal: signalRule,
};

/**
 * Checks names, types and ranges.
 *
 * @param without options that this kind of model does not have
 * @throws JetonError `model-option-unknown`, `model-option-invalid`
 */
export function checkLoadOptions(
  options: unknown,
  without: readonly (keyof LoadModelOptions)[] = [],
): void {
  const own = Object.entries(rules).filter(
    ([name]) => !(without as readonly string[]).includes(name),
  );
  checkOptionRules(options, Object.fromEntries(own), {
    what: "loading a model",
    unknownCode: "model-option-unknown",
    invalidCode: "model-option-invalid",
  });
}
