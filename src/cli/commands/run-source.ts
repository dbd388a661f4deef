/** `jeton run` with an encoder-decoder: it reads the prompt and writes another text from it. */
import { JetonError } from "../../core/error.ts";
import type { GenerateOptions } from "../../generate/types.ts";
import type { ModelKind } from "../../model/model-kind.ts";
import { defined, UsageError } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { withDrafter } from "../options/drafting.ts";
import { loadAndUse } from "../options/load-and-use.ts";
import { chooseModel, locateModel } from "../options/locate.ts";
import { type RunOutputOptions, runOne, runSeveral } from "./run-output.ts";

/** What a model is by its configuration; a decoder where that cannot be read, so that loading says why. */
export async function findKind(context: CommandContext, name: string): Promise<ModelKind> {
  const folder = await locateModel(context, name);
  const { readConfig } = await import("../../checkpoint/index.ts");
  const { modelKind } = await import("../../model/model-kind.ts");
  const config = await readConfig(folder).catch(() => undefined);
  return config === undefined ? "decoder" : modelKind(config);
}

/** The error for a model that generates nothing. */
export function notGenerating(model: string): JetonError {
  return new JetonError(
    `${model} is an encoder, which generates no text: use jeton embed, classify or fill`,
    { code: "model-kind-unsupported", details: { model, kind: "encoder" } },
  );
}

/**
 * Checks that a model goes on with a text, so that it has a distribution of the text's next byte.
 *
 * @throws JetonError `model-kind-unsupported`
 */
export async function checkHasBytes(
  context: CommandContext,
  name: string | undefined,
): Promise<void> {
  const model = chooseModel(name);
  const kind = await findKind(context, model);
  if (kind === "encoder") throw notGenerating(model);
  if (kind === "decoder") return;
  throw new JetonError(
    `${model} is an encoder-decoder, which writes another text and has no next byte of this one: ` +
      "expected a decoder or a model of words",
    { code: "model-kind-unsupported", details: { model, kind } },
  );
}

/** Options that only decoders have a use for. */
interface DecoderOnly {
  readonly system: string | undefined;
  readonly context: number | undefined;
  readonly inexact: boolean;
}

/** Loads an encoder-decoder, reads the text, and prints what is written from it. */
export async function runSource(
  context: CommandContext,
  text: string,
  generation: GenerateOptions,
  values: DecoderOnly &
    RunOutputOptions &
    Parameters<typeof withDrafter>[1] & {
      readonly model: string | undefined;
      readonly format: "f32" | "int8" | "int8-channel" | "int4" | undefined;
      readonly threads: number | undefined;
      readonly sequences: number;
    },
): Promise<void> {
  if (values.system !== undefined) {
    throw new UsageError(
      "system-unsupported",
      "--system needs a chat model, not an encoder-decoder",
    );
  }
  const { loadSeq2Seq } = await import("../../model/index.ts");
  return loadAndUse(
    context,
    (reports) =>
      loadSeq2Seq(values.model!, {
        ...defined({ format: values.format, threads: values.threads }),
        ...reports,
      }),
    async (model) => {
      const decoder = await model.read(text, { signal: context.signal });
      await withDrafter(context, values, decoder, async (drafter) => {
        const options = drafter ? { ...generation, drafter } : generation;
        const run = { context, model: decoder, prompt: [decoder.bosTokenId!], options };
        if (values.sequences > 1) return runSeveral(run, values.sequences, values);
        return runOne(run, values);
      });
      await decoder.close();
    },
  );
}
