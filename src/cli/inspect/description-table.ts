/** Model descriptions side by side, as the rows of a table. */
import { formatBytes, formatCount } from "../../core/progress.ts";
import type { ArchitectureDescription } from "./architecture.ts";
import type { ModelDescription, TokenizerDescription, WeightsDescription } from "./description.ts";

/** A row of the table: its label and one description's cell; null if the model has no such part. */
type Row = readonly [
  label: string,
  cell: (description: ModelDescription) => string | number | null,
];

const architecture =
  (pick: (model: ArchitectureDescription) => string | number | null) =>
  ({ model }: ModelDescription): string | number | null =>
    model === null ? null : pick(model);
const weights =
  (pick: (weights: WeightsDescription) => string) =>
  ({ weights }: ModelDescription): string | null =>
    weights === null ? null : pick(weights);
const tokenizer =
  (pick: (tokenizer: TokenizerDescription) => string | null) =>
  ({ tokenizer }: ModelDescription): string | null =>
    tokenizer === null ? null : pick(tokenizer);

const table: readonly Row[] = [
  ["architecture", architecture((m) => m.architecture ?? m.family)],
  ["kind", architecture((m) => m.kind)],
  ["does not run", architecture((m) => m.reason)],
  ["parameters", weights((w) => `${formatCount(w.parameters)} (${w.parameters})`)],
  ["stored as", weights(describeDtypes)],
  ["size", weights((w) => `${formatBytes(w.bytes)} in ${w.files} file${w.files === 1 ? "" : "s"}`)],
  ["default format", weights((w) => w.defaultFormat)],
  ["context length", architecture((m) => m.contextLength)],
  ["layers", architecture((m) => m.layers)],
  ["hidden size", architecture((m) => m.hiddenSize)],
  ["heads", architecture(describeHeads)],
  ["feed-forward size", architecture((m) => m.intermediateSize)],
  ["vocabulary", architecture((m) => m.vocabSize)],
  ["tied embeddings", architecture((m) => yesNo(m.tieWordEmbeddings))],
  ["rope theta", architecture((m) => m.ropeTheta)],
  ["rope scaling", architecture((m) => m.ropeScaling)],
  ["sliding window", architecture(describeWindow)],
  ["tokenizer", tokenizer((t) => `${t.kind}, ${t.vocabSize} tokens`)],
  ["special tokens", tokenizer((t) => String(t.specialTokens))],
  ["bos token", tokenizer((t) => t.bosToken)],
  ["eos token", tokenizer((t) => t.eosToken)],
  ["chat template", tokenizer((t) => yesNo(t.chatTemplate))],
  ["folder", (description) => description.path],
];

/** A row of labels and one cell for each description; rows that no description has are left out. */
export function describeRows(descriptions: readonly ModelDescription[]): string[][] {
  const rows = [["", ...descriptions.map((description) => description.name)]];
  for (const [label, pick] of table) {
    const cells = descriptions.map(pick);
    if (cells.every((cell) => cell === null)) continue;
    rows.push([label, ...cells.map((cell) => String(cell ?? "-"))]);
  }
  return rows;
}

function describeDtypes({ dtypes, parameters }: WeightsDescription): string {
  const names = Object.keys(dtypes);
  if (names.length === 1) return names[0]!;
  const percent = (count: number): string => `${((count / parameters) * 100).toFixed(1)} %`;
  return names.map((name) => `${name} ${percent(dtypes[name]!)}`).join(", ");
}

function describeHeads({ heads, keyValueHeads, headDim }: ArchitectureDescription): string | null {
  if (heads === null) return null;
  const keyValue = keyValueHeads === heads ? "" : `, ${keyValueHeads} for keys and values`;
  return `${heads}${keyValue}${headDim === null ? "" : `, of ${headDim}`}`;
}

function describeWindow({
  slidingWindow,
  slidingLayers,
  layers,
}: ArchitectureDescription): string | null {
  if (slidingWindow === null) return null;
  const some = slidingLayers !== null && slidingLayers !== layers;
  return `${slidingWindow}${some ? ` in ${slidingLayers} of ${layers} layers` : ""}`;
}

function yesNo(value: boolean | null): string | null {
  return value === null ? null : value ? "yes" : "no";
}
