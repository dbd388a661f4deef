/** What a schedule costs: score entries and bytes, counted; seconds, by a model of links and compute. */
import type { RingShape } from "./attention-state.ts";
import type { ComputeOperation, QueryRows, RingOperation, RingSchedule } from "./schedule.ts";

/** Sizes of an attention that is simulated. */
export interface SimulatedAttention extends RingShape {
  /** Of the whole sequence. */
  readonly tokens: number;
  /** Bytes of an element of queries. Default 2. */
  readonly queryBytes?: number;
  /** Bytes of an element of outputs. Default that of queries. */
  readonly outputBytes?: number;
  /** Bytes of a log-sum-exp. Default 4. */
  readonly logSumExpBytes?: number;
}

/** What a rank sends and computes in one attention. */
export interface RankCost {
  readonly queryBytes: number;
  readonly resultBytes: number;
  /** Query rows times keys, one head. */
  readonly scores: number;
}

/** Rows of a shard that a part has. */
function rowsOf(part: QueryRows, { tokens }: SimulatedAttention, { ranks }: RingSchedule): number {
  return part === "back" ? tokens / (2 * ranks) : tokens / ranks;
}

function messageBytes(
  operation: Extract<RingOperation, { type: "send" | "receive" }>,
  schedule: RingSchedule,
  sizes: SimulatedAttention,
): number {
  const { heads, headDim, queryBytes = 2, logSumExpBytes = 4 } = sizes;
  const { outputBytes = queryBytes } = sizes;
  const rows = rowsOf(operation.rows, sizes, schedule);
  return operation.kind === "query"
    ? rows * heads * headDim * queryBytes
    : rows * heads * (headDim * outputBytes + logSumExpBytes);
}

/** Query rows times keys of a block. */
function blockScores(
  { rows, keys, isCausal }: ComputeOperation,
  schedule: RingSchedule,
  sizes: SimulatedAttention,
): number {
  const queries = rowsOf(rows, sizes, schedule);
  const all = sizes.tokens / schedule.ranks;
  if (isCausal) return (all * (all + 1)) / 2;
  return queries * (keys === "front" ? all / 2 : all);
}

/** Bytes and scores of each rank. */
export function countCosts(schedule: RingSchedule, sizes: SimulatedAttention): RankCost[] {
  return schedule.operations.map((operations) => {
    const cost = { queryBytes: 0, resultBytes: 0, scores: 0 };
    for (const operation of operations) {
      if (operation.type === "compute") cost.scores += blockScores(operation, schedule, sizes);
      if (operation.type !== "send") continue;
      const bytes = messageBytes(operation, schedule, sizes);
      cost[operation.kind === "query" ? "queryBytes" : "resultBytes"] += bytes;
    }
    return cost;
  });
}

/** Links and compute, as the simulation takes them. */
export interface RingMachine {
  /** Bytes a second of one link in one direction. */
  readonly bandwidth: number;
  /** Seconds until a message begins to arrive. Default 0. */
  readonly latency?: number;
  /** Score entries of one head that a rank computes in a second, over all heads. */
  readonly scoresPerSecond: number;
  /** `links`: one for each ordered pair of ranks; `port`: all that a rank sends shares one. Default `"links"`. */
  readonly network?: "links" | "port";
}

/** Seconds from the begin until all ranks have their results, with sends that overlap compute. */
export function simulateSchedule(
  schedule: RingSchedule,
  sizes: SimulatedAttention,
  machine: RingMachine,
): number {
  const { bandwidth, latency = 0, scoresPerSecond, network = "links" } = machine;
  const clocks = new Float64Array(schedule.ranks);
  const next = new Int32Array(schedule.ranks);
  const free = new Map<string, number>();
  const arrivals = new Map<string, number>();
  const advance = (rank: number): boolean => {
    const operation = schedule.operations[rank]![next[rank]!];
    if (operation === undefined) return false;
    if (operation.type === "compute") {
      clocks[rank]! += blockScores(operation, schedule, sizes) / scoresPerSecond;
    } else {
      const { type, peer, kind, step } = operation;
      const [from, to] = type === "send" ? [rank, peer] : [peer, rank];
      const message = `${from} ${to} ${kind} ${step}`;
      if (type === "send") {
        const link = network === "port" ? `${from}` : `${from} ${to}`;
        const begin = Math.max(clocks[rank]!, free.get(link) ?? 0);
        const end = begin + messageBytes(operation, schedule, sizes) / bandwidth;
        free.set(link, end);
        arrivals.set(message, end + latency);
      } else {
        const arrival = arrivals.get(message);
        if (arrival === undefined) return false;
        clocks[rank] = Math.max(clocks[rank]!, arrival);
      }
    }
    next[rank]!++;
    return true;
  };
  // Every rank runs until it waits; each round at least one message is there.
  for (let moved = true; moved; ) {
    moved = false;
    for (let rank = 0; rank < schedule.ranks; rank++) while (advance(rank)) moved = true;
  }
  return Math.max(...clocks);
}

/** Bytes that a rank sends in Ring Attention, where keys and values travel and queries stay. */
export function ringAttentionBytes(ranks: number, sizes: SimulatedAttention): number {
  const { tokens, kvHeads, headDim, queryBytes = 2 } = sizes;
  return (ranks - 1) * 2 * (tokens / ranks) * kvHeads * headDim * queryBytes;
}

/** Seconds of Ring Attention without causal mask: keys and values move one rank a step, overlapping compute. */
export function simulateRingAttention(
  ranks: number,
  sizes: SimulatedAttention,
  { bandwidth, latency = 0, scoresPerSecond }: RingMachine,
): number {
  const block = (sizes.tokens / ranks) ** 2 / scoresPerSecond;
  if (ranks === 1) return block;
  const move = ringAttentionBytes(ranks, sizes) / (ranks - 1) / bandwidth + latency;
  return (ranks - 1) * Math.max(block, move) + block;
}
