/** Opening of models whose texts are read byte by byte. */
import { JetonError } from "../../core/error.ts";
import type { LoadedModel } from "../../model/types.ts";
import type { CommandContext } from "../context.ts";
import { type ModelValues, withCheckpoint, withFoundModel } from "./model-options.ts";

/**
 * As `withModel`, for a model that goes on with a text, so that it has a distribution of the text's next byte.
 *
 * @throws JetonError `model-kind-unsupported` for encoders and encoder-decoders
 */
export async function withByteModel<T>(
  context: CommandContext,
  values: ModelValues,
  use: (model: LoadedModel) => Promise<T>,
): Promise<T> {
  return withCheckpoint(context, values.model, async (found) => {
    const { modelKind } = await import("../../model/model-kind.ts");
    const kind = modelKind(found.checkpoint.config);
    if (kind !== "decoder") {
      const article = kind === "encoder" ? "an encoder" : "an encoder-decoder";
      throw new JetonError(
        `${found.name} is ${article}, which does not go on with a text, byte by byte or otherwise: ` +
          "expected a decoder or a model of words",
        { code: "model-kind-unsupported", details: { model: found.name, kind } },
      );
    }
    return withFoundModel(context, found, values, { slots: 1, inexact: true }, use);
  });
}
