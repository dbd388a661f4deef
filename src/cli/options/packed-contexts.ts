/** Packed texts for `jeton run`: the options, and the prompt behind them. */
import type { PackedContext } from "../../context/index.ts";
import type { GenerateOptions, Prompt } from "../../generate/types.ts";
import type { LoadedModel } from "../../model/types.ts";
import { defined } from "../command.ts";
import { refuseHealing } from "./healing.ts";
import { refuseMisplaced } from "./misplaced.ts";

export const packedContextOptions = {
  packedContext: {
    kind: "list",
    value: "FILE",
    help: "read this text before the prompt, as jeton context pack wrote it; several are read in order",
  },
  packedFactor: {
    kind: "integer",
    value: "K",
    min: 1,
    help: "tokens of a packed text for each embedding; default: the smallest trained one with which everything fits",
  },
} as const;

/** Throws `option-misplaced` where packed texts, or their factor, would be ignored. */
export function checkPackedContexts(
  values: {
    readonly packedContext: readonly string[];
    readonly packedFactor: number | undefined;
    readonly showContext: boolean;
    readonly heal: string | undefined;
  },
  isChat: boolean,
): void {
  if (values.packedContext.length === 0) {
    refuseMisplaced(values, ["packedFactor"], "needs --packed-context, a text to read");
    return;
  }
  if (isChat)
    refuseMisplaced(values, ["packedContext"], "needs a prompt: a chat has no place for it");
  const why = "means nothing beside --packed-context, whose tokens are not read one by one";
  refuseMisplaced(values, ["showContext"], why);
  refuseHealing(values, "and --packed-context exclude each other");
}

/** The packed texts. Throws `packed-context-invalid`, `packed-context-damaged`. */
export async function readPackedContexts(files: readonly string[]): Promise<PackedContext[]> {
  if (files.length === 0) return [];
  const { readPackedContext } = await import("../../context/index.ts");
  const packed: PackedContext[] = [];
  for (const file of files) packed.push(await readPackedContext(file));
  return packed;
}

/** A prompt, and the options to generate from it, behind packed texts; as they are where there are none. */
export async function putBehind(
  packed: readonly PackedContext[],
  model: LoadedModel,
  { prompt, options }: { readonly prompt: Prompt; readonly options: GenerateOptions },
  factor: number | undefined,
): Promise<{ readonly prompt: Prompt; readonly options: GenerateOptions }> {
  if (packed.length === 0) return { prompt, options };
  const { promptWithContext } = await import("../../context/index.ts");
  const { maxTokens } = options;
  const given = await promptWithContext(model, packed, prompt, defined({ factor, maxTokens }));
  const { promptEmbeddings } = given;
  return { prompt: given.prompt, options: { ...options, promptEmbeddings } };
}
