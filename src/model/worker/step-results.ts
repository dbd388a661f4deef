/** Outputs of a pass, as the step table names them, split among its steps and joined again. */
import type { TensorValue } from "../../tensor/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import type { DecoderOutput } from "../decoder/decoder.ts";
import { getsResult, type StepResultName, stepParts } from "../decoder/step-outputs.ts";
import type { StepResult } from "../types.ts";
import { type Pass, wantedRows } from "./decoder-pass.ts";

type ResultData = Float32Array | Int32Array;

/** Results that every step has, without elements where it wants no rows. */
const everyStep: ReadonlySet<StepResultName> = new Set(["topIds", "topLogits", "logSumExp"]);

/**
 * Names of the outputs that a pass must compute.
 *
 * @param always further ones that this decoder has
 */
export function wantedOutputs(
  { steps, wantsRows }: Pass,
  always: readonly DecoderOutput[] = [],
): DecoderOutput[] {
  const outputs: DecoderOutput[] = ["new", ...always];
  if (!wantsRows) return outputs;
  for (const part of stepParts) {
    for (const result of part.results) {
      if (steps.some((step) => getsResult(part, result, step))) outputs.push(result.name);
    }
  }
  return outputs;
}

/** The results of each step of a pass. */
export function splitResults(
  config: DecoderConfig,
  pass: Pass,
  values: Readonly<Partial<Record<DecoderOutput, TensorValue>>>,
): StepResult[] {
  const sizes = { config, candidates: pass.candidates };
  let end = 0;
  return pass.steps.map((step) => {
    const count = wantedRows(step);
    const first = end;
    end += count;
    const given: Partial<Record<StepResultName, ResultData>> = {};
    for (const part of stepParts) {
      for (const result of part.results) {
        const isWanted = count > 0 && getsResult(part, result, step);
        if (!isWanted) {
          if (everyStep.has(result.name)) given[result.name] = newArray(result.dtype, 0);
          continue;
        }
        const data = values[result.name]!.data as ResultData;
        const columns = result.columns?.(sizes) ?? data.length / pass.rows.length;
        // A part that did not run left one number in place of the rows.
        if (data.length !== pass.rows.length * columns) continue;
        const kept = result.kept?.(step, sizes) ?? columns;
        given[result.name] = copyRows(data, { first, count, columns, kept });
      }
    }
    return given as StepResult;
  });
}

/** The results of consecutive rows as those of one step. */
export function joinResults(parts: readonly StepResult[]): StepResult {
  const joined: Partial<Record<StepResultName, ResultData>> = {};
  for (const [name, first] of Object.entries(parts[0]!) as [StepResultName, ResultData][]) {
    const arrays = parts.map((part) => part[name]!);
    const length = arrays.reduce((sum, array) => sum + array.length, 0);
    const whole = first instanceof Int32Array ? new Int32Array(length) : new Float32Array(length);
    let at = 0;
    for (const array of arrays) {
      whole.set(array, at);
      at += array.length;
    }
    joined[name] = whole;
  }
  return joined as StepResult;
}

function newArray(dtype: "float32" | "int32", length: number): ResultData {
  return dtype === "int32" ? new Int32Array(length) : new Float32Array(length);
}

/** The first `kept` of `columns` numbers of each of `count` rows from row `first` on. */
function copyRows(
  data: ResultData,
  rows: { first: number; count: number; columns: number; kept: number },
): ResultData {
  const { first, count, columns, kept } = rows;
  if (kept === columns) return data.slice(first * columns, (first + count) * columns);
  const target = newArray(data instanceof Int32Array ? "int32" : "float32", count * kept);
  for (let row = 0; row < count; row++) {
    const start = (first + row) * columns;
    target.set(data.subarray(start, start + kept), row * kept);
  }
  return target;
}
