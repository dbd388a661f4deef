/**
 * Chooses among drafters, and the size of the draft tree, by the measured cost of forward passes and by how
 * many draft tokens were accepted so far; falls back to autoregressive decoding where no draft pays.
 *
 * All is counted in seconds. A draft of n nodes with A expected accepted tokens saves A times the current
 * seconds per token and costs T(n + 1) - T(1), T(r) being a forward pass over r rows. The drafter and size
 * with the largest positive difference are chosen. A is the drafter's estimate times the request's trust in
 * it. Cheap drafters propose at every step; slower ones where their record promises more than the cheap
 * ones found. A budget of about 1 % of the time pays for exploration. docs/speculative-decoding.md has the
 * whole policy.
 *
 * Sampled trees are used whole: whether a tree is verified must not depend on the tokens sampled into it,
 * so their drafters are chosen by their record before they sample.
 */
import {
  type AutoDrafterOptions,
  AutoRecords,
  type Member,
  observeGain,
  Trust,
} from "./auto-members.ts";
import { autoPolicy } from "./auto-policy.ts";
import { onlyChains } from "./chains.ts";
import {
  type DraftContext,
  type Drafter,
  type DraftOutcome,
  type DraftRequest,
  type DraftSequence,
  type DraftTree,
  emptyTree,
} from "./drafter.ts";

export type { AutoDrafterOptions } from "./auto-members.ts";

/**
 * A drafter that chooses among others at every step, and names the one it chose.
 *
 * @param members in order of preference among equals
 * @example
 * const drafter = createAutoDrafter([
 *   createPromptLookupDrafter(),
 *   createDraftModelDrafter(model, small),
 * ]);
 * const { drafting } = await complete(model, prompt, { drafter });
 * console.log(drafting!.byDrafter);
 */
export function createAutoDrafter(
  members: readonly Drafter[],
  options: AutoDrafterOptions = {},
): Drafter {
  const records = new AutoRecords(members, options);
  return {
    name: "auto",
    candidates: Math.max(0, ...members.map((member) => member.candidates)),
    begin: (request) => new AutoSequence(records, request),
    reset() {
      for (const member of members) member.reset?.();
    },
    async close() {
      if (options.closeMembers === false) return;
      for (const member of members) await member.close();
    },
  };
}

interface Proposal {
  readonly place: number;
  readonly tree: DraftTree;
  /** Nodes worth verifying; all of a sampled tree. */
  readonly nodes: number;
  /** Expected seconds saved, without the time of drafting. */
  readonly gain: number;
}

/** Limits of one step's drafts. */
interface StepLimits {
  readonly context: DraftContext;
  /** True where a draft that is not expected to pay may be verified. */
  readonly explores: boolean;
  /** Expected seconds that verifying two nodes costs. */
  readonly trialSeconds: number;
}

/** Best proposal so far; final where its tree was sampled, which must be used. */
interface Search {
  best: Proposal | undefined;
  isFinal: boolean;
}

class AutoSequence implements DraftSequence {
  readonly #records: AutoRecords;
  readonly #sequences: readonly DraftSequence[];
  readonly #trust: readonly Trust[];
  /** True where only chains are verified. */
  readonly #chains: boolean;
  /** Member whose tree is verified now, and its expected number of accepted tokens. */
  #chosen: number | undefined;
  #expected = 0;
  #proposeSeconds = 0;
  /** Members that proposed in this request. */
  readonly #asked: Set<number> = new Set();
  #ended = false;

