import { describe, expect, test } from "vitest";
import type { StepResult } from "../types.ts";
import type { HandleStep } from "./decoder-service.ts";
import { StepScheduler } from "./scheduler.ts";

const resultOf = (handle: number): StepResult => ({
  topIds: Int32Array.of(handle),
  topLogits: new Float32Array(1),
  logSumExp: new Float32Array(1),
});
const stepOf = (handle: number, length = 1): HandleStep => ({
  handle,
  ids: new Array<number>(length).fill(0),
});

describe("StepScheduler", () => {
  test("short steps that wait together share a pass, long ones run alone, all get their own result", async () => {
    const passes: number[][] = [];
    const scheduler = new StepScheduler(async (steps) => {
      passes.push(steps.map((step) => step.handle));
      return steps.map((step) => resultOf(step.handle));
    });
    const results = await Promise.all([
      scheduler.step(stepOf(1)),
      scheduler.step(stepOf(2, 300)),
      scheduler.step(stepOf(3)),
      scheduler.step(stepOf(4, 300)),
    ]);
    expect(results.map((result) => result.topIds[0])).toEqual([1, 2, 3, 4]);
    expect(passes).toEqual([[1, 3], [2], [4]]);
  });

  test("a step that is aborted while it waits never runs", async () => {
    const ran: number[] = [];
    const scheduler = new StepScheduler(async (steps) => {
      ran.push(...steps.map((step) => step.handle));
      return steps.map((step) => resultOf(step.handle));
    });
    const controller = new AbortController();
    const first = scheduler.step(stepOf(1, 100));
    const second = scheduler.step(stepOf(2, 100), controller.signal);
    controller.abort(new Error("gone"));
    await expect(second).rejects.toThrow("gone");
    await first;
    expect(ran).toEqual([1]);
  });

  test("steps of a released sequence leave the queue and change no other step", async () => {
    const ran: number[] = [];
    const scheduler = new StepScheduler(async (steps) => {
      ran.push(...steps.map((step) => step.handle));
      return steps.map((step) => resultOf(step.handle));
    });
    const kept = scheduler.step(stepOf(1));
    const dropped = scheduler.step(stepOf(2));
    scheduler.discard(2);
    await expect(dropped).rejects.toMatchObject({ code: "model-sequence-released" });
    expect((await kept).topIds[0]).toBe(1);
    expect(ran).toEqual([1]);
  });

  test("a failing pass rejects its steps and the next pass runs", async () => {
    let fail = true;
    const scheduler = new StepScheduler(async (steps) => {
      if (fail) throw new Error("broken");
      return steps.map((step) => resultOf(step.handle));
    });
    await expect(scheduler.step(stepOf(1))).rejects.toThrow("broken");
    fail = false;
    expect((await scheduler.step(stepOf(2))).topIds[0]).toBe(2);
  });

  test("closing waits for the running pass and rejects what waits", async () => {
    let finish = (): void => undefined;
    const scheduler = new StepScheduler(
      (steps) =>
        new Promise((resolve) => {
          finish = () => resolve(steps.map((step) => resultOf(step.handle)));
        }),
    );
    const running = scheduler.step(stepOf(1, 50));
    await new Promise((resolve) => setTimeout(resolve, 5));
    const waiting = scheduler.step(stepOf(2, 50));
    const closed = scheduler.close();
    await expect(waiting).rejects.toMatchObject({ code: "model-closed" });
    finish();
    expect((await running).topIds[0]).toBe(1);
    await closed;
    await expect(scheduler.step(stepOf(3))).rejects.toMatchObject({ code: "model-closed" });
  });
});
