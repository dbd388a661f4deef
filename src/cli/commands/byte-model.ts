/** A model that goes on with a text, so that it has a distribution of the text's next byte. */
import { JetonError } from "../../core/error.ts";
import type { LoadedModel } from "../../model/types.ts";
import type { CommandContext } from "../context.ts";
import { type ModelValues, withCheckpoint, withFoundModel } from "../options/model-options.ts";
import { notGenerating } from "./run-source.ts";

/**
 * Loads the model with one sequence, calls `use` with it, and closes it in every case.
 *
 * @throws JetonError `model-kind-unsupported`
 */
export async function withByteModel<T>(
  context: CommandContext,
  values: ModelValues,
  use: (model: LoadedModel) => Promise<T>,
): Promise<T> {
  return withCheckpoint(context, values.model, async (found) => {
    const { modelKind } = await import("../../model/model-kind.ts");
    const kind = modelKind(found.checkpoint.config);
    if (kind === "encoder") throw notGenerating(found.name);
    if (kind === "seq2seq") {
      throw new JetonError(
        `${found.name} is an encoder-decoder, which writes another text and has no next byte of this one: ` +
          "expected a decoder or a model of words",
        { code: "model-kind-unsupported", details: { model: found.name, kind } },
      );
    }
    return withFoundModel(context, found, values, { slots: 1, inexact: true }, use);
  });
}
