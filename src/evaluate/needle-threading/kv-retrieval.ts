/** Key-value retrieval: the value of one key among many pairs, by the place of the pair (Liu et al., 2023). */
import { JetonError } from "../../core/index.ts";
import {
  type EvaluatedModel,
  type EvaluationReport,
  evaluateGrid,
  type MeasureGridOptions,
  type PlannedCell,
  type Question,
} from "../long-context/index.ts";
import { needleOptionError, type Pair, samplePairs } from "./haystack.ts";
import { isAnswered, scoreAnswer } from "./score-answer.ts";

/** An object of pairs and the one that is asked for. */
export interface KeyValueRecord {
  readonly pairs: readonly Pair[];
  /** Place of the asked pair in `pairs`. */
  readonly asked: number;
}

/** Options of `evaluateKeyValues`. */
export interface EvaluateKeyValuesOptions extends MeasureGridOptions {
  /** The objects, e.g. of `parseKeyValueRecords`. Default: drawn for each of `pairs` by the seed. */
  readonly records?: readonly KeyValueRecord[] | undefined;
  /** Numbers of pairs, where there are no `records`. Default 75 and 140, as published. */
  readonly pairs?: readonly number[] | undefined;
  /** Places of the asked pair in percent. Default 0, 25, 50, 75 and 100. */
  readonly depths?: readonly number[] | undefined;
  /** Questions of a cell. Default 5; at most one for each record. */
  readonly repeats?: number | undefined;
  /** Default 0. */
  readonly seed?: number | undefined;
}

/**
 * Reads the published files: JSON lines of `ordered_kv_records`, `key` and `value`.
 *
 * @throws JetonError `kv-retrieval-line-invalid`
 */
export function parseKeyValueRecords(text: string): KeyValueRecord[] {
  return text
    .split("\n")
    .flatMap((line, i) => (line.trim() === "" ? [] : [parseRecord(line, i + 1)]));
}

function parseRecord(line: string, number: number): KeyValueRecord {
  try {
    const { ordered_kv_records, key, value } = JSON.parse(line) as Record<string, unknown>;
    const pairs = (ordered_kv_records as [unknown, unknown][]).map(([own, its]) => {
      if (typeof own !== "string" || typeof its !== "string") throw new TypeError("no strings");
      return { key: own, value: its };
    });
    const asked = pairs.findIndex((pair) => pair.key === key && pair.value === value);
    if (asked >= 0) return { pairs, asked };
  } catch {
    // Reported below, as a record without its pair is.
  }
  throw new JetonError(`line ${number} is no record of key-value retrieval`, {
    code: "kv-retrieval-line-invalid",
    details: {
      line: number,
      expected: '{"ordered_kv_records": [["key", "value"], …], "key", "value"}',
    },
  });
}

/**
 * Asks for one value of each object, with its pair moved to each depth.
 *
 * @throws JetonError `needle-option-invalid`, and those of `evaluateGrid`
 */
export function evaluateKeyValues(
  model: EvaluatedModel,
  options: EvaluateKeyValuesOptions = {},
): Promise<EvaluationReport> {
  const { depths = [0, 25, 50, 75, 100], repeats = 5, seed = 0 } = options;
  const wrong = depths.find((depth) => !(depth >= 0 && depth <= 100));
  if (wrong !== undefined) throw needleOptionError("depths", wrong, "numbers from 0 to 100");
  if (!Number.isSafeInteger(repeats) || repeats < 1) {
    throw needleOptionError("repeats", repeats, "an integer from 1");
  }
  if (options.records !== undefined && options.pairs !== undefined) {
    throw needleOptionError("pairs", options.pairs, "none beside `records`, which have their own");
  }
  const cells = sizesOf(options, repeats, seed).flatMap((records) =>
    depths.map((depth): PlannedCell => {
      const ask = (repeat: number): Question => makeQuestion(records[repeat]!, depth, repeat);
      return {
        group: "key-value retrieval",
        axis: "depth, %",
        difficulty: depth,
        characters: printObject(records[0]!.pairs).length,
        questions: records.length,
        question: ask,
      };
    }),
  );
  const first = options.records?.[0];
  const source =
    first === undefined
      ? { seed }
      : { records: options.records!.length, first: first.pairs[first.asked]!.key };
  return evaluateGrid(model, cells, { ...options, evaluation: "kv-retrieval", settings: source });
}

/** The records of each size, at most `repeats` of each. */
function sizesOf(
  { records, pairs = [75, 140] }: EvaluateKeyValuesOptions,
  repeats: number,
  seed: number,
): KeyValueRecord[][] {
  if (records === undefined) {
    return pairs.map((count) =>
      Array.from({ length: repeats }, (_, i) => ({
        pairs: samplePairs({ pairs: count, seed: seed + i }),
        asked: 0,
      })),
    );
  }
  const bySize = new Map<number, KeyValueRecord[]>();
  for (const record of records) {
    const own = bySize.get(record.pairs.length) ?? [];
    if (own.length < repeats) own.push(record);
    bySize.set(record.pairs.length, own);
  }
  return [...bySize.values()];
}

/** One pair a line, as the benchmark prints it. */
function printObject(pairs: readonly Pair[]): string {
  return `{${pairs.map(({ key, value }) => `"${key}": "${value}"`).join(",\n ")}}`;
}

function makeQuestion(record: KeyValueRecord, depth: number, repeat: number): Question {
  const asked = record.pairs[record.asked]!;
  const pairs = record.pairs.filter((_, i) => i !== record.asked);
  pairs.splice(Math.round((depth / 100) * pairs.length), 0, asked);
  const item = { keys: [asked.key], values: [asked.value], settings: { task: "single" } } as const;
  return {
    id: `${pairs.length} ${depth} ${repeat}`,
    prompt:
      "Extract the value corresponding to the specified key in the JSON object below.\n\nJSON data:\n" +
      `${printObject(pairs)}\n\nKey: "${asked.key}"\nCorresponding value:`,
    expected: ` "${asked.value}"`,
    maxCharacters: 3 * asked.value.length + 120,
    score(answer) {
      const { accuracy, isExact } = scoreAnswer(answer, item);
      return { accuracy, isExact };
    },
    isComplete: (text) => isAnswered(text, item),
  };
}
