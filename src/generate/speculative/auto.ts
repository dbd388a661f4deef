/**
 * Chooses among drafters, and how much of a tree is worth verifying, by what forwards cost here and by
 * how often guesses came true so far; down to plain decoding, where nothing pays.
 *
 * All is counted in seconds. A forward over n guesses that expects A of them to be accepted gains
 * A times what a token costs now, and costs T(n + 1) - T(1) more than a plain one; the tree, its size
 * and its drafter are those with the largest difference, if it is positive. A is what the drafter
 * believes times what its beliefs proved to be worth in this request. Drafters that are quick
 * beside a forward are asked at every step; slower ones when their record promises more than what the
 * quick ones found. An allowance of about one per cent of the time pays for looking again at what did
 * not pay before, and for the first looks at members that run a model: these take many forwards of a
 * small model, which a short request would not get back.
 *
 * Sampled trees are taken as they are: whether a drawn tree is used must not depend on what was drawn,
 * so their drafters are chosen by their record before they draw.
 */
import { onlyChains } from "./chains.ts";
import { CostCurve } from "./cost-curve.ts";
import {
  type DraftContext,
  type Drafter,
  type DraftOutcome,
  type DraftRequest,
  type DraftSequence,
  type DraftTree,
  emptyTree,
} from "./drafter.ts";

export interface AutoDrafterOptions {
  /** Share of the time that may go into trying what did not pay. Default 0.01. */
  allowance?: number;
  /** Closes the members with it. Default true. */
  closeMembers?: boolean;
  /** Milliseconds, for tests. Default `performance.now`. */
  now?: () => number;
}

/** What is known of a member, by all requests. */
interface Member {
  readonly drafter: Drafter;
  /** Seconds of one proposal, but for the first of a request. */
  proposeSeconds: number;
  /** Seconds of the first proposal of a request: a draft model reads the prompt. */
  startSeconds: number;
  /** Mean seconds that asking it gained, its own time subtracted. */
  gain: number;
  /** Proposals that `proposeSeconds` knows. */
  measured: number;
  /** True once it was asked at all. */
  asked: boolean;
  /** True where its last tree was sampled. */
  samples: boolean;
}

/** What may be asked always takes this share of a plain forward, all of it together. */
const quick = 0.015;
/**
 * Seconds that the first look at a member that runs a model is believed to take: what the runtime and
 * the compiler prepare, whatever the model's size. Many forwards of a small model, none of a large one.
 */
const firstLookSeconds = 0.03;
/** Nodes of that look, and the most plain forwards that beginning a request is believed to cost after it. */
const firstLookNodes = 2;
const maxStart = 8;
/** Steps between two plain forwards at most, so that their cost stays known. */
const baselineEvery = 256;
/** Plain steps after which a guess that does not seem to pay is tried, if the allowance has it. */
const tryEvery = 16;
const rateOfChange = 0.1;
/** Accepted guesses that a request's trust in a member starts with, and how fast it forgets. */
const trustAtStart = 1;
const trustKept = 0.95;

/**
 * A drafter that chooses among others at every step, and names the one it chose.
 *
 * @param members in order of preference among equals
 * @example
 * const drafter = createAutoDrafter([createPromptLookup(), createDraftModelDrafter(model, small)]);
 * const { drafting } = await complete(model, prompt, { drafter });
 * console.log(drafting!.byDrafter);
 */
export function createAutoDrafter(
  members: readonly Drafter[],
  options: AutoDrafterOptions = {},
): Drafter {
  const shared = new Shared(members, options);
  return {
    name: "auto",
    candidates: Math.max(0, ...members.map((member) => member.candidates)),
    begin: (request) => new AutoSequence(shared, request),
    reset() {
      for (const member of members) member.reset?.();
    },
    async close() {
      if (options.closeMembers === false) return;
      for (const member of members) await member.close();
    },
  };
}

