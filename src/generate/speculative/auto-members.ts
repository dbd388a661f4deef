/** What `auto` learns: of its members and of the cost of forward passes by all requests, of trust by one. */
import { autoPolicy } from "./auto-policy.ts";
import { CostCurve } from "./cost-curve.ts";
import type { Drafter } from "./drafter.ts";

/** Options of `createAutoDrafter`. */
export interface AutoDrafterOptions {
  /** Share of the time that may go into drafts that are not expected to pay. Default 0.01. */
  allowance?: number;
  /** Closes the members with it. Default true. */
  closeMembers?: boolean;
  /** Milliseconds, for tests. Default `performance.now`. */
  now?: () => number;
}

/** Record of one drafter, over all requests. */
export interface Member {
  readonly drafter: Drafter;
  /** Seconds of one proposal, without the first of a request. */
  proposeSeconds: number;
  /** Seconds of the first proposal of a request: a draft model reads the prompt. */
  startSeconds: number;
  /** Mean seconds that a proposal saved, its own time subtracted. */
  gain: number;
  /** Proposals that `proposeSeconds` is an average of. */
  measured: number;
  /** True once the member proposed at all. */
  asked: boolean;
  /** True where its last tree was sampled. */
  samples: boolean;
}

/** Takes one more observation into a member's mean gain. */
export function observeGain(member: Member, gain: number): void {
  member.gain += autoPolicy.learningRate * (gain - member.gain);
}

/** Records of the members and costs of forward passes, shared by all requests. */
export class AutoRecords {
  readonly members: readonly Member[];
  readonly share: number;
  readonly now: () => number;
  /** Requests that run now: their steps run as batches, which cost more. */
  running = 0;
  /** Forward passes are filled up to a multiple of so many rows. */
  rowTile = 1;
  /** Seconds that may be spent on exploration. */
  allowance = 0;
  /** Mean seconds per emitted token. */
  tokenSeconds = 0;
  sinceBaseline = 0;
  sinceDraft = 0;
  /** Recent size of verified trees. */
  nodes: number = autoPolicy.initialNodes;
  readonly #curves: CostCurve[] = [];

  constructor(members: readonly Drafter[], options: AutoDrafterOptions) {
    this.share = options.allowance ?? autoPolicy.explorationShare;
    this.now = options.now ?? (() => performance.now());
    this.members = members.map((drafter) => ({
      drafter,
      proposeSeconds: 0,
      startSeconds: 0,
      gain: 0,
      measured: 0,
      asked: false,
      samples: false,
    }));
  }

  /** Seconds of one proposal of a member, without the first of a request. */
  costOf({ drafter, asked, proposeSeconds }: Member): number {
    return asked || !drafter.runsModel ? proposeSeconds : autoPolicy.firstDraftSeconds;
  }

  /** Largest amount that the exploration budget may hold: one costly trial, not several in a row. */
  get maxAllowance(): number {
    const { budgetSteps, budgetRows, budgetStarts } = autoPolicy;
    const starts = this.members.map((member) => this.costOf(member) + member.startSeconds);
    return budgetSteps * this.curve.seconds(budgetRows) + budgetStarts * Math.max(0, ...starts);
  }

  /** Costs of forward passes while about as many requests run as now. */
  get curve(): CostCurve {
    const index = Math.ceil(Math.log2(Math.max(1, this.running)));
    let curve = this.#curves[index];
    if (!curve) {
      curve = new CostCurve(this.rowTile);
      this.#curves[index] = curve;
    }
    return curve;
  }
}

/**
 * How far a member's acceptance probabilities hold in one request. A member learns them from all
 * requests, so they are right on average and may be far off on this text.
 */
export class Trust {
  #expected: number = autoPolicy.trustPrior;
  #accepted: number = autoPolicy.trustPrior;

  /** Accepted draft tokens for each expected one, at most 1. */
  get share(): number {
    return Math.min(1, this.#accepted / this.#expected);
  }

  observe(expected: number, accepted: number): void {
    const { trustPrior, trustDecay } = autoPolicy;
    const forgotten = trustPrior * (1 - trustDecay);
    this.#expected = trustDecay * this.#expected + forgotten + expected;
    this.#accepted = trustDecay * this.#accepted + forgotten + accepted;
  }
}
