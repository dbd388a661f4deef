/** DupMAE's pre-training and the contrast of its two-part representation as objectives of a run. */
import { JetonError } from "../../../core/index.ts";
import {
  type EncoderConfig,
  encoderHeadShapes,
  encoderParameterShapes,
  type VectorModule,
} from "../../../model/index.ts";
import { encodeRanked, hybridInputs } from "../encoder-batches.ts";
import type { EncoderObjective } from "../encoder-options.ts";
import {
  type EncoderPlan,
  evaluateBatch as evaluate,
  learnBatch as learn,
  moduleShapes,
  tokensOf,
} from "../encoder-plan.ts";
import { type RankedExample, readRankedExamples, readTexts } from "../example-files.ts";
import { duplexDecoderShapes } from "./duplex-decoder.ts";
import { duplexGraph } from "./duplex-graph.ts";
import { duplexInputs } from "./duplex-inputs.ts";
import { hybridContrastGraph } from "./hybrid-contrast-graph.ts";

/** Name of the stored layer that makes the dense part shorter. */
export const densePartName = "2_Dense.linear";

/** The plan of the pre-training. @throws JetonError `option-invalid`, `encoder-head-missing` */
export function duplexPlan(
  config: EncoderConfig,
  objective: Extract<EncoderObjective, { kind: "dupmae" }>,
  seed: number,
): EncoderPlan<string> {
  const { decodingWeight = 1, lexicalWeight = 1, masking = 0.3, hiding = 0.5 } = objective;
  checkShares({ masking, hiding });
  checkWeights({ decodingWeight, lexicalWeight });
  const factors = { decoding: decodingWeight, lexical: lexicalWeight };
  if (factors.decoding > 0 && config.positionRows === 0) {
    throw new JetonError(
      `a ${config.family} encoder has no table of positions, which the decoder of dupmae reads`,
      {
        code: "option-invalid",
        details: { option: "objective", found: "dupmae", expected: "learned positions" },
      },
    );
  }
  const shapes = new Map<string, readonly number[]>([
    ...encoderParameterShapes(config),
    ...encoderHeadShapes(config, "masked"),
    ...(factors.decoding > 0 ? duplexDecoderShapes(config) : []),
  ]);
  return {
    shapes,
    lossUnit: "text",
    pipeline: { pooling: "cls", modules: [] },
    tokenModules: undefined,
    head: "masked",
    read: readTexts,
    graph: (_, trainable) => duplexGraph({ config, shapes, trainable, factors }),
    prepare(texts, options) {
      const rates = { masked: masking, hidden: hiding };
      return duplexInputs(texts, { ...options, seed, rates, factors });
    },
    learn,
    evaluate,
  };
}

/** The plan of the fine-tuning. @throws JetonError `encoder-head-missing` */
export function hybridPlan(
  config: EncoderConfig,
  objective: Extract<EncoderObjective, { kind: "hybrid-contrastive" }>,
): EncoderPlan<RankedExample> {
  const { hiddenSize } = config;
  const { width = Math.ceil(hiddenSize / 2), terms = 384 } = objective;
  const { temperature = 1, negatives = 1 } = objective;
  const size = { inputs: hiddenSize, outputs: width };
  const modules: VectorModule[] = [
    { kind: "dense", name: densePartName, ...size, bias: false, activation: "identity" },
  ];
  const shapes = new Map<string, readonly number[]>([
    ...encoderParameterShapes(config),
    ...encoderHeadShapes(config, "masked"),
    ...moduleShapes(modules),
  ]);
  return {
    shapes,
    lossUnit: "query",
    pipeline: { pooling: "cls", modules },
    tokenModules: undefined,
    head: "masked",
    read: readRankedExamples,
    graph: (_, trainable) =>
      hybridContrastGraph({ config, shapes, trainable, modules, terms, temperature }),
    prepare(examples, options) {
      const batch = encodeRanked(examples, options, negatives);
      return { inputs: hybridInputs(batch, config), tokens: tokensOf(batch) };
    },
    learn,
    evaluate,
  };
}

function checkShares(shares: Readonly<Record<string, number>>): void {
  for (const [option, found] of Object.entries(shares)) {
    if (found > 0 && found < 1) continue;
    throw invalid(option, found, "a share between 0 and 1");
  }
}

function checkWeights(weights: Readonly<Record<string, number>>): void {
  for (const [option, found] of Object.entries(weights)) {
    if (Number.isFinite(found) && found >= 0) continue;
    throw invalid(option, found, "a number from 0");
  }
}

function invalid(option: string, found: unknown, expected: string): JetonError {
  return new JetonError(`${option} is ${String(found)}, expected ${expected}`, {
    code: "option-invalid",
    details: { option, found, expected },
  });
}
