/** DupMAE: a dense vector and the words of a text, scored by one inner product. */
export { hybridTerms, scoreHybrid } from "./dupmae.ts";
