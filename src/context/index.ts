/**
 * Context: attention over texts longer than one pass, one device or one training window.
 *
 * @module context
 */
export * from "./extensible-tokenization/index.ts";
export * from "./gemfilter/index.ts";
export * from "./landmark-attention/index.ts";
export * from "./longheads/index.ts";
export * from "./policies/index.ts";
export * from "./token-ring/index.ts";
export * from "./token-select/index.ts";
