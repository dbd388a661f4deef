/**
 * LoCoV1: retrieval among long documents.
 *
 * @module evaluate/loco
 */
export {
  averageLoco,
  evaluateLocoTask,
  type LocoEvaluation,
  type LocoTask,
  locoTaskCount,
  truncateDocuments,
} from "./loco.ts";
export { type ReadLocoOptions, readLocoTasks } from "./read-tasks.ts";
