/** The data registry: public inputs of tests, trainings and reproductions, by name. Not part of the package's API. */
export {
  type FetchDataOptions,
  type FetchedFile,
  type FetchProgress,
  fetchData,
} from "./fetch.ts";
export {
  type DataFile,
  dataFiles,
  dataFolder,
  findDataFiles,
  type LocateDataOptions,
  locateData,
  targetFolder,
} from "./registry.ts";
