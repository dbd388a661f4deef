/**
 * Retrieves draft branches from tries: the tokens that followed earlier occurrences of the text's end, in the
 * prompt and in past outputs.
 */
import { type BuiltTree, DraftTreeBuilder } from "../speculative/draft-tree-builder.ts";
import type { DraftContext } from "../speculative/drafter.ts";
import { MaxHeap } from "../speculative/max-heap.ts";
import { type TokenTrie, trieRoot } from "./token-trie.ts";

/** Which retrieved branches are drafted, and how they share nodes. */
export type Branching = "hierarchical" | "parallel" | "single";

/** Key by which branches are chosen. */
export type BranchOrder = "chance" | "frequency";

export interface RetrieveOptions {
  /** Most tokens at the end of the text that are looked up (the paper's maximum query length). */
  readonly queryLength: number;
  readonly branching: Branching;
  readonly order: BranchOrder;
  /** Weight of a count in outputs; one in the prompt weighs 1 minus this. For `"frequency"`. */
  readonly outputWeight: number;
  /** Share of the budget reserved for branches of outputs. For `"frequency"`. */
  readonly outputShare: number;
}

/** Tries in which branches are looked up. */
export interface BranchSource {
  /** The prompt of this request, not shared with others. */
  readonly prompt: TokenTrie;
  /** Outputs of all requests. */
  readonly output: TokenTrie;
  /**
   * Probability that a draft token is accepted when its ancestors were.
   *
   * @param isInPrompt whether the prompt holds the context with this token after it
   */
  acceptance(share: number, contextLength: number, isInPrompt: boolean): number;
}

/** What a draft token was retrieved by. */
export interface Evidence {
  /** Share of its context's occurrences that this token followed. */
  readonly share: number;
  readonly contextLength: number;
  readonly isInPrompt: boolean;
}

/** A draft tree with the evidence for each of its nodes. */
export interface RetrievedTree extends BuiltTree {
  readonly evidence: readonly Evidence[];
}

/** Most siblings that are considered, the most recent first. */
const maxSiblings = 64;

/** A context in both tries; `trieRoot` where one of them does not hold it. */
interface Place {
  readonly prompt: number;
  readonly output: number;
  /** Tokens of the context. */
  readonly length: number;
}

/** A draft token that may be added below a node. */
interface Candidate {
  /** The context with this token after it. */
  readonly place: Place;
  readonly share: number;
  readonly token: number;
  /** -1 for the root. */
  readonly parent: number;
  readonly acceptanceProbability: number;
}

/**
 * Draft tree of the branches that follow the ends of the text, longest end first.
 *
 * @param context its `maxNodes` is the paper's decoding length without the root
 */
export function retrieveBranches(
  source: BranchSource,
  options: RetrieveOptions,
  context: DraftContext,
): RetrievedTree {
  const draft = new GrowingDraft(source, options, context);
  const matches = findMatches(source, options.queryLength, context.ids);
  if (options.branching === "single") {
    for (const match of matches) draft.follow(match);
  } else if (options.order === "chance") {
    draft.grow(matches, (candidate) => candidate.acceptanceProbability, context.maxNodes);
  } else {
    // Branches of longer matches stay; those of shorter matches fill the rest of the budget.
    for (const match of matches) {
      const { prompt, output } = source;
      const free = context.maxNodes - draft.cost;
      const reserved = draft.cost + Math.floor(options.outputShare * free);
      draft.grow([match], (candidate) => output.count(candidate.place.output), reserved);
      draft.grow([match], mixedCount(prompt, output, options.outputWeight), context.maxNodes);
    }
  }
  return draft.tree;
}

function mixedCount(
  prompt: TokenTrie,
  output: TokenTrie,
  weight: number,
): (candidate: Candidate) => number {
  return ({ place }) =>
    (1 - weight) * prompt.count(place.prompt) + weight * output.count(place.output);
}

/** Contexts at the end of a text that have successors in a trie, the longest first. */
function findMatches(
  { prompt, output }: Pick<BranchSource, "prompt" | "output">,
  queryLength: number,
  ids: readonly number[],
): Place[] {
  const matches: Place[] = [];
  for (let length = Math.min(queryLength, ids.length); length > 0; length--) {
    const query = ids.slice(-length);
    const place = { prompt: prompt.find(query), output: output.find(query), length };
    if (hasChildren(prompt, place.prompt) || hasChildren(output, place.output)) matches.push(place);
  }
  return matches;
}

/** True where a context was found and has successors. The root of a trie stands for "not found". */
function hasChildren(trie: TokenTrie, node: number): boolean {
  return node !== trieRoot && trie.firstChild(node) !== trieRoot;
}

