/** Runs a command line inside the process of the test and captures its output. */
import { Readable } from "node:stream";
import { type CommandContext, Interruption, type Output } from "../context.ts";
import { runCommandLine } from "../run-command-line.ts";
import { createStyle } from "../terminal/style.ts";

export interface RunCommandOptions {
  /** Chunks of standard input. Default: a terminal without input. */
  readonly stdin?: readonly (string | Uint8Array)[] | string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Whether the outputs are terminals with colours. Default false. */
  readonly isTerminal?: boolean;
  /** Called with the text of every write, before it counts as written. */
  readonly onStdout?: (text: string, interrupt: () => void) => void | Promise<void>;
  /** The same for standard error. */
  readonly onStderr?: (text: string, interrupt: () => void) => void | Promise<void>;
}

export interface RunCommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `jeton` with these arguments. */
export async function runCommand(
  args: readonly string[],
  options: RunCommandOptions = {},
): Promise<RunCommandResult> {
  const { stdin, environment = {}, isTerminal = false, onStdout, onStderr } = options;
  const controller = new AbortController();
  const handlers: (() => void)[] = [];
  const interrupt = (): void => {
    const handler = handlers.at(-1);
    if (handler !== undefined) handler();
    else controller.abort(new Interruption("interrupted", 130));
  };
  const written = { stdout: "", stderr: "" };
  const output = (name: "stdout" | "stderr"): Output => ({
    isTerminal,
    columns: 80,
    style: createStyle(isTerminal),
    async write(text) {
      await (name === "stdout" ? onStdout : onStderr)?.(text, interrupt);
      written[name] += text;
    },
  });
  const chunks = typeof stdin === "string" ? [stdin] : (stdin ?? []);
  const input = Readable.from(chunks.map((chunk) => Buffer.from(chunk)));
  const context: CommandContext = {
    stdin: Object.assign(input, { isTTY: stdin === undefined }),
    stdout: output("stdout"),
    stderr: output("stderr"),
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
  const status = await runCommandLine(args, context);
  return { status, ...written };
}
