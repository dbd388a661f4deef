/** Checkpoints: bytes on disk as named arrays, configuration, the hub's cache. */

export {
  type BundledModelName,
  bundledModelFolder,
  bundledModelNames,
  findBundledModel,
} from "./bundled-models.ts";
export {
  type Checkpoint,
  type OpenCheckpointOptions,
  openCheckpoint,
  singleWeightsName,
  weightsIndexName,
} from "./checkpoint.ts";
export {
  type ModelConfig,
  readConfig,
  readGenerationConfig,
  readJson,
  readJsonObject,
  textConfig,
} from "./config.ts";
export { syncFolder, writeFileAtomically } from "./files/atomic-file.ts";
export { fileError } from "./files/file-error.ts";
export {
  type AcquireLockOptions,
  acquireLock,
  type FileLock,
  type LockHolder,
} from "./files/file-lock.ts";
export { foreignFormatError } from "./foreign-formats.ts";
export { type ResolveModelOptions, resolveModel } from "./hub/hub.ts";
export { type CachedModel, listCachedModels, removeCachedModel } from "./hub/hub-cache.ts";
export { type HubName, parseHubName } from "./hub/hub-name.ts";
export type { DownloadProgress } from "./hub/hub-progress.ts";
export {
  type Environment,
  type HubOptions,
  type HubSettings,
  readHubSettings,
} from "./hub/hub-settings.ts";
export {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  type ParseJsonOptions,
  parseJson,
} from "./json.ts";
export { type CheckpointPlace, checkpointFolder, locateCheckpoint } from "./model-folder.ts";
export {
  openPackedCache,
  type PackedCacheEntry,
  type PackedCacheHit,
  type PackedCacheMiss,
  type PackedCacheOptions,
  type PackedCacheWritten,
} from "./packed-cache.ts";
export { combineFiles } from "./safetensors/combine-files.ts";
export {
  type ArrayOfDtype,
  bytesPerElement,
  type Dtype,
  isReadableDtype,
  narrowToBFloat16,
  narrowToFloat16,
  type TensorArray,
  widenToFloat32,
} from "./safetensors/dtype.ts";
export { openSafetensors, type SafetensorsFile } from "./safetensors/safetensors.ts";
export { openSafetensorsBytes } from "./safetensors/safetensors-bytes.ts";
export {
  parseHeaderLength,
  parseSafetensorsHeader,
  type SafetensorsHeader,
  type TensorEntry,
} from "./safetensors/safetensors-header.ts";
export type {
  ReadFloat32Options,
  ReadTensorOptions,
  RowRange,
  StoredTensor,
  TensorReader,
} from "./safetensors/tensor-reader.ts";
export {
  type FillSafetensors,
  type TensorData,
  type TensorPlace,
  type TensorToWrite,
  type WriteSafetensorsOptions,
  type WriteShardedOptions,
  type WrittenShards,
  writeSafetensors,
  writeShardedSafetensors,
} from "./safetensors/write-safetensors.ts";
