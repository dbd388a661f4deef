/** What an encoder checkpoint was trained to do, and the names of its classes. */
import type { ModelConfig } from "../../../checkpoint/text-config.ts";
import { type Fields, given, invalid, isFields } from "../../decoder/config-fields.ts";
import { namedScoreActivation, type ScoreActivation } from "./score-activation.ts";

/** What the class of a checkpoint does, by the end of its name in `architectures`. */
export type EncoderTask =
  | "states"
  | "masked"
  | "pretraining"
  | "sequence"
  | "tokens"
  | "span"
  | "next-sentence";

const endings: readonly (readonly [string, EncoderTask])[] = [
  ["ForMaskedLM", "masked"],
  ["ForPreTraining", "pretraining"],
  ["ForSequenceClassification", "sequence"],
  ["ForTokenClassification", "tokens"],
  ["ForQuestionAnswering", "span"],
  ["ForNextSentencePrediction", "next-sentence"],
];

/** The task of a `config.json`; `states` where the class is a bare encoder or unknown. */
export function encoderTask({ architectures = [] }: ModelConfig): EncoderTask {
  for (const name of architectures) {
    const found = endings.find(([ending]) => name.endsWith(ending));
    if (found) return found[1];
  }
  return "states";
}

/** Class names and how classes relate. */
export interface Labels {
  /** Names of the classes of a classification head, by index. */
  readonly labels: readonly string[];
  /** Classes exclude each other (softmax), do not (sigmoid), or there is none (a score). */
  readonly problemType: "single-label" | "multi-label" | "regression";
  /** What makes scores of the logits of classes where the file does not name it. */
  readonly classActivation: ScoreActivation;
  /** What the file of a cross encoder names in its place. */
  readonly scoreActivation: ScoreActivation | undefined;
}

const problems: Readonly<Record<string, Labels["problemType"]>> = {
  single_label_classification: "single-label",
  multi_label_classification: "multi-label",
  regression: "regression",
};

const activations: Readonly<Record<Labels["problemType"], ScoreActivation>> = {
  "single-label": "softmax",
  "multi-label": "sigmoid",
  regression: "identity",
};

/** A `problem_type`, as `readLabels` reads it. */
export function problemName(problemType: Labels["problemType"]): string {
  return Object.keys(problems).find((name) => problems[name] === problemType)!;
}

/** More classes than any published head has. */
const maxLabels = 1_000_000;

/**
 * `id2label` (or `num_labels`), `problem_type`, and what makes scores. Without either of the first there are two classes, as
 * in transformers; one class alone is a score, between 0 and 1 unless `problem_type` says `regression`.
 *
 * @throws JetonError `model-config-invalid`
 */
export function readLabels(fields: Fields): Labels {
  const labels = labelNames(fields);
  const problem = fields["problem_type"];
  const scoreActivation = namedScoreActivation(fields);
  if (!given(problem)) {
    return labels.length === 1
      ? { labels, problemType: "regression", classActivation: "sigmoid", scoreActivation }
      : { labels, problemType: "single-label", classActivation: "softmax", scoreActivation };
  }
  const isKnown = typeof problem === "string" && Object.hasOwn(problems, problem);
  const known = isKnown ? problems[problem] : undefined;
  if (!known) throw invalid("problem_type", problem, Object.keys(problems).join(", "));
  return { labels, problemType: known, classActivation: activations[known], scoreActivation };
}

function labelNames(fields: Fields): string[] {
  const table = fields["id2label"];
  if (isFields(table)) {
    const entries = Object.entries(table);
    return entries.map((_, index) => {
      const label = table[index];
      if (typeof label !== "string") {
        throw invalid("id2label", table, `names for the ids 0 to ${entries.length - 1}`);
      }
      return label;
    });
  }
  if (given(table)) throw invalid("id2label", table, "an object of names by id");
  const count = fields["num_labels"] ?? 2;
  if (typeof count !== "number" || !Number.isSafeInteger(count) || count < 1 || count > maxLabels) {
    throw invalid("num_labels", count, "a positive number");
  }
  return Array.from({ length: count }, (_, index) => `LABEL_${index}`);
}
