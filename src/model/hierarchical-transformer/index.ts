/** Hierarchical autoregressive transformers: bytes within words, a transformer over words. */
export {
  type HierarchicalOptions,
  hierarchicalConfig,
} from "./hierarchical-transformer.ts";
