/** What the commands that serve share: running until an interrupt, and names for clients. */
import { basename } from "node:path";
import type { RunningServer } from "../../serve/index.ts";
import type { CommandContext } from "../context.ts";

/**
 * Announces the server, serves until the first interrupt, and then gives running requests `grace` seconds to
 * finish; a further interrupt ends them at once.
 */
export async function serveUntilInterrupted(
  context: CommandContext,
  server: Pick<RunningServer, "close">,
  grace: number,
  announce: () => Promise<void>,
): Promise<void> {
  const interrupted = new Promise<void>((resolve) => {
    const release = context.handleInterrupts(() => {
      release();
      resolve();
    });
  });
  try {
    await announce();
    await interrupted;
    await context.stderr.write("ending; running requests may finish (Ctrl-C ends them now)\n");
  } finally {
    await closeServer(server, grace, context.signal);
  }
}

async function closeServer(
  server: Pick<RunningServer, "close">,
  grace: number,
  signal: AbortSignal,
): Promise<void> {
  const stop = (): void => void server.close({ graceMs: 0 });
  if (signal.aborted) return server.close({ graceMs: 0 });
  signal.addEventListener("abort", stop, { once: true });
  try {
    await server.close({ graceMs: grace * 1000 });
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** A hub name unchanged; of a path its last part, so that clients learn nothing about the machine. */
export function modelName(name: string): string {
  return /^[\w.-]+\/[\w.-]+$/.test(name) && !name.startsWith(".") ? name : basename(name);
}

/** True for addresses that only this machine reaches. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\./.test(host);
}
