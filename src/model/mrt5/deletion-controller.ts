/**
 * The PI controller that holds the share of deleted positions at a target (MrT5, Kallini et al., 2025): it
 * moves the weight of the gate's term in the loss after each batch.
 */
import { JetonError } from "../../core/index.ts";

/** Settings of the controller. */
export interface DeletionControllerOptions {
  /** Share of positions to be deleted, in (0, 1). */
  readonly target: number;
  /** k_p. Default 0.5. */
  readonly proportional?: number;
  /** k_i. Default 1e-5. */
  readonly integral?: number;
  /** Weight of the first batch. Default 0. */
  readonly first?: number;
  /** Batches during which the gate has no term and the controller stands still. Default 0. */
  readonly delay?: number;
  /** Goes on from here. Default: from rest. */
  readonly state?: DeletionControllerState;
}

/** What the next weights follow from; plain JSON. */
export interface DeletionControllerState {
  /** p_acc and i_acc. */
  readonly proportional: number;
  readonly integral: number;
  /** alpha, also while it is delayed. */
  readonly weight: number;
  /** Batches so far. */
  readonly batches: number;
}

/** State of the controller. */
export interface DeletionController {
  /** Weight (alpha) of the mean gate value in the next batch's loss. */
  readonly weight: number;
  /** p_acc and i_acc. */
  readonly proportional: number;
  readonly integral: number;
  readonly state: DeletionControllerState;
  /** Takes the share that the batch deleted; call it once for each batch of training, never in evaluation. */
  update(deletedShare: number): void;
}

/**
 * p_acc = 0.9 p_acc + 0.1 k_p err, i_acc = i_acc + k_i err, alpha = max(0, p_acc + i_acc), where err is the
 * target less the share deleted. The weight that a batch leads to scales the loss of the next one.
 *
 * @throws JetonError `option-invalid`
 */
export function createDeletionController(options: DeletionControllerOptions): DeletionController {
  const { target, proportional: kp = 0.5, integral: ki = 1e-5, first = 0, delay = 0 } = options;
  if (!(target > 0 && target < 1)) {
    throw new JetonError(`target is ${target}, expected a share between 0 and 1`, {
      code: "option-invalid",
      details: { option: "target", found: target },
    });
  }
  const rest = { proportional: 0, integral: 0, weight: first, batches: 0 };
  let { proportional: p, integral: i, weight, batches } = options.state ?? rest;
  return {
    get weight() {
      return batches < delay ? 0 : weight;
    },
    get proportional() {
      return p;
    },
    get integral() {
      return i;
    },
    get state() {
      return { proportional: p, integral: i, weight, batches };
    },
    update(deletedShare) {
      if (batches++ < delay) return;
      const error = target - deletedShare;
      p = 0.9 * p + 0.1 * kp * error;
      i += ki * error;
      weight = Math.max(0, p + i);
    },
  };
}
