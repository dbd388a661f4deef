import { expect, test } from "vitest";
import { findAdapter, type Gpu } from "./webgpu.ts";

type Adapter = Awaited<ReturnType<Gpu["requestAdapter"]>>;

/** A browser's `navigator.gpu` that gives these adapters, one after the other. */
class OfferedAdapters implements Gpu {
  readonly #offered: (Adapter | Error)[];
  asked = 0;

  constructor(...offered: (Adapter | Error)[]) {
    this.#offered = offered;
  }

  async requestAdapter(): Promise<Adapter> {
    this.asked++;
    const next = this.#offered.shift()!;
    if (next instanceof Error) throw next;
    return next;
  }
}

test("an adapter is asked for once, also by callers at the same time", async () => {
  const gpu = new OfferedAdapters({ info: { isFallbackAdapter: false } });
  const first = await Promise.all([findAdapter(gpu), findAdapter(gpu)]);
  expect([...first, await findAdapter(gpu)]).toEqual(["hardware", "hardware", "hardware"]);
  expect(gpu.asked).toBe(1);
});

test("none, and a failure, are asked for again", async () => {
  const gpu = new OfferedAdapters(null, new Error("lost"), { info: { isFallbackAdapter: true } });
  expect(await findAdapter(gpu)).toBeUndefined();
  expect(await findAdapter(gpu)).toBeUndefined();
  expect(await findAdapter(gpu)).toBe("software");
  expect(await findAdapter(gpu)).toBe("software");
  expect(gpu.asked).toBe(3);
});
