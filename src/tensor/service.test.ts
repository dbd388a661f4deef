/** Services in worker threads and on the calling thread behave alike. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Service, startService } from "./index.ts";

interface Counter extends Service {
  add(by: number, milliseconds?: number): number;
  fail(): never;
  history(): string[];
  /** Numbers, and whether the service may still read those of its last answer. */
  numbers(count: number): { values: Float32Array; hadLast: boolean };
}

const source = `
import { handOver } from ${JSON.stringify(new URL("./service.ts", import.meta.url).href)};
export async function createCounter({ start, broken }) {
  if (broken) throw new Error("cannot be made");
  let value = start;
  const events = [];
  let last = new Float32Array(1);
  return {
    async add(by, milliseconds = 0) {
      events.push("begin " + by);
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      value += by;
      events.push("end " + by);
      return value;
    },
    fail() {
      throw Object.assign(new Error("went wrong"), { name: "CounterError" });
    },
    history: () => events,
    numbers(count) {
      const hadLast = last.length > 0;
      last = new Float32Array(count).fill(7);
      return handOver({ values: last, hadLast }, [last]);
    },
    close() {},
  };
}`;

let folder: string;
let module: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jeton-service-"));
  const file = join(folder, "counter.mjs");
  await writeFile(file, source);
  module = pathToFileURL(file).href;
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

describe.each([
  ["worker", false],
  ["inline", true],
])("%s", (_where, inline) => {
  const start = (argument: object) =>
    startService<Counter>(module, "createCounter", argument, { inline });

  test("large arrays are handed over, small ones copied", async () => {
    const counter = await start({ start: 0 });
    const counts = [10_000, 10, 10];
    const found = [];
    for (const count of counts) found.push(await counter.numbers(count));
    expect(found.map(({ values }) => values)).toEqual(
      counts.map((count) => new Float32Array(count).fill(7)),
    );
    expect(found.map(({ hadLast }) => hadLast)).toEqual([true, inline, true]);
    await counter.close();
  });

  test("calls run one after the other, in order", async () => {
    const counter = await start({ start: 10 });
    const results = await Promise.all([counter.add(1, 20), counter.add(2), counter.add(3)]);
    expect(results).toEqual([11, 13, 16]);
    expect(await counter.history()).toEqual([1, 2, 3].flatMap((n) => [`begin ${n}`, `end ${n}`]));
    await counter.close();
  });

  test("errors cross with name and message, and the service lives on", async () => {
    const counter = await start({ start: 0 });
    await expect(counter.fail()).rejects.toMatchObject({
      name: "CounterError",
      message: "went wrong",
    });
    expect(await counter.add(4)).toBe(4);
    await counter.close();
  });

  test("close waits for what runs; later calls are refused; closing again is safe", async () => {
    const counter = await start({ start: 0 });
    const order: string[] = [];
    const running = counter.add(7, 30).then((value) => order.push(`run ${value}`));
    const closing = counter.close().then(() => order.push("closed"));
    await expect(counter.add(1)).rejects.toMatchObject({ code: "service-closed" });
    await Promise.all([running, closing]);
    expect(order).toEqual(["run 7", "closed"]);
    await counter.close();
    await expect(counter.add(1)).rejects.toMatchObject({ code: "service-closed" });
  });

  test("a service that cannot be made says why", async () => {
    await expect(start({ broken: true })).rejects.toThrow("cannot be made");
  });

  test("a service is not a promise", async () => {
    const counter = await start({ start: 1 });
    expect(await counter).toBe(counter);
    await counter.close();
  });
});

test("what cannot be cloned is refused, and the worker lives on", async () => {
  const counter = await startService<Counter>(module, "createCounter", { start: 1 });
  await expect(counter.add((() => 1) as never)).rejects.toThrow(/could not be cloned/);
  expect(await counter.add(1)).toBe(2);
  await counter.close();
});

test("memory that is transferred moves to the worker, and the caller's view of it is empty", async () => {
  const values = Float32Array.of(3, 4);
  const argument = { start: 1, values };
  const counter = await startService<Counter>(module, "createCounter", argument, {
    transfer: [values.buffer],
  });
  expect(values).toHaveLength(0);
  expect(await counter.add(1)).toBe(2);
  await counter.close();
});