/** A draft tree to which branches are added. */
class GrowingDraft {
  readonly #source: BranchSource;
  readonly #options: RetrieveOptions;
  readonly #context: DraftContext;
  readonly #builder: DraftTreeBuilder = new DraftTreeBuilder({ unique: true });
  readonly #evidence: Evidence[] = [];
  /** Nodes that have a child. */
  readonly #inner: Set<number> = new Set([-1]);
  /** Tokens of the draft: its nodes, and with parallel branches the repeated beginnings of each. */
  cost = 0;

  constructor(source: BranchSource, options: RetrieveOptions, context: DraftContext) {
    this.#source = source;
    this.#options = options;
    this.#context = context;
  }

  get tree(): RetrievedTree {
    return { ...this.#builder.tree, evidence: this.#evidence };
  }

  /** Adds the draft tokens with the largest keys after some contexts, until the cost reaches `limit`. */
  grow(matches: readonly Place[], keyOf: (candidate: Candidate) => number, limit: number): void {
    const queue = new MaxHeap<Candidate>();
    const offer = (place: Place, node: number): void => {
      for (const candidate of this.#candidates(place, node)) {
        const key = keyOf(candidate);
        if (key > 0) queue.push(key, candidate);
      }
    };
    for (const match of matches) offer(match, -1);
    while (this.cost < limit) {
      const next = queue.pop();
      if (!next) return;
      const node = this.#add(next, limit);
      if (node !== undefined) offer(next.place, node);
    }
  }

  /** Adds the one branch that takes the most frequent draft token at each step. */
  follow(match: Place): void {
    const { prompt, output } = this.#source;
    const countOf = mixedCount(prompt, output, this.#options.outputWeight);
    if (this.#builder.size > 0) return;
    let place: Place = match;
    let node: number | undefined = -1;
    while (node !== undefined) {
      let best: Candidate | undefined;
      for (const candidate of this.#candidates(place, node)) {
        if (!best || countOf(candidate) > countOf(best)) best = candidate;
      }
      if (!best) return;
      place = best.place;
      node = this.#add(best, this.#context.maxNodes);
    }
  }

  /** The node of a draft token, added where it is new; undefined where the limit forbids that. */
  #add(candidate: Candidate, limit: number): number | undefined {
    const { token, parent, acceptanceProbability, share, place } = candidate;
    const known = this.#builder.childOf(parent, token);
    if (known !== undefined) return known;
    const isBranch = this.#options.branching === "parallel" && this.#inner.has(parent);
    const cost = isBranch ? this.#builder.depthOf(parent) + 1 : 1;
    if (this.cost + cost > limit) return undefined;
    this.cost += cost;
    this.#evidence.push({
      share,
      contextLength: place.length - 1,
      isInPrompt: place.prompt !== trieRoot,
    });
    this.#inner.add(parent);
    return this.#builder.add(parent, token, acceptanceProbability);
  }

  /** Successors of a context in the prompt and in outputs, as draft tokens below a node. */
  #candidates(place: Place, node: number): Candidate[] {
    const { prompt, output } = this.#source;
    const { maxDepth, minAcceptanceProbability } = this.#context;
    const reach = this.#builder.reachOf(node);
    const candidates: Candidate[] = [];
    if (this.#builder.depthOf(node) >= maxDepth) return candidates;
    const add = (token: number, inPrompt: number, inOutput: number): void => {
      const share = Math.max(
        shareOf(prompt, place.prompt, inPrompt),
        shareOf(output, place.output, inOutput),
      );
      const own = this.#source.acceptance(share, place.length, inPrompt !== trieRoot);
      const acceptanceProbability = reach * own;
      if (acceptanceProbability < minAcceptanceProbability) return;
      const found = { prompt: inPrompt, output: inOutput, length: place.length + 1 };
      candidates.push({ token, parent: node, acceptanceProbability, share, place: found });
    };
    const isInPrompt = place.prompt !== trieRoot;
    const isInOutput = place.output !== trieRoot;
    let child = isInPrompt ? prompt.firstChild(place.prompt) : trieRoot;
    for (let left = maxSiblings; child && left > 0; child = prompt.nextSibling(child), left--) {
      const token = prompt.token(child);
      add(token, child, isInOutput ? output.child(place.output, token) : trieRoot);
    }
    child = isInOutput ? output.firstChild(place.output) : trieRoot;
    for (let left = maxSiblings; child && left > 0; child = output.nextSibling(child), left--) {
      const token = output.token(child);
      if (isInPrompt && prompt.child(place.prompt, token) !== trieRoot) continue;
      add(token, trieRoot, child);
    }
    return candidates;
  }
}

/** Share of a context's occurrences that a token followed, lowered where the context is rare. */
function shareOf(trie: TokenTrie, context: number, child: number): number {
  if (child === trieRoot) return 0;
  const count = trie.count(child);
  return count / (Math.max(count, trie.count(context)) + 0.5);
}
