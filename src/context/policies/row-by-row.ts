/** Parts that policies over unrotated keys share. */
import {
  attendMasked,
  type PolicyInput,
  type PolicyOutput,
  scoreRotated,
} from "../../model/index.ts";
import { cast, range, reshape } from "../../tensor/index.ts";

/** Rows of a pass in which each row gathers `budget` keys and values of its own: memory bounds them. */
export function rowsWithin(budget: number): number {
  return Math.max(4, Math.min(64, Math.floor(16_384 / budget)));
}

/** The same pass with each new row as a group of its own: it chooses for itself alone. */
export function rowByRow(input: PolicyInput): PolicyInput {
  return { ...input, pass: { ...input.pass, groups: input.pass.time, span: 1 } };
}

/** A layer with a window of its own attends to all tokens within it at true positions under every policy. */
export function attendWithin(input: PolicyInput): Pick<PolicyOutput, "attention" | "attended"> {
  const { key, value, pass } = input;
  const { capacity } = pass;
  const positions = reshape(range(capacity), [1, capacity]);
  const pastKey = input.rotate(cast(input.pastKey, "float32"), positions);
  const rotated = { ...input, pastKey };
  const { attention, attended } = attendMasked(rotated, scoreRotated(rotated));
  return { attention: { ...attention, cached: { key, value } }, attended };
}
