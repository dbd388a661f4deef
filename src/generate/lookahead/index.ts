/** Lookahead: guesses looked up in tries of prompts and past outputs, several branches at once. */
export { createLookahead, type Lookahead, type LookaheadOptions } from "./lookahead.ts";
export type { Branching, BranchOrder } from "./retrieve-branches.ts";
export { TokenTrie, type TokenTrieOptions } from "./token-trie.ts";
