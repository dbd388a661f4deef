/**
 * Probabilities of a closed set of continuations: which of these answers does the model prefer? Shared
 * beginnings are computed once, all of them in few forward passes.
 */
import { JetonError } from "../core/index.ts";
import type { LoadedModel, OpenSequence, StepResult } from "../model/index.ts";
import { promptChunkOf, refuseDependent } from "./context-policy.ts";
import { prefill } from "./prefill.ts";
import { promptIds } from "./prompt.ts";
import { checkFinite, logitsOfRow } from "./sampling/sampler.ts";
import type { Conversation, Prompt } from "./types.ts";

/** Options of `scoreContinuations`. */
export interface ScoreContinuationsOptions {
  /** Most tokens of one forward pass over the continuations. Default 64. */
  maxNodes?: number;
  /** Aborting ends the scoring with the signal's reason. */
  signal?: AbortSignal;
}

/** The score of one continuation. */
export interface ContinuationScore {
  readonly ids: readonly number[];
  /** Natural logarithm of the probability of each token given prompt and tokens before it. */
  readonly logProbabilities: readonly number[];
  /** Their sum. */
  readonly logProbability: number;
  /** exp of the sum, divided by that of all continuations. */
  readonly share: number;
}

/** A token of the tree of continuations. */
interface Node {
  readonly id: number;
  readonly parent: number;
  readonly depth: number;
  logProbability: number;
}

/**
 * Scores continuations of one prompt exactly. A continuation of text is encoded with the prompt, so that
 * its tokens are those of the whole text; one that changes the prompt's last tokens needs ids.
 *
 * @throws JetonError `score-continuations-empty`, `score-continuation-joins`, `context-policy-unavailable` under a policy
 *   for which a token depends on the choice of the one before, or that chooses among the prompt's tokens
 */
export async function scoreContinuations(
  model: LoadedModel,
  prompt: Prompt | Conversation,
  continuations: readonly (string | readonly number[])[],
  options: ScoreContinuationsOptions = {},
): Promise<ContinuationScore[]> {
  refuseDependent(model);
  const { maxNodes = 64, signal } = options;
  const passed = signal ? { signal } : {};
  const before = promptIds(model, prompt);
  const targets = continuations.map((text) =>
    typeof text === "string" ? encodeAfter(model, prompt, before, text) : text,
  );
  const empty = targets.findIndex((ids) => ids.length === 0);
  if (targets.length === 0 || empty >= 0) {
    throw new JetonError(
      targets.length === 0
        ? "there are no continuations to score"
        : `continuation ${empty} (${JSON.stringify(continuations[empty])}) has no token`,
      { code: "score-continuations-empty", details: { continuation: empty } },
    );
  }
  const { nodes, ends } = plantTree(targets);
  const sequence = await model.openSequence({ prefix: before, ...passed });
  try {
    if (model.contextPolicy) {
      const multiple = promptChunkOf(model.contextPolicy);
      const unread = before.slice(sequence.reused);
      const last = await prefill(sequence, unread, lastRow, { ...passed, multiple });
      await scoreChains(sequence, last, nodes, signal);
      return describe(targets, nodes, ends);
    }
    const unread = before.slice(sequence.reused, -1);
    if (sequence.length > before.length - 1) await sequence.truncate(before.length - 1);
    if (unread.length > 0) await prefill(sequence, unread, { results: "none" }, passed);
    await scoreNodes(sequence, before.at(-1)!, nodes, maxNodes, signal);
  } finally {
    await sequence.release();
  }
  return describe(targets, nodes, ends);
}

/** Tokens of the whole text after the prompt's. */
function encodeAfter(
  { tokenizer }: LoadedModel,
  prompt: Prompt | Conversation,
  before: readonly number[],
  text: string,
): number[] {
  const options = { applyLimits: false } as const;
  if (typeof prompt !== "string") {
    return [...tokenizer.encodeIds(text, { ...options, addSpecialTokens: false })];
  }
  const ids = [...tokenizer.encodeIds(prompt + text, options)];
  if (before.every((id, at) => ids[at] === id)) return ids.slice(before.length);
  throw new JetonError(
    `the continuation ${JSON.stringify(text)} changes the tokens of the prompt's end; give ids, or end the prompt at a word`,
    { code: "score-continuation-joins", details: { continuation: text } },
  );
}

