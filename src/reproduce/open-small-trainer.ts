/** How reproductions train small decoders from nothing. */
import { type DecoderConfig, decoderParameterShapes } from "../model/index.ts";
import {
  adamW,
  decayMatricesOnly,
  languageModelGraph,
  openTrainer,
  type ParameterValue,
  type Trainer,
} from "../train/index.ts";

/**
 * A trainer of a decoder on one thread of this process: AdamW, a rate that rises for a twentieth of the steps and falls to a
 * tenth of its peak.
 */
export function openSmallTrainer(
  config: DecoderConfig,
  parameters: ReadonlyMap<string, ParameterValue>,
  steps: number,
): Promise<Trainer> {
  return openTrainer({
    graph: languageModelGraph(config, { parameters: decoderParameterShapes(config) }),
    parameters,
    optimizer: adamW({ beta2: 0.98, weightDecay: 0.05, maxNorm: 1 }),
    group: decayMatricesOnly,
    schedule: {
      kind: "cosine",
      peak: 3e-3,
      warmupSteps: Math.ceil(steps / 20),
      steps,
      final: 3e-4,
    },
    threads: 1,
    inline: true,
  });
}
