/** XTR: search with one vector for each token, scored from retrieved tokens alone. */
export {
  retrieveTokens,
  type ScoreRetrievedOptions,
  scoreRetrieved,
  type TokenProducts,
} from "./xtr.ts";