/** Records of the members, costs of forwards: one for all requests. */
class Shared {
  readonly members: readonly Member[];
  readonly share: number;
  readonly now: () => number;
  /** Requests that run now: their forwards run as batches, which cost otherwise. */
  running = 0;
  /** Seconds that may be spent on trying. */
  allowance = 0;
  /** Seconds a decided token costs now. */
  tokenSeconds = 0;
  sinceBaseline = 0;
  sinceDraft = 0;
  /** Size of trees that paid lately. */
  nodes = 8;
  readonly #curves: CostCurve[] = [];

  constructor(members: readonly Drafter[], options: AutoDrafterOptions) {
    this.share = options.allowance ?? 0.01;
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

  /** Seconds of one proposal of a member, but for the first of a request. */
  costOf({ drafter, asked, proposeSeconds }: Member): number {
    return asked || !drafter.runsModel ? proposeSeconds : firstLookSeconds;
  }

  /** Seconds that the slowest member takes to begin a request. */
  get maxStart(): number {
    return Math.max(0, ...this.members.map((member) => this.costOf(member) + member.startSeconds));
  }

  /** Costs of forwards while about as many requests run as now. */
  get curve(): CostCurve {
    const index = Math.ceil(Math.log2(Math.max(1, this.running)));
    let curve = this.#curves[index];
    if (!curve) {
      curve = new CostCurve();
      this.#curves[index] = curve;
    }
    return curve;
  }
}

interface Proposal {
  readonly place: number;
  readonly tree: DraftTree;
  /** Nodes worth verifying; all of a sampled tree. */
  readonly nodes: number;
  /** Expected seconds gained over a plain forward, without the time of drafting. */
  readonly gain: number;
}

/**
 * What a member's promises are worth in one request. A member learns from all requests, and its chances
 * are right on average; on this text they may be far off.
 */
class Trust {
  #promised = trustAtStart;
  #accepted = trustAtStart;

  /** Accepted guesses for each one that was promised, at most 1. */
  get share(): number {
    return Math.min(1, this.#accepted / this.#promised);
  }

  observe(promised: number, accepted: number): void {
    const forgotten = trustAtStart * (1 - trustKept);
    this.#promised = trustKept * this.#promised + forgotten + promised;
    this.#accepted = trustKept * this.#accepted + forgotten + accepted;
  }
}

class AutoSequence implements DraftSequence {
  readonly #shared: Shared;
  readonly #sequences: readonly DraftSequence[];
  readonly #trust: readonly Trust[];
  readonly #chains: boolean;
  /** Member whose tree is verified now, and how many of its guesses it expects to be accepted. */
  #chosen: number | undefined;
  #promised = 0;
  #proposeSeconds = 0;
  /** Members that were asked in this request. */
  readonly #asked: Set<number> = new Set();
  #ended = false;

  constructor(shared: Shared, request: DraftRequest) {
    this.#shared = shared;
    this.#chains = request.chains ?? false;
    this.#sequences = shared.members.map(({ drafter }) => {
      const sequence = drafter.begin(request);
      return this.#chains ? onlyChains(sequence) : sequence;
    });
    this.#trust = shared.members.map(() => new Trust());
    shared.running++;
  }

