/** The distribution of the next token before and after each step of the sampler. */
import {
  promptIds,
  resolveSampling,
  type Sampling,
  type TokenDistribution,
  tokenDistribution,
} from "../generate/index.ts";
import { hasPenalties, penalize, TokenCounter } from "../generate/sampling/penalties.ts";
import { type LensHost, plainToken, stepAfter } from "./lens-host.ts";
import type { SamplingStage, StagesEvent, StagesRequest } from "./types.ts";

/** The sampler's steps after the penalties, in its order. */
const filters = [
  ["top-k", "topK"],
  ["top-p", "topP"],
  ["min-p", "minP"],
  ["typical", "typicalP"],
  ["epsilon cutoff", "epsilonCutoff"],
  ["eta cutoff", "etaCutoff"],
] as const satisfies readonly (readonly [string, keyof Sampling])[];

/** Values with which a step changes nothing. */
const neutral = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  typicalP: 1,
  epsilonCutoff: 0,
  etaCutoff: 0,
} as const;

interface Stage {
  readonly name: string;
  readonly setting: string;
  readonly distribution: TokenDistribution;
}

/**
 * Computes one row of logits and takes it through the sampler, step by step. Only steps whose option changes
 * something are there, the model's own distribution first. The last one is what a token is drawn from.
 *
 * @throws JetonError those of `generate` for options and prompts
 */
export async function samplingStages(
  host: LensHost,
  request: StagesRequest,
  signal?: AbortSignal,
): Promise<StagesEvent> {
  const { model } = host;
  const { generated = 0, tokens: listed = 12 } = request;
  const ids = promptIds(model, request.prompt);
  const sampling = resolveSampling(model, request.sampling ?? {});
  const { logits } = await stepAfter(host, ids, { logits: true }, signal);
  const split = Math.max(0, ids.length - generated);
  const counter = new TokenCounter(ids.slice(0, split)).after(ids.slice(split));
  const stages = stagesOf(logits!, sampling, counter);
  const shown = listTokens(stages, listed);
  return {
    kind: "stages",
    tokens: shown.map((id) => ({ id, text: plainToken(host, id).text })),
    stages: stages.map((stage) => describeStage(stage, shown)),
  };
}

function stagesOf(logits: Float32Array, sampling: Sampling, counter: TokenCounter): Stage[] {
  let current: Sampling = { ...sampling, ...neutral };
  const stages: Stage[] = [
    { name: "model", setting: "", distribution: tokenDistribution(logits, current) },
  ];
  if (hasPenalties(sampling)) {
    logits = logits.slice();
    penalize(logits, counter, sampling);
    const { repetitionPenalty, frequencyPenalty, presencePenalty } = sampling;
    const setting = `repetition ${repetitionPenalty}, frequency ${frequencyPenalty}, presence ${presencePenalty}`;
    stages.push({ name: "penalties", setting, distribution: tokenDistribution(logits, current) });
  }
  const add = (name: string, option: keyof typeof neutral): void => {
    const value = sampling[option] ?? neutral[option];
    if (value === neutral[option]) return;
    current = { ...current, [option]: value };
    const isGreedy = option === "temperature" && value === 0;
    stages.push({
      name,
      setting: isGreedy ? "0: the most probable token" : String(value),
      distribution: tokenDistribution(logits, current),
    });
  };
  add("temperature", "temperature");
  if (sampling.temperature > 0) for (const [name, option] of filters) add(name, option);
  return stages;
}

/** The most probable tokens of the first stage, and those of the last one that are not among them. */
function listTokens(stages: readonly Stage[], count: number): number[] {
  const best = (stage: Stage): number[] => [...stage.distribution.ids.subarray(0, count)];
  return [...new Set([...best(stages[0]!), ...best(stages.at(-1)!)])];
}

function describeStage(
  { name, setting, distribution }: Stage,
  shown: readonly number[],
): SamplingStage {
  const { ids, probabilities } = distribution;
  const places = new Map(Array.from(ids, (id, place) => [id, place]));
  const probabilityOf = (id: number): number => {
    const place = places.get(id);
    return place === undefined ? 0 : probabilities[place]!;
  };
  let entropy = 0;
  for (const probability of probabilities) {
    if (probability > 0) entropy -= probability * Math.log(probability);
  }
  return { name, setting, kept: ids.length, entropy, probabilities: shown.map(probabilityOf) };
}
