/** Options of every command that loads a model, and the loading itself. */
import type { LoadedModel } from "../../model/types.ts";
import { defined, UsageError, type Values } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { loadAndUse } from "./load-and-use.ts";
import { chooseModel, locateModel } from "./locate.ts";

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

/** Loads the model, calls `use` with it, and closes it in every case. */
export async function withModel<T>(
  context: CommandContext,
  values: Pick<Values<typeof modelOptions>, "model" | "format" | "threads" | "context">,
  options: UseModelOptions,
  use: (model: LoadedModel) => Promise<T>,
): Promise<T> {
  const name = chooseModel(values.model);
  const folder = await locateModel(context, name);
  if (values.context !== undefined) await checkContext(folder, values.context);
  const { loadModel } = await import("../../model/index.ts");
  return loadAndUse(
    context,
    (reports) =>
      loadModel(name, {
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

/** Throws `context-too-long` if the model's configuration allows fewer tokens. */
async function checkContext(folder: string, asked: number): Promise<void> {
  const { readConfig } = await import("../../checkpoint/index.ts");
  const { decoderConfig } = await import("../../model/index.ts");
  // Errors of the configuration are reported when the model is loaded.
  const config = await readConfig(folder).catch(() => undefined);
  if (config === undefined) return;
  const { contextLength } = decoderConfig(config);
  if (asked <= contextLength) return;
  throw new UsageError(
    "context-too-long",
    `--context is ${asked}, and the model's context has ${contextLength} tokens at most`,
    { option: "--context", found: asked, expected: `at most ${contextLength}` },
  );
}
