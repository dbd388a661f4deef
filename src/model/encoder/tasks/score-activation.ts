/** What makes scores of the logits of classes. */
import { softmax } from "../../../core/index.ts";
import { type Fields, given, invalid, isFields } from "../../decoder/config-fields.ts";
import {
  type Activation,
  torchActivationNames,
  torchActivationOf,
} from "../../layers/activation.ts";

/** A function from the logits of a text's classes to their scores. */
export type ScoreActivation =
  | Extract<Activation, "identity" | "sigmoid" | "tanh" | "relu">
  | "softmax";

const known: readonly ScoreActivation[] = ["identity", "sigmoid", "tanh", "relu", "softmax"];

/** Classes of torch that a cross encoder's folder may name. */
export const scoreActivationNames: readonly string[] = [
  ...torchActivationNames.filter((name) => known.includes(torchActivationOf(name) as never)),
  "Softmax",
];

/** The function that a class of torch names, such as `torch.nn.modules.activation.Sigmoid`; undefined: unknown. */
export function scoreActivationOf(name: unknown): ScoreActivation | undefined {
  const last = typeof name === "string" ? name.split(".").at(-1)!.toLowerCase() : undefined;
  const found = last === "softmax" ? last : torchActivationOf(name);
  return known.find((one) => one === found);
}

/**
 * What a `config.json` of sentence-transformers names: `activation_fn` of the versions from 4 on, otherwise the key of older
 * ones. Undefined where it names none.
 *
 * Source: sentence-transformers 5.4, `CrossEncoder.get_default_activation_fn`.
 *
 * @throws JetonError `model-config-invalid` for a name that is not known
 */
export function namedScoreActivation(fields: Fields): ScoreActivation | undefined {
  const own = fields["sentence_transformers"];
  const old = "sbert_ce_default_activation_function";
  const isOwn = isFields(own) && Object.hasOwn(own, "activation_fn");
  const [key, name] = isOwn
    ? ["sentence_transformers.activation_fn", own["activation_fn"]]
    : [old, fields[old]];
  if (!given(name)) return undefined;
  const activation = scoreActivationOf(name);
  if (activation) return activation;
  throw invalid(key, name, scoreActivationNames.join(", "));
}

/** Scores of logits, in their order. */
export function scoreLogits(
  logits: Float32Array | readonly number[],
  activation: ScoreActivation,
): number[] {
  switch (activation) {
    case "identity":
      return [...logits];
    case "sigmoid":
      return Array.from(logits, sigmoid);
    case "tanh":
      return Array.from(logits, Math.tanh);
    case "relu":
      return Array.from(logits, (logit) => Math.max(0, logit));
    case "softmax":
      return Array.from(softmax(logits));
  }
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
