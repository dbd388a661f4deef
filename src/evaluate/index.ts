/**
 * Evaluation: what tokenizers, models and retrievers are measured by.
 *
 * @module evaluate
 */
export * from "./qtok/index.ts";
