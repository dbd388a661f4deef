/**
 * Token Recycling (Luo et al., "Turning Trash into Treasure", ACL 2025): drafts the model's own last
 * predictions after each token.
 *
 * One step, numbered as in the paper's description:
 *
 * 1. the template is filled from the table, level by level, below the last emitted token (`propose`);
 * 2. one forward pass runs over the last token and the tree, and 3. the tree is verified, by the decoding loop;
 * 4. the most probable successors of every row, accepted or not, replace those of its token (`observe`); of a
 *    token in several rows the last one counts;
 * 5. accepted rows enter the cache, and 6. the next token becomes the root, by the decoding loop.
 *
 * Changes from the paper: unknown draft tokens are left out before the forward pass instead of being
 * computed; a budget below the template's size takes its most probable nodes; the probability of each
 * successor is kept to estimate acceptance, and with `tree: "confidence"` to shape the tree.
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

/** Options of `createTokenRecyclingDrafter`. */
export interface TokenRecyclingOptions {
  /** Successors kept of each token (the paper's k). Default 8. */
  topK?: number;
  /**
   * `"template"`: the paper's fixed tree. `"confidence"`: the most probable tree by the table, of at most the
   * same size. Default `"confidence"`.
   */
  tree?: "template" | "confidence";
  /** The fixed tree. Default: the paper's, of 80 nodes. */
  template?: DraftTemplate;
}

/** The drafter, with the table of successors that all requests to one model share. */
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
 * const drafter = createTokenRecyclingDrafter(model);
 * for await (const { text } of generate(model, "The emperor", { drafter })) process.stdout.write(text);
 *
 * @throws JetonError `drafter-option-invalid`
 */
export function createTokenRecyclingDrafter(
  model: Pick<LoadedModel, "tokenizer" | "config" | "name">,
  options: TokenRecyclingOptions = {},
): TokenRecycling {
  const { vocabSize } = model.config;
  const { topK = Math.min(8, vocabSize), tree = "confidence" } = options;
  const { template = publishedTemplate } = options;
  const table = new SuccessorTable(vocabSize, topK);
  if (tree === "template") checkTemplate(template, topK);
  // Acceptance by past probabilities differs between greedy decoding and sampling.
  const tables = (): CalibrationMap[] => Array.from({ length: topK }, () => createCalibrationMap());
  const acceptance = { greedy: tables(), sampled: tables() };
  const about = (): { kind: string; key: string } => ({ kind, key: modelKey(model) });
  return {
    name: kind,
    candidates: topK,
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

function checkTemplate({ ranks }: DraftTemplate, topK: number): void {
  const rank = ranks.find((value) => value >= topK);
  if (rank === undefined) return;
  throw new JetonError(`the template asks for rank ${rank}, the table keeps ${topK} successors`, {
    code: "drafter-option-invalid",
    details: { name: "template", value: rank, expected: `below ${topK}` },
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
    // The estimates learn from the table as it was when it drafted: before the rows replace entries.
    if (verdict) this.#learn(ids[0]!, verdict.tree, verdict.accepted);
    for (let row = 0; row < ids.length; row++) {
      this.#table.replace(ids[row]!, {
        ids: topIds,
        logits: topLogits,
        logSumExp: logSumExp[row]!,
        offset: row * candidates,
      });
    }
  }

  end(): void {}

  /** Learns acceptance by confidence from the tested nodes: those below the root and accepted nodes. */
  #learn(root: number, { ids, parents }: DraftTree, accepted: readonly number[]): void {
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
