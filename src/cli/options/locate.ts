/** Resolves `M` and `--model`: a folder, a name on the hub, or a bundled model. */
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import {
  type BundledModelName,
  bundledModelFolder,
  findBundledModel,
} from "../../checkpoint/bundled-models.ts";
import { JetonError } from "../../core/error.ts";
import { createProgressLine, formatBytes, formatDuration } from "../../core/progress.ts";
import { UsageError } from "../command.ts";
import type { CommandContext } from "../context.ts";

/** The bundled encoder, as indexes name it: its folder is elsewhere on every machine. */
export const bundledEncoderName: BundledModelName = "jeton-embed";

/**
 * The given name; without one the folder of the bundled model.
 *
 * @throws UsageError `model-missing` if no name is given and no model is bundled
 */
export function chooseModel(name: string | undefined): string {
  if (name !== undefined) return name;
  const bundled = bundledModelFolder("jeton-nano");
  if (existsSync(bundled)) return bundled;
  throw new UsageError(
    "model-missing",
    "no model: this version of jeton comes without one; give --model a checkpoint folder " +
      "(config.json, *.safetensors, tokenizer.json) or a name on the hub, owner/name",
    { expected: "--model FOLDER or --model owner/name" },
  );
}

/** A path as it is; for the name of a bundled model its folder. */
export function pathOfName(name: string): string {
  return findBundledModel(name) ?? name;
}

/** Values of a training in whose paths the names of bundled models are replaced by their folders. */
export function withBundledPaths<
  Values extends {
    readonly initialWeights: string | undefined;
    readonly tokenizer: string | undefined;
  },
>(values: Values): Values {
  const { initialWeights, tokenizer } = values;
  return {
    ...values,
    initialWeights: initialWeights === undefined ? undefined : pathOfName(initialWeights),
    tokenizer: tokenizer === undefined ? undefined : pathOfName(tokenizer),
  };
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
    if (/\.safetensors$/i.test(name)) {
      const folder = dirname(name);
      throw new JetonError(`${name} holds weights alone, expected the folder: ${folder}`, {
        code: "model-not-found",
        details: { found: name, expected: folder },
      });
    }
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

/** The folder or file of a model's tokenizer; of a model that is not cached yet only the small files are downloaded. */
export async function locateTokenizer(context: CommandContext, name: string): Promise<string> {
  const { checkpointFolder } = await import("../../checkpoint/index.ts");
  return checkpointFolder(await locateModel(context, name, { weights: false }));
}

/** A progress line on standard error. */
export function createStatusLine(context: CommandContext): ReturnType<typeof createProgressLine> {
  const { stderr } = context;
  return createProgressLine({
    write: (text) => void stderr.write(text),
    isTerminal: stderr.isTerminal,
  });
}
