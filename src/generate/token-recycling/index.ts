/** Token Recycling: guesses from what the model itself said about each token when it last saw it. */
export { createTemplate, type DraftTemplate, publishedTemplate } from "./draft-template.ts";
export { SuccessorTable } from "./successor-table.ts";
export {
  createTokenRecycling,
  type TokenRecycling,
  type TokenRecyclingOptions,
} from "./token-recycling.ts";
