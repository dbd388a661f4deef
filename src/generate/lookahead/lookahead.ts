/**
 * Lookahead (Zhao et al., KDD 2024; not Jacobi "lookahead decoding"): retrieves several draft branches at once
 * from tries of prompts and past outputs.
 *
 * One step, numbered as in the paper's description:
 *
 * 1. the last tokens of the text are looked up in the trie of the prompt and in that of all outputs,
 *    and the best branches below them are merged into one tree (`propose`, `retrieve-branches.ts`);
 * 2. to 4. one forward pass verifies the tree and keeps the accepted rows, by the decoding loop;
 * 5. the emitted tokens enter the trie of outputs, one branch from every position (`observe`).
 *
 * Changes from the paper: the prompt has a trie of its own, private to the request and cleared with it;
 * branches grow with every token instead of being inserted when complete; branches of longer matches are kept
 * and shorter matches fill the rest of the budget; pruning keeps recent branches; by default branches are
 * chosen by a learned acceptance probability instead of counts (`order: "frequency"` is the paper's).
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

/** Options of `createLookaheadDrafter`. */
export interface LookaheadOptions {
  /** Longest branch in tokens. Default 12; 32 is better for texts that repeat whole passages. */
  branchLength?: number;
  /** Most tokens at the end of the text that are looked up. Default 4; the paper has 2. */
  queryLength?: number;
  /**
   * `"hierarchical"`: branches share their beginnings in one tree. `"parallel"`: each branch costs its whole
   * length. `"single"`: only the most frequent branch. Default `"hierarchical"`; the others are baselines.
   */
  branching?: Branching;
  /** Branches are chosen by acceptance probability or by count. Default `"chance"`. */
  order?: BranchOrder;
  /** For `"frequency"`: weight of counts in outputs; those in the prompt weigh 1 minus this. Default 1e-4. */
  outputWeight?: number;
  /** For `"frequency"`: share of the nodes reserved for branches of outputs. Default 0.5. */
  outputShare?: number;
  /** Most nodes of the trie of outputs, 40 bytes each. Default 262,144. */
  capacity?: number;
  /** Most nodes of the trie of a prompt. Default 262,144; of a longer prompt the end is kept. */
  promptCapacity?: number;
}

/** The drafter, with the trie of outputs that all requests to one model share. */
export interface Lookahead extends Drafter {
  /** Past outputs, of all requests. */
  readonly outputs: TokenTrie;
  /** Learns a text as if it had been generated, for example earlier answers. */
  remember(ids: Iterable<number>): void;
  save(): Uint8Array;
  load(state: Uint8Array): void;
  reset(): void;
}

/**
 * Makes the drafter of a model. Its saved state depends on the tokenizer only.
 *
 * @example
 * const drafter = createLookaheadDrafter(model);
 * drafter.remember(model.tokenizer.encodeIds(pastAnswer));
 * for await (const { text } of generate(model, prompt, { drafter })) process.stdout.write(text);
 *
 * @throws JetonError `drafter-option-invalid`
 */
export function createLookaheadDrafter(
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
  // Checks the options now instead of at the first request.
  new TokenTrie({ branchLength, capacity: promptCapacity });
  const acceptance = { greedy: new AcceptanceByContext(), sampled: new AcceptanceByContext() };
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
      const maps = isGreedy(request.sampling) ? acceptance.greedy : acceptance.sampled;
      return new LookaheadSequence({
        prompt,
        output: outputs,
        acceptance: maps,
        retrieve,
        request,
      });
    },
    save: () => sealState({ ...about(), ...outputs.save() }),
    load: (state) => outputs.load(openState(state, about()), model.config.vocabSize),
    reset() {
      outputs.clear();
      acceptance.greedy.reset();
      acceptance.sampled.reset();
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

/** Longer contexts share the calibration map of this length. */
const maxContext = 6;

/** Acceptance by share of occurrences, for each length of the context and each trie. */
class AcceptanceByContext {
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
  readonly acceptance: AcceptanceByContext;
  readonly retrieve: RetrieveOptions;
  readonly request: DraftRequest;
}

class LookaheadSequence implements DraftSequence {
  readonly #source: BranchSource;
  readonly #retrieve: RetrieveOptions;
  readonly #acceptance: AcceptanceByContext;
  readonly #writer: TrieWriter;
  #proposed: RetrievedTree | undefined;

  constructor({ prompt, output, acceptance, retrieve, request }: SequenceParts) {
    this.#acceptance = acceptance;
    this.#retrieve = retrieve;
    this.#source = {
      prompt,
      output,
      acceptance: (share, contextLength, isInPrompt) =>
        acceptance.of(contextLength, isInPrompt).estimate(share),
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
    if (verdict && verdict.tree.ids === proposed?.ids) this.#learn(proposed, verdict.accepted);
    for (const id of emitted) this.#writer.push(id);
  }

  /** Clears the prompt's trie; that of outputs remains. */
  end(): void {
    this.#proposed = undefined;
    this.#source.prompt.clear();
  }

  /** Learns acceptance by evidence from the tested nodes: those below the root and accepted nodes. */
  #learn({ parents, evidence }: RetrievedTree, accepted: readonly number[]): void {
    for (const [node, { share, contextLength, isInPrompt }] of evidence.entries()) {
      const parent = parents[node]!;
      if (parent >= 0 && !accepted.includes(parent)) continue;
      this.#acceptance.of(contextLength, isInPrompt).observe(share, accepted.includes(node));
    }
  }
}
