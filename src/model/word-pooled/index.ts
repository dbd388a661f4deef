/** Word-pooled tokenization: bytes within words, several vectors for each word. */
export { type WordPooledOptions, wordPooledConfig } from "./word-pooled.ts";
