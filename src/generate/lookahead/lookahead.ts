/**
 * Lookahead (Zhao et al., KDD 2024; not Jacobi "lookahead decoding"): guesses are looked up in tries
 * of prompts and past outputs, several branches at once.
 *
 * One step, numbered as in the paper's description:
 *
 * 1. the last tokens of the text are looked up in the trie of the prompt and in that of all outputs,
 *    and the best branches below them are merged into one tree (`propose`, `retrieve-branches.ts`);
 * 2. to 4. one forward verifies the tree and keeps the accepted rows: the decoding loop's part;
 * 5. the decided tokens enter the trie of outputs, one branch from every position (`observe`).
 *
 * Different from the paper: the prompt has a trie of its own, which nobody else sees and which is gone
 * with the request; branches grow with every token instead of being inserted when complete; a longer
 * end of the text keeps what it found and a shorter one fills up; pruning spares what is new; and by
 * default branches are chosen by the chance that they come true, learned from those that were tested,
 * instead of by counts (`order: "frequency"` is the paper's).
 */
import { JetonError } from "../../core/index.ts";
import type { LoadedModel } from "../../model/index.ts";
import { isGreedy } from "../sampling/sampler.ts";
import { type CalibrationMap, createCalibrationMap } from "../speculative/calibration-map.ts";
import type {
  DraftContext,
  Drafter,
  DraftOutcome,
  DraftRequest,
  DraftSequence,
  DraftTree,
} from "../speculative/drafter.ts";
import { openState, sealState, tokenizerKey } from "../speculative/drafter-state.ts";
import {
  type Branching,
  type BranchOrder,
  type BranchSource,
  type RetrievedTree,
  type RetrieveOptions,
  retrieveBranches,
} from "./retrieve-branches.ts";
import { TokenTrie, TrieWriter } from "./token-trie.ts";

const kind = "lookahead";

export interface LookaheadOptions {
  /** Longest branch in tokens. Default 12; 32 pays where whole passages come again. */
  branchLength?: number;
  /** Longest end of the text that is looked up. Default 4; the paper's is 2. */
  queryLength?: number;
  /**
   * `"hierarchical"`: branches share their beginnings in one tree. `"parallel"`: each pays for its
   * whole length. `"single"`: the one most frequent branch. Default `"hierarchical"`; the others are
   * baselines.
   */
  branching?: Branching;
  /** What chooses among branches: the chance that they come true, or how often they were seen. */
  order?: BranchOrder;
  /** For `"frequency"`: weight of counts in outputs beside those in the prompt. Default 1e-4. */
  outputWeight?: number;
  /** For `"frequency"`: share of the nodes that outputs get before all others. Default 0.5. */
  outputShare?: number;
  /** Most nodes of the trie of outputs, at 40 bytes. Default 262,144. */
  capacity?: number;
  /** Most nodes of the trie of a prompt. Default 262,144; of a longer prompt the end stays. */
  promptCapacity?: number;
}

/** Tries shared by all requests to one model, and the drafter that looks guesses up in them. */
export interface Lookahead extends Drafter {
  /** Past outputs, of all requests. */
  readonly outputs: TokenTrie;
  /** Learns a text as if it had been an output: answers of the past, say. */
  remember(ids: Iterable<number>): void;
  save(): Uint8Array;
  load(state: Uint8Array): void;
  reset(): void;
}

/**
 * Makes the drafter of a model. What it remembers depends on the tokenizer alone.
 *
 * @example
 * const drafter = createLookahead(model);
 * drafter.remember(model.tokenizer.encodeIds(pastAnswer));
 * for await (const { text } of generate(model, prompt, { drafter })) process.stdout.write(text);
 *
 * @throws JetonError `drafter-option-invalid`
 */
export function createLookahead(
  model: Pick<LoadedModel, "tokenizer" | "config">,
  options: LookaheadOptions = {},
): Lookahead {
  const { branchLength = 12, capacity = 2 ** 18, promptCapacity = 2 ** 18 } = options;
  const retrieve = checkRetrieveOptions({
    queryLength: options.queryLength ?? 4,
    branching: options.branching ?? "hierarchical",
    order: options.order ?? "chance",
    outputWeight: options.outputWeight ?? 1e-4,
    outputShare: options.outputShare ?? 0.5,
  });
  const outputs = new TokenTrie({ branchLength, capacity });
  // Whether the options fit is known now, not at the first request.
  new TokenTrie({ branchLength, capacity: promptCapacity });
  const experience = { greedy: new Experience(), sampled: new Experience() };
  const about = (): { kind: string; key: string } => ({ kind, key: tokenizerKey(model) });
  return {
    name: kind,
    candidates: 0,
    outputs,
    remember(ids) {
      const writer = new TrieWriter(outputs);
      for (const id of ids) writer.push(id);
    },
    begin(request) {
      const prompt = new TokenTrie({ branchLength, capacity: promptCapacity });
      const learned = isGreedy(request.sampling) ? experience.greedy : experience.sampled;
      return new LookaheadSequence({ prompt, output: outputs, learned, retrieve, request });
    },
    save: () => sealState({ ...about(), ...outputs.save() }),
    load: (state) => outputs.load(openState(state, about()), model.config.vocabSize),
    reset() {
      outputs.clear();
      experience.greedy.reset();
      experience.sampled.reset();
    },
    close() {},
  };
}

