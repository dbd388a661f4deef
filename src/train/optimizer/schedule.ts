/**
 * Learning rates over the steps of a run. Schedules are plain data, so that a run can record them.
 */
import { JetonError } from "../../core/index.ts";

/** How the learning rate develops; all kinds rise linearly from 0 during `warmupSteps` first. */
export type Schedule =
  | { readonly kind: "constant"; readonly peak: number; readonly warmupSteps?: number }
  /** Falls to `final` (a rate, default 0) at `steps`: along a line, or half a cosine. */
  | {
      readonly kind: "linear" | "cosine";
      readonly peak: number;
      readonly steps: number;
      readonly warmupSteps?: number;
      readonly final?: number;
    }
  /** Stays at the peak and falls along a line over the last `decaySteps` (Hu et al., 2024). */
  | {
      readonly kind: "warmup-stable-decay";
      readonly peak: number;
      readonly steps: number;
      readonly decaySteps: number;
      readonly warmupSteps?: number;
      readonly final?: number;
    };

/** Required options of each kind. */
const scheduleNumbers: Readonly<Record<Schedule["kind"], readonly string[]>> = {
  constant: ["peak"],
  linear: ["peak", "steps"],
  cosine: ["peak", "steps"],
  "warmup-stable-decay": ["peak", "steps", "decaySteps"],
};

/** Throws `option-invalid` for a schedule that makes no sense. */
export function checkSchedule(schedule: Schedule): void {
  const { kind, ...numbers } = schedule;
  if (!Object.hasOwn(scheduleNumbers, kind)) {
    const expected = Object.keys(scheduleNumbers);
    throw new JetonError(`schedule: ${kind} is no kind, expected ${expected.join(", ")}`, {
      code: "option-invalid",
      details: { option: "schedule", found: kind, expected },
    });
  }
  const given: Readonly<Record<string, unknown>> = { ...numbers };
  for (const name of new Set([...scheduleNumbers[kind], ...Object.keys(given)])) {
    const found = given[name];
    if (found === undefined && !scheduleNumbers[kind].includes(name)) continue;
    if (Number.isFinite(found) && (found as number) >= 0) continue;
    throw new JetonError(`schedule: ${name} is ${found}, expected a number of at least 0`, {
      code: "option-invalid",
      details: { option: name, found },
    });
  }
}

/**
 * The rate of a step.
 *
 * @param step from 1 on
 */
export function learningRateAt(schedule: Schedule, step: number): number {
  const { peak, warmupSteps = 0 } = schedule;
  if (step < warmupSteps) return (peak * step) / warmupSteps;
  if (schedule.kind === "constant") return peak;
  const { steps, final = 0 } = schedule;
  const start =
    schedule.kind === "warmup-stable-decay"
      ? Math.max(warmupSteps, steps - schedule.decaySteps)
      : warmupSteps;
  // The last step still moves: the end of the fall lies one step beyond it.
  const progress = Math.min(1, Math.max(0, (step - start) / Math.max(1, steps + 1 - start)));
  const height = schedule.kind === "cosine" ? (1 + Math.cos(Math.PI * progress)) / 2 : 1 - progress;
  return final + (peak - final) * height;
}
