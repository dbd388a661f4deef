/** Runs a command line: finds the command, parses its options, reports errors, returns the exit status. */
import { readFileSync } from "node:fs";
import { JetonError } from "../core/error.ts";
import { UsageError } from "./command.ts";
import { type CommandEntry, commands } from "./commands.ts";
import { type CommandContext, Interruption } from "./context.ts";
import { formatJson } from "./json-output.ts";
import { parseArguments } from "./options/arguments.ts";
import { formatCommandHelp, formatHelp } from "./terminal/help.ts";
import { suggest } from "./terminal/suggest.ts";

/**
 * Runs `jeton` with these arguments and returns the exit status: 0 done, 1 failed, 2 bad usage, 130 or
 * 143 ended by a signal. Never rejects.
 */
export async function runCommandLine(
  args: readonly string[],
  context: CommandContext,
): Promise<number> {
  try {
    const status = await dispatch(args, context);
    return (await interruptionStatus(args, context)) ?? status;
  } catch (error) {
    const interrupted = await interruptionStatus(args, context);
    if (interrupted !== undefined) return interrupted;
    await context.stderr.write(formatError(error, args, context));
    return UsageError.isInstance(error) && error.name === "UsageError" ? 2 : 1;
  }
}

/** The version of the package. */
export function readVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

async function dispatch(args: readonly string[], context: CommandContext): Promise<number> {
  const [first, ...rest] = args;
  const { stdout, stderr } = context;
  if (first === undefined) {
    await stderr.write(formatHelp(readVersion(), commands, stderr.style));
    return 2;
  }
  if (first === "--version" || first === "-v") {
    await stdout.write(`${readVersion()}\n`);
    return 0;
  }
  if (first === "--help" || first === "-h" || first === "help") {
    const named = rest[0];
    if (named !== undefined && !named.startsWith("-"))
      return dispatch([...rest, "--help"], context);
    await stdout.write(formatHelp(readVersion(), commands, stdout.style));
    return 0;
  }
  const kinds = commands.filter(({ name }) => name.startsWith(`${first} `));
  if (kinds.length > 0 && (rest[0] === "--help" || rest[0] === "-h")) {
    await stdout.write(formatHelp(readVersion(), kinds, stdout.style));
    return 0;
  }
  const known = kinds.find(({ knownBy }) => knownBy !== undefined && rest.includes(knownBy));
  if (known && rest[0]!.startsWith("-"))
    return dispatch([...known.name.split(" "), ...rest], context);
  const entry = findCommand(first, rest);
  const command = await entry.load();
  const words = entry.name.split(" ").length;
  const { values, positionals } = parseArguments(command, args.slice(words));
  if (values["help"] === true) {
    await stdout.write(formatCommandHelp(command, stdout.style));
    return 0;
  }
  const run = command.run as (
    context: CommandContext,
    values: unknown,
    positionals: readonly string[],
  ) => Promise<number | undefined>;
  return (await run(context, values, positionals)) ?? 0;
}

/** The command named by the first word, or by the first two (`train lm`). */
function findCommand(name: string, rest: readonly string[]): CommandEntry {
  const command = commands.find((candidate) => candidate.name === name);
  if (command !== undefined) return command;
  const kinds = commands.filter((candidate) => candidate.name.startsWith(`${name} `));
  if (kinds.length > 0) return findKind(name, kinds, rest[0]);
  const names = [...new Set(commands.map((candidate) => candidate.name.split(" ")[0]!))];
  if (name.startsWith("-")) {
    throw new UsageError(
      "command-missing",
      `a command comes first: jeton <command> [options]; the commands are ${names.join(", ")}`,
      { found: name, expected: names },
    );
  }
  const near = suggest(name, names);
  throw new UsageError(
    "command-unknown",
    `jeton has no command ${JSON.stringify(name)}` +
      (near === undefined ? `; the commands are ${names.join(", ")}` : `; did you mean ${near}?`),
    { found: name, ...(near !== undefined && { suggestion: near }) },
  );
}

/** Finds a command of two words by its second word. */
function findKind(
  name: string,
  commands: readonly CommandEntry[],
  kind: string | undefined,
): CommandEntry {
  const kinds = commands.map((command) => command.name.slice(name.length + 1));
  const at = kinds.indexOf(kind ?? "");
  if (at >= 0) return commands[at]!;
  const isNamed = kind !== undefined && !kind.startsWith("-");
  const near = isNamed ? suggest(kind, kinds) : undefined;
  throw new UsageError(
    isNamed ? "command-unknown" : "command-missing",
    (isNamed
      ? `jeton ${name} does not know ${JSON.stringify(kind)}`
      : `jeton ${name} what? jeton ${name} ${kinds.join(`, jeton ${name} `)}`) +
      (near === undefined
        ? isNamed
          ? `; there is ${kinds.join(", ")}`
          : ""
        : `; did you mean ${near}?`),
    { found: kind, expected: kinds, ...(near !== undefined && { suggestion: near }) },
  );
}

/**
 * The exit status of an interrupted command; undefined if it was not interrupted. What else than a signal ended it, such
 * as a full disk, is reported.
 */
async function interruptionStatus(
  args: readonly string[],
  context: CommandContext,
): Promise<number | undefined> {
  const { aborted, reason } = context.signal;
  if (!aborted) return undefined;
  if (reason instanceof Interruption) return reason.status;
  await context.stderr.write(formatError(reason, args, context));
  return 1;
}

/** The error as one line of text, or as one JSON document with `--json`; with a stack if `JETON_DEBUG` is set. */
function formatError(error: unknown, args: readonly string[], context: CommandContext): string {
  const { environment, stderr } = context;
  const message = error instanceof Error ? error.message : String(error);
  const code = JetonError.isInstance(error) ? error.code : systemCode(error);
  const details = JetonError.isInstance(error) ? error.details : {};
  const stack =
    environment["JETON_DEBUG"] && error instanceof Error ? `${describeStack(error)}\n` : "";
  const end = args.indexOf("--");
  if ((end < 0 ? args : args.slice(0, end)).includes("--json")) {
    return `${formatJson({ error: { code: code ?? "unexpected", message, details } })}\n${stack}`;
  }
  const { style } = stderr;
  return `${style.red("error:")} ${message}${code === undefined ? "" : style.dim(` (${code})`)}\n${stack}`;
}

function describeStack(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${describeStack(error.cause)}` : "";
  return (error.stack ?? error.message) + cause;
}

/** The code of a system error or of Node itself, e.g. `ENOENT`. */
function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}
