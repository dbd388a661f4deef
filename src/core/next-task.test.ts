/** The next task, in Node and where there is no `setImmediate`, as in browsers. */
import { MessageChannel } from "node:worker_threads";
import { afterEach, expect, test, vi } from "vitest";
import { nextTask } from "./next-task.ts";

afterEach(() => vi.unstubAllGlobals());

test.each(["as in Node", "as in browsers"])(
  "%s a task ends before the next one, turns keep their order, and no timer is set",
  async (where) => {
    if (where === "as in browsers") vi.stubGlobal("setImmediate", undefined);
    const timer = vi.fn();
    vi.stubGlobal("setTimeout", timer);
    const { port1, port2 } = new MessageChannel();
    const order: string[] = [];
    const arrived = new Promise<void>((resolve) => {
      port1.on("message", (text: string) => {
        order.push(text);
        resolve();
      });
    });
    port2.postMessage("message");
    const first = nextTask().then(() => order.push("first"));
    const second = nextTask().then(() => order.push("second"));
    order.push("this task");
    await Promise.all([arrived, first, second]);
    // Several turns, one after another, are several tasks.
    for (let at = 0; at < 10; at++) await nextTask();
    port1.close();
    expect(order[0]).toBe("this task");
    expect(order.indexOf("first")).toBeLessThan(order.indexOf("second"));
    expect(timer).not.toHaveBeenCalled();
  },
);
