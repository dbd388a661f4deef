/**
 * Constants of the policy of `auto`. docs/speculative-decoding.md explains the cost model and how each
 * value was measured.
 */
export const autoPolicy = {
  /** Drafters whose summed cost stays below this fraction of an autoregressive step always draft. */
  alwaysDraftFraction: 0.015,
  /** Default share of the time that may go into drafts that are not expected to pay. */
  explorationShare: 0.01,
  /** Autoregressive steps after which a draft that does not seem to pay is tried, budget permitting. */
  exploreEvery: 16,
  /** Most nodes of such a trial. */
  explorationNodes: 2,
  /** Steps between two autoregressive ones at most, so that their cost stays known. */
  baselineEvery: 256,
  /** Autoregressive steps to be measured before any draft. */
  minBaselineSteps: 2,

  /** Assumed seconds of the first draft of a member that runs a model: graph and kernel preparation. */
  firstDraftSeconds: 0.03,
  /** Most nodes of that draft. */
  firstDraftNodes: 2,
  /** Upper bound of a member's assumed start-up cost after it, in autoregressive steps. */
  maxStartSteps: 8,
  /** Assumed tokens per forward pass, when a request has to earn back a member's start-up cost. */
  assumedAcceptanceLength: 3,

  /** Weight of a new observation in the averages of gains, proposal times and tree sizes. */
  learningRate: 0.1,
  /** The same of the seconds per emitted token. */
  tokenSecondsRate: 0.05,
  /** Proposal times above this multiple of the average are clipped: the process was interrupted. */
  maxProposalOutlier: 8,

  /** Draft tokens that a request's trust in a member starts with, all accepted. */
  trustPrior: 1,
  /** Factor by which older observations of trust count less with each new one. */
  trustDecay: 0.95,

  /** Size of trees assumed before any was verified. */
  initialNodes: 8,
  /** Next tree: at most `growth` times the recent size, plus `margin`. */
  growth: 2,
  margin: 2,
  /** A tree is cut where the best size is below this fraction of its own. */
  cutBelow: 0.8,

  /** The exploration budget holds at most the cost of this many steps over `budgetRows` rows ... */
  budgetSteps: 4,
  budgetRows: 8,
  /** ... and of this many of the slowest member's start-ups. */
  budgetStarts: 2,
  /** The cost of one further row is the mean over this many. */
  slopeRows: 8,
} as const;
