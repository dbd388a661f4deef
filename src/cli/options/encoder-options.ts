/** Options of every command that loads an encoder, the loading itself, and the texts that it reads. */
import type { LoadedEncoder } from "../../model/encoder/types.ts";
import { defined, UsageError, type Values } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { readStandardInput, readTextFile } from "./input.ts";
import { loadAndUse } from "./load-and-use.ts";
import { locateModel } from "./locate.ts";

/** The model, how its weights are held, and a file of texts. */
export const encoderOptions = {
  model: {
    kind: "text",
    short: "m",
    value: "M",
    help: "checkpoint folder of an encoder, or owner/name on the hub; default: the bundled encoder jeton-embed",
  },
  format: {
    kind: "text",
    value: "FORMAT",
    choices: ["f32", "int8", "int8-channel", "int4"],
    help: "format of the weights in memory; default: f32 below 50 million parameters, otherwise int8",
  },
  threads: {
    kind: "integer",
    value: "N",
    min: 1,
    max: 256,
    help: "threads of a forward pass; default: the number of cores, at most 8",
  },
  file: {
    kind: "text",
    short: "f",
    value: "FILE",
    help: "read the texts from this file, one on each line",
  },
} as const;

/** `--model` for a head that the bundled encoder lacks. */
export const headedModelOption = {
  kind: "text",
  short: "m",
  value: "M",
  help: "checkpoint folder of an encoder with such a head, or owner/name on the hub; the bundled encoder has none",
} as const;

type EncoderValues = Values<typeof encoderOptions>;

/** Loads the encoder, calls `use` with it, and closes it in every case. */
export async function withEncoder<T>(
  context: CommandContext,
  values: Pick<EncoderValues, "model" | "format" | "threads">,
  use: (model: LoadedEncoder) => Promise<T>,
): Promise<T> {
  if (values.model === undefined) {
    throw new UsageError(
      "model-missing",
      "no model: give --model a checkpoint folder of an encoder, or a name on the hub, owner/name",
      { expected: "--model FOLDER or --model owner/name" },
    );
  }
  const { model: name } = values;
  const folder = await locateModel(context, name);
  const { openLocatedCheckpoint } = await import("../../model/weights/open-named-checkpoint.ts");
  const { loadNamedEncoder } = await import("../../model/encoder/load-encoder.ts");
  return loadAndUse(
    context,
    async (reports) =>
      loadNamedEncoder(await openLocatedCheckpoint(name, folder), {
        ...defined({ format: values.format, threads: values.threads }),
        ...reports,
      }),
    use,
  );
}

/**
 * A digest of an encoder's weights, by which an index knows those that made its vectors. Little of the file is read.
 */
export async function identifyEncoder(context: CommandContext, name: string): Promise<string> {
  const folder = await locateModel(context, name);
  const { openLocatedCheckpoint } = await import("../../model/weights/open-named-checkpoint.ts");
  const { identifyCheckpoint } = await import("../../model/identify-model.ts");
  const { checkpoint } = await openLocatedCheckpoint(name, folder);
  try {
    return await identifyCheckpoint(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

/**
 * The texts that a command works on: its arguments, or the lines of a file, or those of standard input
 * (`-` or no argument).
 *
 * @throws UsageError `text-missing`, `text-ambiguous`
 */
export async function readTexts(
  context: CommandContext,
  texts: readonly string[],
  file: string | undefined,
): Promise<string[]> {
  if (file !== undefined) {
    if (texts.length === 0) return linesOf(await readTextFile(file));
    throw new UsageError("text-ambiguous", "give texts or --file, not both");
  }
  const isPiped = texts.length === 0 || (texts.length === 1 && texts[0] === "-");
  if (!isPiped) return [...texts];
  if (texts.length === 0 && context.stdin.isTTY === true) {
    throw new UsageError(
      "text-missing",
      "no text: pass texts as arguments, or - to read one on each line from the terminal",
    );
  }
  return linesOf(await readStandardInput(context));
}

function linesOf(text: string): string[] {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  if (lines.length > 0) return lines;
  throw new UsageError("text-missing", "there are no texts, expected one on each line");
}
