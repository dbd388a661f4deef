/** Sums of losses and gradients over the parts of a batch. */

import { MessageChannel, type MessagePort } from "node:worker_threads";
import { JetonError } from "../../core/index.ts";
import type { BoundValue, Session } from "../../tensor/index.ts";
import { reportedOutput } from "../graph/training-graph.ts";
import { onlyObjective, type TrainingInputs, type WeightedGraph } from "./training-interface.ts";

export interface Totals {
  loss: number;
  losses: Record<string, number>;
  weight: number;
  gradients: Map<string, Float32Array>;
  /** Means over the parts of what the objectives report, by their names. */
  reported: Record<string, number>;
}

/** An objective with its sessions; that of the evaluation is opened when it is first needed. */
export interface OpenObjective extends WeightedGraph {
  readonly session: Session;
  readonly bound: Record<string, BoundValue>;
  evaluation?: Session;
  inputGradient?: Session;
}

const nowhere: MessagePort = openNowhere();

/** A port without another end: arrays transferred to it are freed. */
function openNowhere(): MessagePort {
  const { port1, port2 } = new MessageChannel();
  port2.close();
  port1.unref();
  return port1;
}

/**
 * Frees the memory of an array, which is empty afterwards. Left to the collector, the gradients of
 * several steps lie about: it does not see how large they are.
 */
export function freeNow(array: Float32Array): void {
  if (hasBufferOfItsOwn(array)) nowhere.postMessage(null, [array.buffer as ArrayBuffer]);
}

/** False for a part of a larger buffer, and for memory that threads share. */
export function hasBufferOfItsOwn({ buffer, byteLength }: Float32Array): boolean {
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
}

/** Sums over the parts of one objective. */
export async function accumulate(
  name: string,
  { graph, session, bound }: OpenObjective,
  parts: readonly TrainingInputs[],
): Promise<Pick<Totals, "loss" | "weight" | "gradients" | "reported">> {
  const outputs = [
    ...["loss", "weight", ...graph.reported.map(reportedOutput)],
    ...graph.trainable.map((name) => `gradient.${name}`),
  ];
  const reported: Record<string, number> = Object.fromEntries(
    graph.reported.map((name) => [name, 0]),
  );
  const gradients = new Map<string, Float32Array>();
  let loss = 0;
  let weight = 0;
  for (const part of parts) {
    const feeds = feedsOf(session, graph.step.parameterInputs, part, bound);
    const values = await session.run(feeds, outputs);
    loss += values["loss"]!.data[0]!;
    weight += values["weight"]!.data[0]!;
    for (const name of graph.reported) {
      reported[name]! += values[reportedOutput(name)]!.data[0]! / parts.length;
    }
    for (const parameter of graph.trainable) {
      const added = values[`gradient.${parameter}`]!.data as Float32Array;
      const sum = gradients.get(parameter);
      if (!sum) gradients.set(parameter, added);
      else {
        for (let i = 0; i < sum.length; i++) sum[i]! += added[i]!;
        freeNow(added);
      }
    }
  }
  if (!(weight > 0)) throw emptyBatch(name, weight, parts.length);
  return { loss, weight, gradients, reported };
}

export function emptyBatch(objective: string, weight: number, parts: number): JetonError {
  const of = objective === onlyObjective ? "" : ` of "${objective}"`;
  return new JetonError(`the batch${of} holds nothing to learn from`, {
    code: "train-batch-empty",
    details: { objective, weight, parts },
  });
}

/** Feeds of a run: a graph may use fewer parameters than there are. */
export function feedsOf(
  session: Session,
  parameters: readonly string[],
  inputs: TrainingInputs,
  bound: Readonly<Record<string, BoundValue>>,
): Record<string, BoundValue> {
  const feeds: Record<string, BoundValue> = {};
  for (const name of parameters) feeds[name] = bound[name]!;
  for (const [name, { dtype, data, shape }] of Object.entries(inputs)) {
    feeds[name] = session.bind(dtype, data, shape);
  }
  return feeds;
}