  constructor(records: AutoRecords, request: DraftRequest) {
    this.#records = records;
    this.#chains = request.chains ?? false;
    this.#sequences = records.members.map(({ drafter }) => {
      const sequence = drafter.begin(request);
      return this.#chains ? onlyChains(sequence) : sequence;
    });
    this.#trust = records.members.map(() => new Trust());
    records.rowTile = request.rowTile ?? 1;
    records.running++;
  }

  async propose(context: DraftContext): Promise<DraftTree> {
    const records = this.#records;
    const begin = records.now();
    this.#chosen = undefined;
    this.#proposeSeconds = 0;
    const { minBaselineSteps, baselineEvery, exploreEvery } = autoPolicy;
    // Gains are relative to an autoregressive step: measure its cost first.
    if (records.curve.singleRowPasses < minBaselineSteps) return emptyTree;
    if (records.sinceBaseline >= baselineEvery) return emptyTree;

    const limits = this.#limits(context);
    const search: Search = { best: undefined, isFinal: false };
    const slow = await this.#askCheap(limits, search);
    if (!search.isFinal) await this.#askSlow(slow, limits, search);
    const { best, isFinal } = search;
    if (best && isFinal) return this.#choose(best, limits.context, begin);
    if (!best || (best.gain <= 0 && !limits.explores)) {
      // No member had a tree to explore: wait only half as long for the next try.
      if (limits.explores) records.sinceDraft = exploreEvery / 2;
      this.#proposeSeconds = (records.now() - begin) / 1000;
      return emptyTree;
    }
    if (best.gain <= 0) records.allowance += best.gain;
    return this.#choose(best, limits.context, begin);
  }

  observe(outcome: DraftOutcome): void {
    const chosen = this.#chosen;
    const { seconds, verdict } = outcome;
    if (seconds > 0) this.#observeCosts(outcome, chosen);
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
    this.#records.running--;
    for (const sequence of this.#sequences) await sequence.end();
  }

  #limits(context: DraftContext): StepLimits {
    const records = this.#records;
    const { curve } = records;
    const { exploreEvery, explorationNodes, growth, margin, slopeRows } = autoPolicy;
    const baseline = curve.seconds(1);
    const slope = (curve.seconds(1 + slopeRows) - baseline) / slopeRows;
    const trialSeconds = curve.seconds(1 + explorationNodes) - baseline;
    const explores = records.sinceDraft >= exploreEvery && records.allowance >= trialSeconds;
    const most = explores ? explorationNodes : Math.round(growth * records.nodes) + margin;
    return {
      explores,
      trialSeconds,
      context: {
        ...context,
        maxNodes: Math.min(context.maxNodes, most),
        minAcceptanceProbability: explores
          ? 0
          : Math.max(context.minAcceptanceProbability, slope / this.#tokenSeconds()),
      },
    };
  }

  /** Draft tokens in rows that would only fill up the pass cost nothing, however improbable they are. */
  #withFillers(context: DraftContext): DraftContext {
    return this.#records.rowTile > 1 ? { ...context, minAcceptanceProbability: 0 } : context;
  }

  /** Asks the members that are cheap beside a step. @returns places of the others */
  async #askCheap({ context }: StepLimits, search: Search): Promise<number[]> {
    const records = this.#records;
    const slow: number[] = [];
    const asked = this.#withFillers(context);
    let left = autoPolicy.alwaysDraftFraction * records.curve.seconds(1);
    for (const [place, member] of records.members.entries()) {
      const cost = records.costOf(member);
      if (member.samples || cost > left) {
        slow.push(place);
        continue;
      }
      left -= cost;
      const proposal = await this.#ask(place, asked);
      if (proposal) this.#offer(proposal, member, search);
      if (search.isFinal) break;
    }
    return slow;
  }

  /** Asks slow members, best record first: one that promises to pay, others as the budget allows. */
  async #askSlow(slow: number[], limits: StepLimits, search: Search): Promise<void> {
    const records = this.#records;
    const { members } = records;
    const { context, trialSeconds } = limits;
    slow.sort((a, b) => members[b]!.gain - members[a]!.gain);
    for (const place of slow) {
      const member = members[place]!;
      const startSeconds = this.#asked.has(place) ? 0 : member.startSeconds;
      const cost = records.costOf(member) + startSeconds;
      // Reading the prompt must pay within the request.
      const passes = Math.max(1, context.maxDepth / autoPolicy.assumedAcceptanceLength);
      const promising = member.gain - startSeconds / passes > Math.max(0, search.best?.gain ?? 0);
      if (!promising && records.allowance < cost + trialSeconds) continue;
      if (!promising && member.asked) records.allowance -= cost;
      const maxNodes = member.asked
        ? context.maxNodes
        : Math.min(context.maxNodes, autoPolicy.firstDraftNodes);
      const proposal = await this.#ask(place, { ...context, maxNodes });
      if (proposal && !this.#offer(proposal, member, search)) {
        observeGain(member, -records.costOf(member));
      }
      if (search.isFinal || promising) return;
    }
  }

  /** @returns true where the proposal is the best so far */
  #offer(proposal: Proposal, member: Member, search: Search): boolean {
    search.isFinal = member.samples;
    const isBest = member.samples || !search.best || proposal.gain > search.best.gain;
    if (isBest) search.best = proposal;
    return isBest;
  }

  #observeCosts(
    { seconds, rows, emitted, verdict }: DraftOutcome,
    chosen: number | undefined,
  ): void {
    const records = this.#records;
    const { curve } = records;
    const { tokenSecondsRate, learningRate } = autoPolicy;
    const count = rows.ids.length;
    curve.observe(count, seconds);
    records.sinceBaseline = count <= records.rowTile ? 0 : records.sinceBaseline + 1;
    records.sinceDraft = count > 1 ? 0 : records.sinceDraft + 1;
    const whole = seconds + this.#proposeSeconds;
    records.allowance = Math.min(records.allowance + records.share * whole, records.maxAllowance);
    const perToken = whole / emitted.length;
    records.tokenSeconds +=
      (records.tokenSeconds === 0 ? 1 : tokenSecondsRate) * (perToken - records.tokenSeconds);
    if (chosen === undefined || !verdict) return;
    const member = records.members[chosen]!;
    this.#trust[chosen]!.observe(this.#expected, verdict.accepted.length);
    const saved = verdict.accepted.length * this.#tokenSeconds();
    const paid = curve.seconds(count) - curve.seconds(1) + records.costOf(member);
    observeGain(member, saved - paid);
    records.nodes += learningRate * (count - 1 - records.nodes);
  }

  /** Current seconds per token; at most those of an autoregressive step. */
  #tokenSeconds(): number {
    const baseline = this.#records.curve.seconds(1);
    return Math.min(baseline, this.#records.tokenSeconds || baseline);
  }

  /** A member's tree and its expected gain; undefined where it has no draft. */
  async #ask(place: number, context: DraftContext): Promise<Proposal | undefined> {
    const records = this.#records;
    const member = records.members[place]!;
    const begin = records.now();
    const trust = this.#trust[place]!.share;
    const proposed = this.#sequences[place]!.propose({
      ...context,
      minAcceptanceProbability: Math.min(1, context.minAcceptanceProbability / trust),
    });
    const tree = proposed instanceof Promise ? await proposed : proposed;
    this.#observeProposal(place, (records.now() - begin) / 1000);
    member.samples = tree.draftDistributions !== undefined;
    if (tree.ids.length === 0) {
      observeGain(member, -records.costOf(member));
      return undefined;
    }
    const { nodes, gain } = this.#bestSize(tree, trust);
    // A tree that will not be verified counts by its expectation.
    if (gain <= 0) observeGain(member, -records.costOf(member));
    return { place, tree, nodes, gain };
  }

  #observeProposal(place: number, seconds: number): void {
    const records = this.#records;
    const member = records.members[place]!;
    const { maxStartSteps, maxProposalOutlier, learningRate } = autoPolicy;
    // The first proposals of a model may be slow: they are paid from the budget, and a pause follows.
    if (member.drafter.runsModel && member.measured === 0) records.allowance -= seconds;
    if (!this.#asked.has(place)) {
      this.#asked.add(place);
      const start = Math.max(0, seconds - member.proposeSeconds);
      const most = member.asked ? Infinity : maxStartSteps * records.curve.seconds(1);
      member.startSeconds = Math.min(start, most);
    } else {
      const { measured, proposeSeconds } = member;
      const usual =
        measured === 0 ? seconds : Math.min(seconds, maxProposalOutlier * proposeSeconds);
      member.measured++;
      member.proposeSeconds +=
        Math.max(learningRate, 1 / member.measured) * (usual - proposeSeconds);
    }
    member.asked = true;
  }

  /** How many of a tree's most probable nodes to verify, and the seconds that they save. */
  #bestSize(tree: DraftTree, trust: number): { nodes: number; gain: number } {
    const { curve } = this.#records;
    const perToken = this.#tokenSeconds();
    const baseline = curve.seconds(1);
    const size = tree.ids.length;
    const probabilities = probabilitiesOf(tree).sort().reverse();
    let sum = 0;
    let best = { nodes: size, gain: -Infinity };
    for (let nodes = 1; nodes <= size; nodes++) {
      sum += trust * probabilities[nodes - 1]!;
      if (tree.draftDistributions && nodes < size) continue;
      const gain = sum * perToken - (curve.seconds(nodes + 1) - baseline);
      if (gain > best.gain) best = { nodes, gain };
    }
    return best;
  }

  /** Takes a proposal, cut to the best size where it is much larger. */
  async #choose(proposal: Proposal, context: DraftContext, begin: number): Promise<DraftTree> {
    const records = this.#records;
    const { place, nodes } = proposal;
    const member = records.members[place]!;
    let { tree } = proposal;
    const cutBelow = records.rowTile > 1 ? 1 : autoPolicy.cutBelow;
    if (!tree.draftDistributions && nodes < cutBelow * tree.ids.length) {
      const cheap = autoPolicy.alwaysDraftFraction * records.curve.seconds(1);
      if (this.#chains || records.costOf(member) > cheap) tree = firstNodes(tree, nodes);
      else {
        const asked = { ...this.#withFillers(context), maxNodes: nodes };
        const again = this.#sequences[place]!.propose(asked);
        tree = again instanceof Promise ? await again : again;
      }
    }
    this.#chosen = place;
    this.#expected = probabilitiesOf(tree).reduce((sum, probability) => sum + probability, 0);
    this.#proposeSeconds = (records.now() - begin) / 1000;
    return { drafter: member.drafter.name, ...tree };
  }
}

/** The first nodes of a tree: the beginning of a chain; slow drafters put the most probable nodes first. */
function firstNodes(
  { ids, parents, acceptanceProbabilities }: DraftTree,
  nodes: number,
): DraftTree {
  return {
    ids: ids.slice(0, nodes),
    parents: parents.slice(0, nodes),
    ...(acceptanceProbabilities && {
      acceptanceProbabilities: acceptanceProbabilities.slice(0, nodes),
    }),
  };
}

/** Acceptance probabilities of a tree's nodes; where it has none, halved with each further node. */
function probabilitiesOf({ ids, acceptanceProbabilities }: DraftTree): Float64Array {
  return acceptanceProbabilities
    ? Float64Array.from(acceptanceProbabilities)
    : Float64Array.from({ length: ids.length }, (_, node) => 0.5 ** (node + 1));
}
