/**
 * Context: attention over texts longer than one pass, one device or one training window.
 *
 * @module context
 */
export * from "./token-ring/index.ts";
