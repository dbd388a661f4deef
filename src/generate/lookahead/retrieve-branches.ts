/**
 * Guesses from tries: the text that followed, in the prompt and in past outputs, where the last tokens
 * stood before.
 */
import type { DraftContext, DraftTree } from "../speculative/drafter.ts";
import { MaxHeap } from "../speculative/max-heap.ts";
import { type TokenTrie, trieRoot } from "./token-trie.ts";

/** Which of the branches that were found become guesses. */
export type Branching = "hierarchical" | "parallel" | "single";

/** By what branches are chosen. */
export type BranchOrder = "chance" | "frequency";

export interface RetrieveOptions {
  /** Longest end of the text that is looked up (the paper's maximum query length). */
  readonly queryLength: number;
  readonly branching: Branching;
  readonly order: BranchOrder;
  /** Weight of a count in outputs beside one in the prompt, of 1 minus this; for `"frequency"`. */
  readonly outputWeight: number;
  /** Share of the budget that goes to branches of outputs before all others; for `"frequency"`. */
  readonly outputShare: number;
}

/** Where branches are looked up. */
export interface BranchSource {
  /** The prompt of this request; nobody else sees it. */
  readonly prompt: TokenTrie;
  /** Outputs of all requests. */
  readonly output: TokenTrie;
  /**
   * Chance that a guess is accepted when all above it were.
   *
   * @param isInPrompt whether the prompt holds the context with this token after it
   */
  chance(share: number, contextLength: number, isInPrompt: boolean): number;
}

/** Why a guess was made. */
export interface Evidence {
  /** Share of the occurrences of its context that it followed. */
  readonly share: number;
  readonly contextLength: number;
  readonly isInPrompt: boolean;
}

/** A draft tree with the evidence for each of its nodes. */
export interface RetrievedTree extends DraftTree {
  readonly parents: readonly number[];
  readonly evidence: readonly Evidence[];
}

/** Siblings that are looked at, the most recent first. */
const maxSiblings = 64;

/** A stretch of text in both tries; `trieRoot` where one of them does not hold it. */
interface Place {
  readonly prompt: number;
  readonly output: number;
  /** Tokens of the stretch. */
  readonly length: number;
}

/** A guess that may be added below a node of the draft. */
interface Candidate {
  /** The context with this token after it. */
  readonly place: Place;
  readonly share: number;
  readonly token: number;
  /** Node of the draft, -1 for its root. */
  readonly parent: number;
  readonly depth: number;
  readonly chance: number;
}

/**
 * Draft tree of the branches below the ends of the text, longest end first.
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
    draft.grow(matches, (candidate) => candidate.chance, context.maxNodes);
  } else {
    // What a longer end of the text found stays; a shorter one fills what is left.
    for (const match of matches) {
      const { prompt, output } = source;
      const room = context.maxNodes - draft.cost;
      const reserved = draft.cost + Math.floor(options.outputShare * room);
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

/** Places of the ends of a text that have something after them, the longest end first. */
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

/** The root of a trie stands for no match: what follows nothing is no guess. */
function hasChildren(trie: TokenTrie, node: number): boolean {
  return node !== trieRoot && trie.firstChild(node) !== trieRoot;
}

/** A draft tree while branches are added to it. */
class GrowingDraft {
  readonly #source: BranchSource;
  readonly #options: RetrieveOptions;
  readonly #context: DraftContext;
  readonly #ids: number[] = [];
  readonly #parents: number[] = [];
  readonly #expected: number[] = [];
  readonly #evidence: Evidence[] = [];
  readonly #depths: number[] = [];
  /** Nodes that have a child. */
  readonly #inner: Set<number> = new Set([-1]);
  readonly #children: Map<string, number> = new Map();
  /** Tokens that the draft costs: its nodes, and where branches are parallel their repeated beginnings. */
  cost = 0;

  constructor(source: BranchSource, options: RetrieveOptions, context: DraftContext) {
    this.#source = source;
    this.#options = options;
    this.#context = context;
  }

  get tree(): RetrievedTree {
    return {
      ids: this.#ids,
      parents: this.#parents,
      acceptanceProbabilities: this.#expected,
      evidence: this.#evidence,
    };
  }

  /** Adds the guesses of the largest keys below some places, until the draft costs `limit`. */
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

  /** Adds the one branch that takes the most frequent guess at each step. */
  follow(match: Place): void {
    const { prompt, output } = this.#source;
    const countOf = mixedCount(prompt, output, this.#options.outputWeight);
    if (this.#ids.length > 0) return;
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

  /** The node of a guess, which is added where it is new; undefined where the limit forbids that. */
  #add(candidate: Candidate, limit: number): number | undefined {
    const { token, parent, depth, chance, share, place } = candidate;
    const name = `${parent} ${token}`;
    const known = this.#children.get(name);
    if (known !== undefined) return known;
    const isBranch = this.#options.branching === "parallel" && this.#inner.has(parent);
    const cost = isBranch ? depth : 1;
    if (this.cost + cost > limit) return undefined;
    this.cost += cost;
    const node = this.#ids.length;
    this.#ids.push(token);
    this.#parents.push(parent);
    this.#expected.push(chance);
    this.#depths.push(depth);
    this.#evidence.push({
      share,
      contextLength: place.length - 1,
      isInPrompt: place.prompt !== trieRoot,
    });
    this.#inner.add(parent);
    this.#children.set(name, node);
    return node;
  }

  /** What followed a place, in the prompt or in outputs, as guesses below a node. */
  #candidates(place: Place, node: number): Candidate[] {
    const { prompt, output, chance: chanceOf } = this.#source;
    const { maxDepth, minAcceptanceProbability } = this.#context;
    const depth = node < 0 ? 1 : this.#depths[node]! + 1;
    const above = node < 0 ? 1 : this.#expected[node]!;
    const candidates: Candidate[] = [];
    if (depth > maxDepth) return candidates;
    const add = (token: number, inPrompt: number, inOutput: number): void => {
      const share = Math.max(
        shareOf(prompt, place.prompt, inPrompt),
        shareOf(output, place.output, inOutput),
      );
      const chance = above * chanceOf(share, place.length, inPrompt !== trieRoot);
      if (chance < minAcceptanceProbability) return;
      const found = { prompt: inPrompt, output: inOutput, length: place.length + 1 };
      candidates.push({ token, parent: node, depth, chance, share, place: found });
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

/** How often a token followed its context, as a share that is lower where the context is rare. */
function shareOf(trie: TokenTrie, context: number, child: number): number {
  if (child === trieRoot) return 0;
  const count = trie.count(child);
  return count / (Math.max(count, trie.count(context)) + 0.5);
}
