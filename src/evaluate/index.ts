/**
 * Evaluation: what tokenizers, models and retrievers are measured by.
 *
 * @module evaluate
 */
export * from "./coir/index.ts";
export * from "./loco/index.ts";
export * from "./long-context/index.ts";
export * from "./needle-threading/index.ts";
export * from "./qtok/index.ts";
export * from "./rag-token-metrics/index.ts";
export * from "./trec/index.ts";
