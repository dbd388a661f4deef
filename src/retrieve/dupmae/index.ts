/** DupMAE: a dense vector and the words of a text, scored by one inner product. */
export { hybridScorer, hybridTerms, scoreHybrid } from "./dupmae.ts";