function plantTree(targets: readonly (readonly number[])[]): { nodes: Node[]; ends: number[] } {
  const nodes: Node[] = [];
  const numbers = new Map<string, number>();
  const ends = targets.map((ids) => {
    let parent = -1;
    for (const [depth, id] of ids.entries()) {
      const key = `${parent} ${id}`;
      let number = numbers.get(key);
      if (number === undefined) {
        number = nodes.push({ id, parent, depth, logProbability: Number.NaN }) - 1;
        numbers.set(key, number);
      }
      parent = number;
    }
    return parent;
  });
  return { nodes, ends };
}

/**
 * One pass reads inner nodes as a tree below the prompt's last token; a node's children are read off its
 * row. Trees beyond the limit are cut into subtrees, each with the path to it.
 */
async function scoreNodes(
  sequence: OpenSequence,
  root: number,
  nodes: readonly Node[],
  maxNodes: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const children = childrenOf(nodes);
  const inner = [-1, ...nodes.keys()].filter((number) => children.has(number));
  for (let from = 0; from < inner.length; from += maxNodes) {
    const rows: number[] = [];
    const rowOf = new Map<number, number>();
    const add = (number: number): number => {
      const known = rowOf.get(number);
      if (known !== undefined) return known;
      if (number >= 0) add(nodes[number]!.parent);
      rowOf.set(number, rows.push(number) - 1);
      return rowOf.get(number)!;
    };
    add(-1);
    const wanted = inner.slice(from, from + maxNodes);
    for (const number of wanted) add(number);
    const result = await sequence.step(
      {
        ids: rows.map((number) => (number < 0 ? root : nodes[number]!.id)),
        parents: rows.map((number) => (number < 0 ? -1 : rowOf.get(nodes[number]!.parent)!)),
        ...rowOutputs,
        commit: false,
      },
      signal ? { signal } : {},
    );
    for (const number of wanted) {
      readChildren(result, rowOf.get(number)!, children.get(number)!, nodes);
    }
  }
}

/** What a step gives of each row, or of its last one. */
const rowOutputs = { results: "all", logits: true, topK: 1 } as const;
const lastRow = { ...rowOutputs, results: "last" } as const;

/** The scores of a node's children, read off its row. */
function readChildren(
  result: StepResult,
  row: number,
  children: readonly number[],
  nodes: readonly Node[],
): void {
  const logSumExp = result.logSumExp[row]!;
  checkFinite(logSumExp);
  const logits = logitsOfRow(result, row);
  for (const child of children) {
    const node = nodes[child]!;
    node.logProbability = logits[node.id]! - logSumExp;
  }
}

/** Under a context policy: a pass for each path below the prompt, whose last row is known. */
async function scoreChains(
  sequence: OpenSequence,
  last: StepResult,
  nodes: readonly Node[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const children = childrenOf(nodes);
  readChildren(last, 0, children.get(-1)!, nodes);
  const inner = [...children.keys()].filter((number) => number >= 0);
  const parents = new Set(inner.map((number) => nodes[number]!.parent));
  for (const end of inner.filter((number) => !parents.has(number))) {
    const path: number[] = [];
    for (let number = end; number >= 0; number = nodes[number]!.parent) path.unshift(number);
    const result = await sequence.step(
      { ids: path.map((number) => nodes[number]!.id), ...rowOutputs, commit: false },
      signal ? { signal } : {},
    );
    for (const [row, number] of path.entries()) {
      readChildren(result, row, children.get(number)!, nodes);
    }
  }
}

/** Numbers of each node's children; -1 is the prompt's last token. */
function childrenOf(nodes: readonly Node[]): Map<number, number[]> {
  const children = new Map<number, number[]>();
  for (const [number, { parent }] of nodes.entries()) {
    const list = children.get(parent);
    if (list) list.push(number);
    else children.set(parent, [number]);
  }
  return children;
}

function describe(
  targets: readonly (readonly number[])[],
  nodes: readonly Node[],
  ends: readonly number[],
): ContinuationScore[] {
  const scores = targets.map((ids, target) => {
    const logProbabilities: number[] = [];
    for (let at = ends[target]!; at >= 0; at = nodes[at]!.parent) {
      logProbabilities.unshift(nodes[at]!.logProbability);
    }
    const logProbability = logProbabilities.reduce((sum, log) => sum + log, 0);
    return { ids, logProbabilities, logProbability };
  });
  const largest = Math.max(...scores.map(({ logProbability }) => logProbability));
  const total = scores.reduce((sum, one) => sum + Math.exp(one.logProbability - largest), 0);
  return scores.map((score) => ({
    ...score,
    share: Math.exp(score.logProbability - largest) / total,
  }));
}
