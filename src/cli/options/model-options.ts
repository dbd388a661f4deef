/** Options of every command that loads a model, and the loading itself. */
import type { LoadedModel } from "../../model/types.ts";
import type { NamedCheckpoint } from "../../model/weights/open-named-checkpoint.ts";
import { defined, UsageError, type Values } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { loadAndUse } from "./load-and-use.ts";
import { chooseModel, locateModel } from "./locate.ts";
import { refuseMisplaced } from "./misplaced.ts";

export const modelOptions = {
  model: {
    kind: "text",
    short: "m",
    value: "M",
    help: "checkpoint folder, or owner/name on the hub; default: the bundled model jeton-nano",
  },
  format: {
    kind: "text",
    value: "FORMAT",
    choices: ["f32", "int8", "int8-channel", "int4"],
    help: "format of the weights in memory; jeton inspect shows the default",
  },
  threads: {
    kind: "integer",
    value: "N",
    min: 1,
    max: 256,
    help: "threads of a forward pass; default: the number of cores, at most 8",
  },
  context: {
    kind: "integer",
    value: "TOKENS",
    min: 1,
    help: "maximum number of tokens of a sequence, prompt and answer together; default: the model's own",
  },
} as const;

export interface UseModelOptions {
  /** Maximum number of open sequences. Default: that of `loadModel`. */
  readonly slots?: number;
  /** True: `LoadModelOptions.exact` is off. Default false. */
  readonly inexact?: boolean;
}

/** What the command line says of loading a decoder. */
export type ModelValues = Pick<
  Values<typeof modelOptions>,
  "model" | "format" | "threads" | "context"
> & {
  /** `--inexact`, of the commands that have it. */
  readonly inexact?: boolean;
};

/** Loads the model, calls `use` with it, and closes it in every case. */
export async function withModel<T>(
  context: CommandContext,
  values: ModelValues,
  options: UseModelOptions,
  use: (model: LoadedModel) => Promise<T>,
): Promise<T> {
  return withCheckpoint(context, values.model, (found) =>
    withFoundModel(context, found, values, options, use),
  );
}

/** Finds and opens a checkpoint, calls `use` with it, and closes it in every case. Reads no weights. */
export async function withCheckpoint<T>(
  context: CommandContext,
  model: string | undefined,
  use: (found: NamedCheckpoint) => Promise<T>,
): Promise<T> {
  const name = chooseModel(model);
  const folder = await locateModel(context, name);
  const { openLocatedCheckpoint } = await import("../../model/weights/open-named-checkpoint.ts");
  const found = await openLocatedCheckpoint(name, folder);
  try {
    return await use(found);
  } finally {
    await found.checkpoint.close();
  }
}

/** As `withModel`, with a checkpoint that is open already; loading closes it. */
export async function withFoundModel<T>(
  context: CommandContext,
  found: NamedCheckpoint,
  values: ModelValues,
  options: UseModelOptions,
  use: (model: LoadedModel) => Promise<T>,
): Promise<T> {
  await checkModelValues(found, values);
  const { loadNamedModel } = await import("../../model/load-model.ts");
  return loadAndUse(
    context,
    (reports) =>
      loadNamedModel(found, {
        ...defined({
          format: values.format,
          threads: values.threads,
          contextLength: values.context,
          slots: options.slots,
          exact: options.inexact ? false : undefined,
        }),
        ...reports,
      }),
    use,
  );
}

/**
 * Throws `option-misplaced` for what the kind of model has no use for, `context-too-long` if its configuration
 * allows fewer tokens.
 */
async function checkModelValues(
  { checkpoint: { config } }: NamedCheckpoint,
  values: ModelValues,
): Promise<void> {
  const { isWordModel, wordModelConfig } = await import("../../model/byte/word-config.ts");
  const isWords = isWordModel(config);
  if (isWords) {
    refuseMisplaced(
      values,
      ["inexact"],
      "means nothing for a model of words, whose passes are never exact",
    );
  }
  const { context: asked } = values;
  if (asked === undefined) return;
  const { decoderConfig } = await import("../../model/decoder/config.ts");
  const { contextLength } = isWords ? wordModelConfig(config) : decoderConfig(config);
  if (asked <= contextLength) return;
  throw new UsageError(
    "context-too-long",
    `--context is ${asked}, and the model's context has ${contextLength} tokens at most`,
    { option: "--context", found: asked, expected: `at most ${contextLength}` },
  );
}
