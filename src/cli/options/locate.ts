/** Finds what `M` and `--model` name: a folder, a hub name, or the model that comes with jeton. */
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { createProgressLine, formatBytes, formatDuration } from "../../core/progress.ts";
import { UsageError } from "../command.ts";
import type { CommandContext } from "../context.ts";

/** Folder of the model that comes with the package, from `src/cli` and from `dist/cli` alike. */
const bundledModel = new URL("../../../models/jeton-nano/", import.meta.url);

/**
 * The model that was named, or the bundled one.
 *
 * @throws UsageError `model-missing` when none was named and none is bundled.
 */
export function chooseModel(name: string | undefined): string {
  if (name !== undefined) return name;
  if (existsSync(bundledModel)) return fileURLToPath(bundledModel);
  throw new UsageError(
    "model-missing",
    "no model: this version of jeton comes without one; give --model a checkpoint folder " +
      "(config.json, *.safetensors, tokenizer.json) or a name on the hub, owner/name",
    { expected: "--model FOLDER or --model owner/name" },
  );
}

export interface LocateOptions {
  /** False: configuration and tokenizer are enough. Default true. */
  readonly weights?: boolean;
}

/** The folder (or the file, if a file was named) of a model, downloaded first where it is not here. */
export async function locateModel(
  context: CommandContext,
  name: string,
  options: LocateOptions = {},
): Promise<string> {
  const found = await stat(name).catch(() => undefined);
  if (found?.isFile()) return name;
  const { resolveModel } = await import("../../checkpoint/index.ts");
  const line = createStatusLine(context);
  try {
    return await resolveModel(name, {
      weights: options.weights ?? true,
      signal: context.signal,
      onProgress: ({ bytes, totalBytes, bytesPerSecond, secondsLeft, file }) => {
        const left = secondsLeft === undefined ? "" : `, ${formatDuration(secondsLeft)} left`;
        line.show(
          `downloading ${formatBytes(bytes)} of ${formatBytes(totalBytes)}, ` +
            `${formatBytes(bytesPerSecond)}/s${left}: ${file}`,
        );
      },
    });
  } finally {
    line.clear();
  }
}

/** A line on standard error that says what is going on. */
export function createStatusLine(context: CommandContext): ReturnType<typeof createProgressLine> {
  const { stderr } = context;
  return createProgressLine({
    write: (text) => void stderr.write(text),
    isTerminal: stderr.isTerminal,
  });
}
