/** What an encoder checkpoint was trained to do, and the names of its classes. */
import type { ModelConfig } from "../../../checkpoint/text-config.ts";
import { type Fields, given, invalid, isFields } from "../../decoder/config-fields.ts";

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
  readonly labels: readonly string[];
  readonly problemType: "single-label" | "multi-label" | "regression";
}

const problems: Readonly<Record<string, Labels["problemType"]>> = {
  single_label_classification: "single-label",
  multi_label_classification: "multi-label",
  regression: "regression",
};

/** A `problem_type`, as `readLabels` reads it. */
export function problemName(problemType: Labels["problemType"]): string {
  return Object.keys(problems).find((name) => problems[name] === problemType)!;
}

/** More classes than any published head has. */
const maxLabels = 1_000_000;

/**
 * `id2label` (or `num_labels`) and `problem_type`. Without either there are two classes, as in
 * transformers; one class alone is a score.
 *
 * @throws JetonError `model-config-invalid`
 */
export function readLabels(fields: Fields): Labels {
  const labels = labelNames(fields);
  const problem = fields["problem_type"];
  if (!given(problem)) {
    return { labels, problemType: labels.length === 1 ? "regression" : "single-label" };
  }
  const known = typeof problem === "string" ? problems[problem] : undefined;
  if (!known) throw invalid("problem_type", problem, Object.keys(problems).join(", "));
  return { labels, problemType: known };
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
