/**
 * Needle Threading: lookups and chains of lookups in haystacks of random pairs.
 *
 * @module evaluate/needle-threading
 */
export {
  haystackLength,
  type NeedleWording,
  type Pair,
  printHaystack,
  type SamplePairsOptions,
  samplePairs,
} from "./haystack.ts";
export {
  type EvaluateKeyValuesOptions,
  evaluateKeyValues,
  type KeyValueRecord,
  parseKeyValueRecords,
} from "./kv-retrieval.ts";
export {
  type MakeNeedleItemOptions,
  makeNeedleItem,
  type NeedleItem,
  type NeedlePlacement,
  type NeedleSettings,
  type NeedleTask,
  needleTasks,
  type ThreadDirection,
} from "./needle-item.ts";
export {
  type EvaluateNeedleThreadingOptions,
  evaluateNeedleThreading,
  type NeedleGrid,
  paperGrid,
  planNeedleThreading,
  smallGrid,
} from "./needle-threading.ts";
export { type AnswerScore, findCodes, type ScoredItem, scoreAnswer } from "./score-answer.ts";
export {
  formatTokenizerStudy,
  type StudiedTokenizer,
  type StudyTokenizersOptions,
  studyTokenizers,
  type TokenizerCost,
} from "./tokenizer-study.ts";
