/** What other tools call an encoder: the class of a checkpoint, and the prefix of its base model's tensors. */
import type { EncoderConfig } from "./config.ts";
import { mixerFamily } from "./mixer/mixer-config.ts";
import type { EncoderTask } from "./tasks/encoder-task.ts";

/** First part of the class's name, and the prefix of the base model inside a class with a head. */
const families: Readonly<Record<string, readonly [className: string, prefix: string]>> = {
  bert: ["Bert", "bert"],
  roberta: ["Roberta", "roberta"],
  "xlm-roberta": ["XLMRoberta", "roberta"],
  camembert: ["Camembert", "roberta"],
  mpnet: ["MPNet", "mpnet"],
  "deberta-v2": ["DebertaV2", "deberta"],
  distilbert: ["DistilBert", "distilbert"],
  albert: ["Albert", "albert"],
  electra: ["Electra", "electra"],
  modernbert: ["ModernBert", "model"],
  nomic_bert: ["NomicBert", "bert"],
  [mixerFamily]: ["Bert", "bert"],
};

const suffixes: Readonly<Partial<Record<EncoderTask, string>>> = {
  states: "Model",
  masked: "ForMaskedLM",
  sequence: "ForSequenceClassification",
  tokens: "ForTokenClassification",
};

/** The class that other tools load a checkpoint by, e.g. `BertForMaskedLM`; undefined where there is none. */
export function encoderClassName(family: string, task: EncoderConfig["task"]): string | undefined {
  const [name] = families[family] ?? [];
  const suffix = suffixes[task];
  return name === undefined || suffix === undefined ? undefined : name + suffix;
}

/** Parts of heads, whose names stand without a prefix; a pooler belongs to the base model. */
const headParts =
  /^(cls|lm_head|vocab_|classifier|pre_classifier|predictions|generator_|discriminator_|qa_outputs|sop_classifier|decoder\.|head\.)/;

/** A parameter's name as a class with a head stores it. */
export function prefixEncoderName(family: string, name: string): string {
  const [, prefix] = families[family] ?? [];
  return prefix === undefined || headParts.test(name) ? name : `${prefix}.${name}`;
}