function checkRetrieveOptions(options: RetrieveOptions): RetrieveOptions {
  const { queryLength, branching, order, outputWeight, outputShare } = options;
  const isFraction = (value: number): boolean => value >= 0 && value <= 1;
  const rules: readonly (readonly [string, unknown, boolean, string])[] = [
    [
      "queryLength",
      queryLength,
      Number.isInteger(queryLength) && queryLength >= 1 && queryLength <= 64,
      "an integer from 1 to 64",
    ],
    [
      "branching",
      branching,
      ["hierarchical", "parallel", "single"].includes(branching),
      '"hierarchical", "parallel" or "single"',
    ],
    ["order", order, ["chance", "frequency"].includes(order), '"chance" or "frequency"'],
    ["outputWeight", outputWeight, isFraction(outputWeight), "a number from 0 to 1"],
    ["outputShare", outputShare, isFraction(outputShare), "a number from 0 to 1"],
  ];
  for (const [name, value, isValid, expected] of rules) {
    if (isValid) continue;
    throw new JetonError(`${name} is ${JSON.stringify(value)}, expected ${expected}`, {
      code: "drafter-option-invalid",
      details: { name, value, expected },
    });
  }
  return options;
}

/** Contexts of this length and longer count as equally telling. */
const maxContext = 6;

/** What shares of occurrences are worth, by the length of the context and where it was found. */
class Experience {
  readonly #tables: readonly CalibrationMap[] = Array.from({ length: 2 * maxContext }, () =>
    createCalibrationMap(),
  );

  of(contextLength: number, isInPrompt: boolean): CalibrationMap {
    const length = Math.min(contextLength, maxContext);
    return this.#tables[2 * (length - 1) + (isInPrompt ? 1 : 0)]!;
  }

  reset(): void {
    for (const table of this.#tables) table.reset();
  }
}

interface SequenceParts {
  readonly prompt: TokenTrie;
  readonly output: TokenTrie;
  readonly learned: Experience;
  readonly retrieve: RetrieveOptions;
  readonly request: DraftRequest;
}

class LookaheadSequence implements DraftSequence {
  readonly #source: BranchSource;
  readonly #retrieve: RetrieveOptions;
  readonly #learned: Experience;
  readonly #writer: TrieWriter;
  #proposed: RetrievedTree | undefined;

  constructor({ prompt, output, learned, retrieve, request }: SequenceParts) {
    this.#learned = learned;
    this.#retrieve = retrieve;
    this.#source = {
      prompt,
      output,
      chance: (share, contextLength, isInPrompt) =>
        learned.of(contextLength, isInPrompt).estimate(share),
    };
    const writer = new TrieWriter(prompt);
    for (const id of request.promptIds) writer.push(id);
    this.#writer = new TrieWriter(output);
  }

  propose(context: DraftContext): DraftTree {
    this.#proposed = retrieveBranches(this.#source, this.#retrieve, context);
    return this.#proposed;
  }

  observe({ emitted, verdict }: DraftOutcome): void {
    const proposed = this.#proposed;
    if (verdict && verdict.tree.ids === proposed?.ids) this.#judge(proposed, verdict.accepted);
    for (const id of emitted) this.#writer.push(id);
  }

  /** The prompt's trie goes with the sequence; outputs stay. */
  end(): void {
    this.#proposed = undefined;
    this.#source.prompt.clear();
  }

  /** Learns from the guesses below the root and below every accepted node what their evidence is worth. */
  #judge({ parents, evidence }: RetrievedTree, accepted: readonly number[]): void {
    for (const [node, { share, contextLength, isInPrompt }] of evidence.entries()) {
      const parent = parents[node]!;
      if (parent >= 0 && !accepted.includes(parent)) continue;
      this.#learned.of(contextLength, isInPrompt).observe(share, accepted.includes(node));
    }
  }
}
