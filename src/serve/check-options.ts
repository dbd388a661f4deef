/** Checks of the options with which a server is started. */
import {
  checkOptionRules,
  choiceRule,
  countRule,
  flagRule,
  functionRule,
  integerRule,
  invalidValue,
  type OptionRule,
  positiveRule,
  textRule,
} from "../core/option-rules.ts";
import { drafterChoices } from "../generate/speculative/drafter-names.ts";
import { checkEncoder } from "../model/check-loaded.ts";
import type { StartServerOptions } from "./server.ts";

const code = "serve-invalid-option";
const port = integerRule(0, 65_535);

const isTexts = (value: unknown): boolean =>
  Array.isArray(value) && value.every((one) => typeof one === "string");
/** What a browser sends as the origin of a page (`null` from a file), or `*`. */
const isOrigin = (value: unknown): boolean =>
  typeof value === "string" && /^(?:\*|null|[a-z][a-z\d+.-]*:\/\/[^/\s]+)$/i.test(value);
const texts: OptionRule = { test: isTexts, expected: "a list of texts" };

const rules: Readonly<Record<keyof StartServerOptions, OptionRule>> = {
  port,
  host: { test: (value) => typeof value === "string" && value !== "", expected: "an address" },
  apiKey: textRule,
  maxQueue: countRule,
  maxBodyBytes: positiveRule,
  modelName: textRule,
  corsOrigin: {
    test: (value) => (isTexts(value) ? (value as string[]) : [value]).every(isOrigin),
    expected: "an origin as https://example.org, without a path, a list of them, or *",
  },
  allowedHosts: texts,
  encoder: { test: (value) => typeof value === "object", expected: "a loaded encoder" },
  encoderName: textRule,
  drafter: choiceRule(drafterChoices),
  contextPolicies: texts,
  draftModel: {
    test: (value) => typeof value === "string" || (typeof value === "object" && value !== null),
    expected: "a loaded model, a folder or a name on the hub",
  },
  studio: flagRule,
  stallMs: integerRule(1, 2 ** 31 - 1),
  onLog: functionRule,
};

/** @throws JetonError `serve-invalid-option`, `model-not-loaded` for an encoder that is none */
export function checkServerOptions(options: StartServerOptions): void {
  checkOptionRules(options, rules, { what: "a server", invalidCode: code });
  if (options.port === undefined) throw invalidValue("port", undefined, port.expected, code);
  if (options.encoder !== undefined) checkEncoder(options.encoder);
}
