/**
 * The environment of a command: its streams, the environment variables and the signals that may end it.
 * `createProcessContext` wraps the current process; tests provide their own.
 */
import type { Readable, Writable } from "node:stream";
import { createStyle, hasColors, type Style } from "./terminal/style.ts";

/** An output stream of a command. */
export interface Output {
  readonly isTerminal: boolean;
  /** Width of the terminal; 80 where there is none. */
  readonly columns: number;
  readonly style: Style;
  /** Writes and waits for the stream to drain. Never rejects: a closed pipe aborts the command instead. */
  write(text: string): Promise<void>;
}

/** Streams, environment and signals of a command. */
export interface CommandContext {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Aborted by SIGINT, by SIGTERM, or when the reader of standard output closes the pipe. */
  readonly signal: AbortSignal;
  /**
   * Until the returned function is called, SIGINT and SIGTERM call `handler` instead of aborting.
   */
  handleInterrupts(handler: () => void): () => void;
}

/** The reason of an abort, with the exit status that follows from it. */
export class Interruption extends Error {
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.name = "Interruption";
    this.status = status;
  }
}

/** Wraps a stream as an `Output`; `onClosed` is called when the other end closes the pipe. */
export function createOutput(
  stream: Writable & { readonly isTTY?: boolean; readonly columns?: number },
  environment: Readonly<Record<string, string | undefined>>,
  onClosed: () => void = () => {},
): Output {
  const isTerminal = stream.isTTY === true;
  let isClosed = false;
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE" && error.code !== "ERR_STREAM_DESTROYED") throw error;
    isClosed = true;
    onClosed();
  });
  return {
    isTerminal,
    get columns() {
      return stream.columns ?? 80;
    },
    style: createStyle(hasColors(isTerminal, environment)),
    write(text) {
      if (isClosed || text === "") return Promise.resolve();
      // The callback runs after the write, or with the error that the "error" listener also receives.
      return new Promise((resolve) => stream.write(text, () => resolve()));
    },
  };
}

const exitStatusOfSignal = { SIGINT: 130, SIGTERM: 143 } as const;

/** The context of this process. The first signal aborts; the second ends the process at once. */
export function createProcessContext(): CommandContext {
  const controller = new AbortController();
  const handlers: (() => void)[] = [];
  for (const [name, status] of Object.entries(exitStatusOfSignal)) {
    process.on(name, () => {
      const handler = handlers.at(-1);
      if (handler !== undefined) return handler();
      if (!controller.signal.aborted) {
        return controller.abort(new Interruption("interrupted", status));
      }
      // Not process.exit(): it would run native destructors while a computation is still running.
      process.removeAllListeners(name);
      process.kill(process.pid, name);
    });
  }
  const environment = process.env;
  return {
    stdin: process.stdin,
    stdout: createOutput(process.stdout, environment, () =>
      controller.abort(new Interruption("standard output is closed", 0)),
    ),
    stderr: createOutput(process.stderr, environment),
    environment,
    signal: controller.signal,
    handleInterrupts(handler) {
      handlers.push(handler);
      return () => {
        const at = handlers.lastIndexOf(handler);
        if (at >= 0) handlers.splice(at, 1);
      };
    },
  };
}
