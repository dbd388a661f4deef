/**
 * DySpec: draft trees shaped by the draft's confidence.
 */
export {
  type DraftSource,
  type DraftSourceSequence,
  type ModelDraftOptions,
  modelDraft,
} from "./draft-source.ts";
export { type GrowByLayerOptions, type GrowOptions, growTree, growTreeByLayer } from "./dyspec.ts";
export { createDyspecDrafter, type DyspecOptions } from "./dyspec-drafter.ts";
export type { DraftDistributions, DynamicTree } from "./growing-tree.ts";
export { NgramModel, type NgramModelOptions } from "./ngram-draft.ts";
export {
  branchingShape,
  chainShape,
  fillShape,
  sequoiaShape,
  type TreeShape,
} from "./static-tree.ts";
