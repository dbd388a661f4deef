/** Help texts, generated from the declarations of the commands. */

import { bundledModelNames } from "../../checkpoint/bundled-models.ts";
import { type Command, type Option, type Options, toOptionName, usageLine } from "../command.ts";
import type { CommandEntry } from "../commands.ts";
import { commonOptions } from "../options/arguments.ts";
import type { Style } from "./style.ts";

const lineWidth = 92;

/** The general help: the list of commands. */
export function formatHelp(
  version: string,
  commands: readonly CommandEntry[],
  style: Style,
): string {
  const width = Math.max(...commands.map((command) => command.name.length));
  return [
    `jeton ${version}: language models, token by token`,
    "",
    `${style.bold("usage:")} jeton <command> [options]`,
    "",
    style.bold("commands"),
    ...commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`),
    "",
    style.bold("options"),
    "  --help, -h  show this help; after a command, the command's own",
    "  --version   show the version",
    "",
    style.bold("examples"),
    '  jeton run "The emperor"',
    '  jeton run --model path/to/checkpoint "Once upon a time"',
    '  jeton tokenize jeton-nano "tokenization"',
    "",
    ...wrap(
      "A model is a checkpoint folder (config.json, *.safetensors, tokenizer.json), owner/name on the hub, or one " +
        `that jeton brings: ${bundledModelNames.join(", ")}.`,
      lineWidth,
    ),
    "",
  ].join("\n");
}

/** The help of one command. */
export function formatCommandHelp(command: Command, style: Style): string {
  const options: Options = { ...command.options, ...commonOptions };
  const entries = Object.entries(options).map(([key, option]) => ({
    left: formatOption(key, option),
    right: describeOption(option),
  }));
  const width = Math.min(30, Math.max(...entries.map((entry) => entry.left.length)));
  const lines = entries.flatMap(({ left, right }) => {
    const wrapped = wrap(right, lineWidth - width - 4);
    const first = left.length > width ? [`  ${left}`] : [];
    return [
      ...first,
      ...wrapped.map((line, at) => {
        const label = at === 0 && first.length === 0 ? left : "";
        return `  ${label.padEnd(width)}  ${line}`;
      }),
    ];
  });
  return [
    `${style.bold("usage:")} ${usageLine(command)}`,
    "",
    ...wrap(command.description, lineWidth),
    "",
    style.bold("options"),
    ...lines,
    "",
    style.bold(command.examples.length === 1 ? "example" : "examples"),
    ...command.examples.flatMap(({ line, shows }) => [`  ${line}`, style.dim(`      ${shows}`)]),
    "",
  ].join("\n");
}

function formatOption(key: string, option: Option): string {
  const short = option.short === undefined ? "" : `, -${option.short}`;
  const value = option.kind === "flag" ? "" : ` ${option.value}`;
  return `--${toOptionName(key)}${short}${value}`;
}

function describeOption(option: Option): string {
  const notes: string[] = [];
  if (
    option.kind === "text" &&
    option.choices !== undefined &&
    option.value !== option.choices.join("|")
  ) {
    notes.push(option.choices.join(", "));
  }
  if (option.kind === "list") notes.push("repeatable");
  if ("default" in option && option.default !== undefined) notes.push(`default ${option.default}`);
  return notes.length === 0 ? option.help : `${option.help} (${notes.join("; ")})`;
}

/** Breaks a text at spaces into lines of at most `width` characters. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
