/**
 * Token Recycling (Luo et al., "Turning Trash into Treasure", ACL 2025): guesses from what the model
 * itself said about each token when it last saw it.
 *
 * One step, numbered as in the paper's description:
 *
 * 1. the template is filled from the table, level by level, below the last decided token (`propose`);
 * 2. one forward runs over the last token and the tree, and 3. is verified: the decoding loop's part;
 * 4. the most probable successors of every row, accepted or not, replace those of its token
 *    (`observe`); a token that stands in several rows keeps the last;
 * 5. accepted rows enter the cache, and 6. the next token becomes the root: the loop's part again.
 *
 * Different from the paper: duplicate and unknown guesses are left out before the forward instead of
 * being computed; a budget below the template's size takes its most promising nodes; and the probability
 * of each successor is kept, which estimates what a guess is worth. `tree: "confidence"` goes one step
 * further and lets these probabilities shape the tree.
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
import { modelKey, openState, sealState } from "../speculative/drafter-state.ts";
import { type DraftTemplate, publishedTemplate } from "./draft-template.ts";
import { type CandidateSource, fillTemplate, growTree } from "./fill-tree.ts";
import { SuccessorTable } from "./successor-table.ts";

const kind = "token-recycling";

export interface TokenRecyclingOptions {
  /** Successors kept of each token (the paper's k). Default 8. */
  width?: number;
  /**
   * `"template"`: the paper's fixed tree. `"confidence"`: the tree whose guesses the table finds most
   * probable, of the same size at most. Default `"confidence"`.
   */
  tree?: "template" | "confidence";
  /** The fixed tree. Default: the paper's, of 80 nodes. */
  template?: DraftTemplate;
}

/** A table of successors shared by all requests to one model, and the drafter that guesses from it. */
export interface TokenRecycling extends Drafter {
  readonly table: SuccessorTable;
  save(): Uint8Array;
  load(state: Uint8Array): void;
  reset(): void;
}

/**
 * Makes the drafter of a model.
 *
 * @example
 * const drafter = createTokenRecycling(model);
 * for await (const { text } of generate(model, "The emperor", { drafter })) process.stdout.write(text);
 *
 * @throws JetonError `drafter-option-invalid`
 */
export function createTokenRecycling(
  model: Pick<LoadedModel, "tokenizer" | "config" | "name">,
  options: TokenRecyclingOptions = {},
): TokenRecycling {
  const { vocabSize } = model.config;
  const { width = Math.min(8, vocabSize), tree = "confidence" } = options;
  const { template = publishedTemplate } = options;
  const table = new SuccessorTable(vocabSize, width);
  if (tree === "template") checkTemplate(template, width);
  // What a probability of the past is worth differs between choosing the best and drawing.
  const tables = (): CalibrationMap[] =>
    Array.from({ length: width }, () => createCalibrationMap());
  const acceptance = { greedy: tables(), sampled: tables() };
  const about = (): { kind: string; key: string } => ({ kind, key: modelKey(model) });
  return {
    name: kind,
    candidates: width,
    table,
    begin: (request) => new RecyclingSequence(table, acceptance, { tree, template, request }),
    save: () => sealState({ ...about(), ...table.save() }),
    load: (state) => table.load(openState(state, about())),
    reset() {
      table.reset();
      for (const learned of [...acceptance.greedy, ...acceptance.sampled]) learned.reset();
    },
    close() {},
  };
}

function checkTemplate({ ranks }: DraftTemplate, width: number): void {
  const rank = ranks.find((value) => value >= width);
  if (rank === undefined) return;
  throw new JetonError(`the template asks for rank ${rank}, the table keeps ${width} successors`, {
    code: "drafter-option-invalid",
    details: { name: "template", value: rank, expected: `below ${width}` },
  });
}

interface SequenceOptions {
  readonly tree: "template" | "confidence";
  readonly template: DraftTemplate;
  readonly request: DraftRequest;
}

class RecyclingSequence implements DraftSequence {
  readonly #table: SuccessorTable;
  /** By rank. */
  readonly #acceptance: readonly CalibrationMap[];
  readonly #shape: (context: DraftContext) => DraftTree;

  constructor(
    table: SuccessorTable,
    acceptance: { greedy: readonly CalibrationMap[]; sampled: readonly CalibrationMap[] },
    { tree, template, request }: SequenceOptions,
  ) {
    this.#table = table;
    this.#acceptance = isGreedy(request.sampling) ? acceptance.greedy : acceptance.sampled;
    const source: CandidateSource = { table, acceptance: this.#acceptance };
    this.#shape =
      tree === "template"
        ? (context) => fillTemplate(source, template, context)
        : (context) => growTree(source, template.parents.length, context);
  }

  propose(context: DraftContext): DraftTree {
    return this.#shape(context);
  }

  observe({ rows, verdict }: DraftOutcome): void {
    const { ids, candidates, topIds, topLogits, logSumExp } = rows;
    // The table is judged by what it said before it learns.
    if (verdict) this.#judge(ids[0]!, verdict.tree, verdict.accepted);
    for (let row = 0; row < ids.length; row++) {
      this.#table.replace(ids[row]!, topIds, topLogits, logSumExp[row]!, row * candidates);
    }
  }

  end(): void {}

  /** Learns from the guesses below the root and below every accepted node what confidence is worth. */
  #judge(root: number, { ids, parents }: DraftTree, accepted: readonly number[]): void {
    for (let node = 0; node < ids.length; node++) {
      const parent = parents[node]!;
      if (parent >= 0 && !accepted.includes(parent)) continue;
      const token = parent < 0 ? root : ids[parent]!;
      const rank = this.#table.rankOf(token, ids[node]!);
      if (rank < 0) continue;
      const confidence = this.#table.confidence(token, rank);
      this.#acceptance[rank]!.observe(confidence, accepted.includes(node));
    }
  }
}
