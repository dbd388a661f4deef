/** Resolves `M` and `--model`: a folder, a name on the hub, or the bundled model. */
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { createProgressLine, formatBytes, formatDuration } from "../../core/progress.ts";
import { UsageError } from "../command.ts";
import type { CommandContext } from "../context.ts";

/** Folder of the bundled model; the same relative path from `src/cli/options` and `dist/cli/options`. */
export const bundledModelFolder: string = fileURLToPath(
  new URL("../../../models/jeton-nano/", import.meta.url),
);

const bundledName = "jeton-nano";

/** The bundled encoder, as indexes name it: its folder is elsewhere on every machine. */
export const bundledEncoderName = "jeton-embed";

/** Folder of the bundled encoder. */
export const bundledEncoderFolder: string = fileURLToPath(
  new URL("../../../models/jeton-embed/", import.meta.url),
);

/** The folder that an encoder's name stands for: the bundled one's for its own name, unless a folder is called so. */
export function chooseEncoder(name: string): string {
  return name === bundledEncoderName && !existsSync(name) ? bundledEncoderFolder : name;
}

/**
 * The given name; without one, or for the bundled model's own name, the folder of the bundled model.
 *
 * @throws UsageError `model-missing` if no name is given and no model is bundled
 */
export function chooseModel(name: string | undefined): string {
  if (name !== undefined && !(name === bundledName && !existsSync(name))) return name;
  if (existsSync(bundledModelFolder)) return bundledModelFolder;
  throw new UsageError(
    "model-missing",
    "no model: this version of jeton comes without one; give --model a checkpoint folder " +
      "(config.json, *.safetensors, tokenizer.json) or a name on the hub, owner/name",
    { expected: "--model FOLDER or --model owner/name" },
  );
}

export interface LocateOptions {
  /** False: download only configuration and tokenizer. Default true. */
  readonly weights?: boolean;
  /** Ask the hub for a newer commit of a cached model. Default false. */
  readonly update?: boolean;
}

/** The local folder of a model, downloaded if it is not cached yet; a file's path is returned as it is. */
export async function locateModel(
  context: CommandContext,
  name: string,
  options: LocateOptions = {},
): Promise<string> {
  const found = await stat(name).catch(() => undefined);
  const { foreignFormatError, resolveModel } = await import("../../checkpoint/index.ts");
  if (found?.isFile()) {
    const error = foreignFormatError(name, [basename(name)]);
    if (error !== undefined) throw error;
    return name;
  }
  const line = createStatusLine(context);
  try {
    return await resolveModel(name, {
      weights: options.weights ?? true,
      update: options.update ?? false,
      environment: context.environment,
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

/** A progress line on standard error. */
export function createStatusLine(context: CommandContext): ReturnType<typeof createProgressLine> {
  const { stderr } = context;
  return createProgressLine({
    write: (text) => void stderr.write(text),
    isTerminal: stderr.isTerminal,
  });
}
