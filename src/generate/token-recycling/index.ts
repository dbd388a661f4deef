/** Token Recycling: drafts the model's own last predictions after each token. */
export { createTemplate, type DraftTemplate, publishedTemplate } from "./draft-template.ts";
export { SuccessorTable } from "./successor-table.ts";
export {
  createTokenRecyclingDrafter,
  type TokenRecycling,
  type TokenRecyclingOptions,
} from "./token-recycling.ts";
