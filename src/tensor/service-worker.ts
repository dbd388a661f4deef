/** Entry of a worker thread that holds one service (see `service.ts`). */
import { parentPort, workerData } from "node:worker_threads";
import { type CallMessage, describeError, type ReplyMessage, type StartData } from "./service.ts";

const port = parentPort!;
const { module, factory, argument } = workerData as StartData;
const reply = (message: ReplyMessage): void => port.postMessage(message);

type Methods = Record<string, (...values: unknown[]) => unknown>;

async function start(): Promise<void> {
  let service: Methods;
  try {
    const loaded = (await import(module)) as Record<
      string,
      (argument: unknown) => Promise<Methods>
    >;
    service = await loaded[factory]!(argument);
  } catch (error) {
    reply({ id: 0, error: describeError(error) });
    port.close();
    return;
  }
  let last: Promise<void> = Promise.resolve();
  port.on("message", ({ id, method, values }: CallMessage) => {
    last = last.then(async () => {
      try {
        reply({ id, value: await service[method]!(...values) });
      } catch (error) {
        reply({ id, error: describeError(error) });
      }
      if (method === "close") port.close();
    });
  });
  reply({ id: 0 });
}

await start();
