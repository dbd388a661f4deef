/** What policies share in which every new row chooses for itself. */
import type { PolicyInput } from "./context-policy.ts";

/** Rows of a pass in which each row gathers `budget` keys and values of its own: memory bounds them. */
export function rowsWithin(budget: number): number {
  return Math.max(4, Math.min(64, Math.floor(16_384 / budget)));
}

/** The same pass with each new row as a group of its own: it chooses for itself alone. */
export function rowByRow(input: PolicyInput): PolicyInput {
  return { ...input, pass: { ...input.pass, groups: input.pass.time, span: 1 } };
}
