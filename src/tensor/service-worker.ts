/** Entry of a worker thread that holds one service (see `service.ts`). */
import { parentPort, workerData } from "node:worker_threads";
import { answerCalls, describeError, type SendReply, type StartData } from "./service.ts";

const port = parentPort!;
const { module, factory, argument } = workerData as StartData;
/** Deno's port cannot be closed, but its thread can. */
const end = (): void =>
  port.close ? port.close() : (globalThis as unknown as { close(): void }).close();
const reply: SendReply = (message, transfer) => port.postMessage(message, transfer);

async function start(): Promise<void> {
  let service: object;
  try {
    const loaded = (await import(module)) as Record<string, (argument: unknown) => Promise<object>>;
    service = await loaded[factory]!(argument);
  } catch (error) {
    reply({ id: 0, error: describeError(error) }, []);
    end();
    return;
  }
  port.on("message", answerCalls(service, reply, end));
  reply({ id: 0 }, []);
}

await start();
