/**
 * The environment of a command: its streams, the environment variables and the signals that may end it.
 * `createProcessContext` wraps the current process; tests provide their own.
 */
import type { Readable, Writable } from "node:stream";
import { JetonError } from "../core/error.ts";
import { createStyle, hasColors, type Style } from "./terminal/style.ts";

/** An output stream of a command. */
export interface Output {
  readonly isTerminal: boolean;
  /** Width of the terminal; 80 where there is none. */
  readonly columns: number;
  readonly style: Style;
  /** Writes and waits for the stream to drain. Never rejects: a stream that fails aborts the command instead. */
  write(text: string): Promise<void>;
}

/** Streams, environment and signals of a command. */
export interface CommandContext {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Aborted by SIGINT, by SIGTERM, or when standard output cannot be written: a closed pipe, a full disk. */
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

/** Whether a stream failed because its reader has gone. */
function isClosedPipe({ code }: NodeJS.ErrnoException): boolean {
  return code === "EPIPE" || code === "ERR_STREAM_DESTROYED";
}

/** Wraps a stream as an `Output`; `onFailed` is called once, when a write fails or the other end closes the pipe. */
export function createOutput(
  stream: Writable & { readonly isTTY?: boolean; readonly columns?: number },
  environment: Readonly<Record<string, string | undefined>>,
  onFailed: (error: NodeJS.ErrnoException) => void = () => {},
): Output {
  const isTerminal = stream.isTTY === true;
  let isClosed = false;
  const fail = (error: NodeJS.ErrnoException): void => {
    if (isClosed) return;
    isClosed = true;
    onFailed(error);
  };
  stream.on("error", fail);
  return {
    isTerminal,
    get columns() {
      return stream.columns ?? 80;
    },
    style: createStyle(hasColors(isTerminal, environment)),
    write(text) {
      if (isClosed || text === "") return Promise.resolve();
      return new Promise((resolve) => {
        stream.write(text, (error) => {
          // The "error" listener receives it too, but possibly after the command has ended.
          if (error) fail(error);
          resolve();
        });
      });
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
    stdout: createOutput(process.stdout, environment, (error) => {
      if (isClosedPipe(error)) {
        return controller.abort(new Interruption("standard output is closed", 0));
      }
      const message = `standard output cannot be written: ${error.message}`;
      controller.abort(new JetonError(message, { code: "output-failed", cause: error }));
    }),
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