  async propose(context: DraftContext): Promise<DraftTree> {
    const shared = this.#shared;
    const { curve, members } = shared;
    const begin = shared.now();
    this.#chosen = undefined;
    this.#proposeSeconds = 0;
    // Without the cost of a plain forward there is nothing to compare with.
    if (curve.singleRowPasses < 2 || shared.sinceBaseline >= baselineEvery) return emptyTree;

    const autoregressive = curve.seconds(1);
    const slope = (curve.seconds(9) - autoregressive) / 8;
    const look = curve.seconds(3) - autoregressive;
    const tries = shared.sinceDraft >= tryEvery && shared.allowance >= look;
    const limits: DraftContext = {
      ...context,
      maxNodes: Math.min(context.maxNodes, tries ? 2 : Math.round(2 * shared.nodes) + 2),
      minAcceptanceProbability: tries
        ? 0
        : Math.max(context.minAcceptanceProbability, slope / this.#tokenSeconds()),
    };

    let best: Proposal | undefined;
    const slow: number[] = [];
    let left = quick * autoregressive;
    for (const [place, member] of members.entries()) {
      const cost = shared.costOf(member);
      if (member.samples || cost > left) {
        slow.push(place);
        continue;
      }
      left -= cost;
      const proposal = await this.#ask(place, limits);
      if (!proposal) continue;
      // A drawn tree must be used, whatever was drawn.
      if (member.samples) return this.#choose(proposal, limits, begin);
      if (!best || proposal.gain > best.gain) best = proposal;
    }
    slow.sort((a, b) => members[b]!.gain - members[a]!.gain);
    for (const place of slow) {
      const member = members[place]!;
      const isFirst = !this.#asked.has(place);
      const cost = shared.costOf(member) + (isFirst ? member.startSeconds : 0);
      // Reading the prompt must come back within the request; a few tokens come out of each forward.
      const forwardPasses = Math.max(1, context.maxDepth / 3);
      const value = member.gain - (isFirst ? member.startSeconds / forwardPasses : 0);
      const promising = value > Math.max(0, best?.gain ?? 0);
      if (!promising && shared.allowance < cost + look) continue;
      if (!promising && member.asked) shared.allowance -= cost;
      const proposal = await this.#ask(place, {
        ...limits,
        ...(!member.asked && { maxNodes: Math.min(limits.maxNodes, firstLookNodes) }),
      });
      if (proposal && member.samples) return this.#choose(proposal, limits, begin);
      if (proposal && (!best || proposal.gain > best.gain)) best = proposal;
      else if (proposal) learn(member, -shared.costOf(member));
      if (promising) break;
    }
    if (!best || (best.gain <= 0 && !tries)) {
      // Where nobody knows anything there is nothing to try.
      if (tries) shared.sinceDraft = tryEvery / 2;
      this.#proposeSeconds = (shared.now() - begin) / 1000;
      return emptyTree;
    }
    if (best.gain <= 0) shared.allowance += best.gain;
    return this.#choose(best, limits, begin);
  }

  observe(outcome: DraftOutcome): void {
    const shared = this.#shared;
    const { seconds, rows, emitted, verdict } = outcome;
    const chosen = this.#chosen;
    if (seconds > 0) {
      const { curve } = shared;
      const count = rows.ids.length;
      curve.observe(count, seconds);
      shared.sinceBaseline = count === 1 ? 0 : shared.sinceBaseline + 1;
      shared.sinceDraft = count > 1 ? 0 : shared.sinceDraft + 1;
      const whole = seconds + this.#proposeSeconds;
      shared.allowance = Math.min(
        shared.allowance + shared.share * whole,
        // Saved up for one look at the most expensive, not for many in a row.
        4 * curve.seconds(8) + 2 * shared.maxStart,
      );
      const perToken = whole / emitted.length;
      shared.tokenSeconds +=
        (shared.tokenSeconds === 0 ? 1 : 0.05) * (perToken - shared.tokenSeconds);
      if (chosen !== undefined && verdict) {
        const member = shared.members[chosen]!;
        this.#trust[chosen]!.observe(this.#promised, verdict.accepted.length);
        const won = verdict.accepted.length * this.#tokenSeconds();
        const paid = curve.seconds(count) - curve.seconds(1) + shared.costOf(member);
        learn(member, won - paid);
        shared.nodes += rateOfChange * (count - 1 - shared.nodes);
      }
    }
    for (const [place, sequence] of this.#sequences.entries()) {
      if (place === chosen || !verdict) sequence.observe(outcome);
      else {
        const { verdict: _others, ...rest } = outcome;
        sequence.observe(rest);
      }
    }
    this.#chosen = undefined;
  }

  async end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.#shared.running--;
    for (const sequence of this.#sequences) await sequence.end();
  }

  /** What a token costs now; never more than a plain forward. */
  #tokenSeconds(): number {
    const autoregressive = this.#shared.curve.seconds(1);
    return Math.min(autoregressive, this.#shared.tokenSeconds || autoregressive);
  }

  /** A member's tree and what it is worth; undefined where it knows nothing. */
  async #ask(place: number, limits: DraftContext): Promise<Proposal | undefined> {
    const shared = this.#shared;
    const member = shared.members[place]!;
    const begin = shared.now();
    const trust = this.#trust[place]!.share;
    const proposed = this.#sequences[place]!.propose({
      ...limits,
      minAcceptanceProbability: Math.min(1, limits.minAcceptanceProbability / trust),
    });
    const tree = proposed instanceof Promise ? await proposed : proposed;
    const seconds = (shared.now() - begin) / 1000;
    // A model's first proposals take what they take: a costly look is followed by a long pause.
    if (member.drafter.runsModel && member.measured === 0) shared.allowance -= seconds;
    if (!this.#asked.has(place)) {
      this.#asked.add(place);
      const start = Math.max(0, seconds - member.proposeSeconds);
      const most = member.asked ? Infinity : maxStart * shared.curve.seconds(1);
      member.startSeconds = Math.min(start, most);
    } else {
      // An interrupted proposal says little.
      const usual = member.measured === 0 ? seconds : Math.min(seconds, 8 * member.proposeSeconds);
      member.measured++;
      member.proposeSeconds +=
        Math.max(rateOfChange, 1 / member.measured) * (usual - member.proposeSeconds);
    }
    member.asked = true;
    member.samples = tree.draftDistributions !== undefined;
    if (tree.ids.length === 0) {
      learn(member, -shared.costOf(member));
      return undefined;
    }
    const { nodes, gain } = this.#bestSize(tree, trust);
    // Guesses that are not verified are judged by what they promised.
    if (gain <= 0) learn(member, -shared.costOf(member));
    return { place, tree, nodes, gain };
  }

  /** How many of a tree's most probable nodes to verify, and what they gain. */
  #bestSize(tree: DraftTree, trust: number): { nodes: number; gain: number } {
    const { curve } = this.#shared;
    const perToken = this.#tokenSeconds();
    const autoregressive = curve.seconds(1);
    const size = tree.ids.length;
    const chances = chancesOf(tree).sort().reverse();
    let sum = 0;
    let best = { nodes: size, gain: -Infinity };
    for (let nodes = 1; nodes <= size; nodes++) {
      sum += trust * chances[nodes - 1]!;
      if (tree.draftDistributions && nodes < size) continue;
      const gain = sum * perToken - (curve.seconds(nodes + 1) - autoregressive);
      if (gain > best.gain) best = { nodes, gain };
    }
    return best;
  }

  /** Takes a proposal, in the size that pays if it is much too large. */
  async #choose(proposal: Proposal, limits: DraftContext, begin: number): Promise<DraftTree> {
    const shared = this.#shared;
    const { place, nodes } = proposal;
    const member = shared.members[place]!;
    let { tree } = proposal;
    if (!tree.draftDistributions && nodes < 0.8 * tree.ids.length) {
      if (this.#chains || shared.costOf(member) > quick * shared.curve.seconds(1)) {
        // A chain is cut at its end; who takes long grows trees from the most probable nodes on.
        tree = {
          ids: tree.ids.slice(0, nodes),
          parents: tree.parents.slice(0, nodes),
          ...(tree.acceptanceProbabilities && {
            acceptanceProbabilities: tree.acceptanceProbabilities.slice(0, nodes),
          }),
        };
      } else {
        const again = this.#sequences[place]!.propose({ ...limits, maxNodes: nodes });
        tree = again instanceof Promise ? await again : again;
      }
    }
    this.#chosen = place;
    this.#promised = chancesOf(tree).reduce((sum, chance) => sum + chance, 0);
    this.#proposeSeconds = (shared.now() - begin) / 1000;
    return { drafter: member.drafter.name, ...tree };
  }
}

/** Chances of a tree's nodes: those that it names, or halves of halves. */
function chancesOf({ ids, acceptanceProbabilities }: DraftTree): Float64Array {
  return acceptanceProbabilities
    ? Float64Array.from(acceptanceProbabilities)
    : Float64Array.from({ length: ids.length }, (_, node) => 0.5 ** (node + 1));
}

function learn(member: Member, gain: number): void {
  member.gain += rateOfChange * (gain - member.gain);
}
