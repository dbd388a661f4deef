/** Opens any checkpoint folder and says what it is. */
import { readConfig } from "../checkpoint/index.ts";
import { loadEncoder } from "./encoder/load-encoder.ts";
import type { LoadedEncoder } from "./encoder/types.ts";
import { loadModel } from "./load-model.ts";
import { modelKind } from "./model-kind.ts";
import { loadSeq2Seq } from "./seq2seq/load-seq2seq.ts";
import type { LoadedSeq2Seq } from "./seq2seq/types.ts";
import type { LoadedModel, LoadModelOptions } from "./types.ts";
import { resolveModelFolder } from "./weights/open-named-checkpoint.ts";

/** An open model and what it is. */
export type OpenedModel =
  | { readonly kind: "decoder"; readonly model: LoadedModel }
  | { readonly kind: "encoder"; readonly model: LoadedEncoder }
  | { readonly kind: "seq2seq"; readonly model: LoadedSeq2Seq };

/** Options that models of every kind take. */
export type OpenFolderOptions = Pick<
  LoadModelOptions,
  "format" | "threads" | "inline" | "cacheFolder" | "onProgress" | "onWarning" | "signal"
>;

/**
 * Opens a checkpoint folder, or a name on the hub, as what its `config.json` says it is.
 *
 * @example
 * const opened = await openModel("path/to/checkpoint");
 * if (opened.kind === "encoder") console.log(await embed(opened.model, ["a rose"]));
 * await opened.model.close();
 *
 * @throws JetonError those of `loadModel`, `loadEncoder` and `loadSeq2Seq`
 */
export async function openModel(
  nameOrFolder: string,
  options: OpenFolderOptions = {},
): Promise<OpenedModel> {
  const folder = await resolveModelFolder(nameOrFolder, options);
  const kind = modelKind(await readConfig(folder));
  switch (kind) {
    case "decoder":
      return { kind, model: await loadModel(nameOrFolder, options) };
    case "encoder":
      return { kind, model: await loadEncoder(nameOrFolder, options) };
    case "seq2seq":
      return { kind, model: await loadSeq2Seq(nameOrFolder, options) };
  }
}
