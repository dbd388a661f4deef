/**
 * TokenRing: exact attention over a sequence split among ranks.
 *
 * @module context/token-ring
 */
export {
  type AttentionState,
  attend,
  mergeState,
  type RingArray,
  type RingShape,
} from "./attention-state.ts";
export { type OpenProcessRingOptions, openProcessRing, type ProcessRing } from "./process-ring.ts";
export {
  type ComputeOperation,
  type MessageKind,
  type PlanTokenRingOptions,
  planTokenRing,
  type QueryRows,
  type ReceiveOperation,
  type RingOperation,
  type RingSchedule,
  type SendOperation,
} from "./schedule.ts";
export {
  countCosts,
  type RankCost,
  type RingMachine,
  ringAttentionBytes,
  type SimulatedAttention,
  simulateRingAttention,
  simulateSchedule,
} from "./simulate-ring.ts";
export {
  type OpenThreadRingOptions,
  openThreadRing,
  type ThreadAttention,
  type ThreadRing,
} from "./thread-ring.ts";
export {
  type AttendInRingOptions,
  attendInRing,
  type LinkTraffic,
  type RingInput,
  type RingMessage,
  type RingResult,
} from "./token-ring.ts";
