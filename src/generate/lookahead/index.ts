/** Lookahead: retrieves several draft branches at once from tries of prompts and past outputs. */
export { createLookaheadDrafter, type Lookahead, type LookaheadOptions } from "./lookahead.ts";
export type { Branching, BranchOrder } from "./retrieve-branches.ts";
export { TokenTrie, type TokenTrieOptions } from "./token-trie.ts";
