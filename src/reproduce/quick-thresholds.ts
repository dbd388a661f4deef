import type { Thresholds } from "./define-reproduction.ts";

/** Thresholds of quick runs: half of the effects that count in full ones, from no effect on. */
export function halfOf({ reproduced, partly }: Thresholds, noEffect: number): Thresholds {
  const half = (value: number): number => noEffect + (value - noEffect) / 2;
  return { reproduced: half(reproduced), partly: half(partly) };
}
