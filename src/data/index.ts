/** The data registry: public inputs of tests, trainings and reproductions, by name. Not a part of the package's interface. */
export {
  type DataFile,
  dataFiles,
  dataFolder,
  type LocateDataOptions,
  locateData,
} from "./registry.ts";
