/** Opens any checkpoint folder and says what it is. */
import { loadNamedEncoder } from "./encoder/load-encoder.ts";
import { diskFolder } from "./encoder/sentence/disk-folder.ts";
import { hasModuleList } from "./encoder/sentence/sentence-folder.ts";
import type { LoadedEncoder } from "./encoder/types.ts";
import { loadNamedModel } from "./load-model.ts";
import { checkLoadOptions } from "./load-options.ts";
import { type ModelKind, modelKind } from "./model-kind.ts";
import { loadNamedSeq2Seq } from "./seq2seq/load-seq2seq.ts";
import type { LoadedSeq2Seq } from "./seq2seq/types.ts";
import type { LoadedModel, LoadModelOptions } from "./types.ts";
import { type NamedCheckpoint, openNamedCheckpoint } from "./weights/open-named-checkpoint.ts";

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
  checkLoadOptions(options, ["slots", "contextLength", "exact"]);
  const named = await openNamedCheckpoint(nameOrFolder, options);
  const kind = await readKind(named);
  switch (kind) {
    case "decoder":
      return { kind, model: await loadNamedModel(named, options) };
    case "encoder":
      return { kind, model: await loadNamedEncoder(named, options) };
    case "seq2seq":
      return { kind, model: await loadNamedSeq2Seq(named, options) };
  }
}

async function readKind({ checkpoint, folder }: NamedCheckpoint): Promise<ModelKind> {
  try {
    const hasModules = await hasModuleList(diskFolder(folder));
    return modelKind(checkpoint.config, { hasModules });
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}
