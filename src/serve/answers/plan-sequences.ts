/**
 * From a checked request to sequences: sampling options, the context limit, seeds.
 */
import { randomInt } from "node:crypto";
import { createRandom } from "../../core/index.ts";
import type { ServeContext } from "../context.ts";
import { ApiError } from "../middleware/errors.ts";
import { adjustedParameter, type RequestWarning } from "../requests/request-warning.ts";
import type { SamplingRequest } from "../requests/sampling-fields.ts";
import { checkPolicy, contextLengthUnder, findPolicy } from "./context-policies.ts";
import type { SequencePlan } from "./generation-run.ts";
import { readSampling } from "./read-sampling.ts";

export interface PlanOptions {
  /** Choices of each prompt. Default 1. */
  readonly choices?: number | null | undefined;
  /** Tokens to generate for each choice; -1: all that the context leaves. */
  readonly maxTokens: number | null | undefined;
  /** Most tokens to generate where the client does not say. */
  readonly defaultMaxTokens: number;
  /** The parameter that set `maxTokens`, for warnings. */
  readonly maxTokensParameter: string;
  readonly promptParameter: string;
  readonly topLogProbabilities: number;
  /** Alternatives of each prompt token, where prompts are scored. */
  readonly promptAlternatives?: number | undefined;
}

/** The sequences of a request, and what was changed to make them possible. */
export interface SequencePlans {
  readonly plans: readonly SequencePlan[];
  readonly warnings: readonly RequestWarning[];
}

/**
 * Lays out the choices of a request: `choices` for each prompt. Choice k of a prompt draws as sequence
 * k of the request's seed, so a prompt gets the same text in company as alone.
 *
 * @throws ApiError 400 `context_length_exceeded` where a prompt leaves no space
 */
export function planSequences(
  context: ServeContext,
  prompts: readonly Int32Array[],
  request: SamplingRequest,
  options: PlanOptions,
): SequencePlans {
  const seed = request.seed == null ? randomInt(2 ** 31) : mapSeed(request.seed);
  const contextPolicy = findPolicy(context, request);
  checkPolicy(contextPolicy, request, options.promptAlternatives !== undefined);
  const sampling = {
    ...readSampling(context.model, request),
    ...(contextPolicy && { contextPolicy }),
  };
  const choices = options.choices ?? 1;
  const contextLength = contextLengthUnder(context, contextPolicy);
  let smallestLimit = Infinity;
  const plans = prompts.flatMap((ids, promptNumber) => {
    const maxTokens = limitTokens(contextLength, ids.length, options);
    smallestLimit = Math.min(smallestLimit, maxTokens);
    return Array.from({ length: choices }, (_, sequence) => ({
      index: promptNumber * choices + sequence,
      promptNumber,
      ids,
      options: {
        ...sampling,
        seed,
        sequence,
        maxTokens,
        topLogProbabilities: options.topLogProbabilities,
      },
      promptAlternatives: options.promptAlternatives,
      bytes: request.bytes === true,
    }));
  });
  const wanted = options.maxTokens ?? -1;
  if (wanted <= smallestLimit) return { plans, warnings: [] };
  const message =
    `'${options.maxTokensParameter}' is ${wanted}; the prompt leaves ${smallestLimit} of the ` +
    `context of ${contextLength} tokens.`;
  return { plans, warnings: [adjustedParameter(options.maxTokensParameter, message)] };
}

/** Tokens to generate after a prompt: what was asked for, as far as the context goes. */
function limitTokens(contextLength: number, promptTokens: number, options: PlanOptions): number {
  const left = contextLength - promptTokens;
  const wanted = options.maxTokens === -1 ? left : (options.maxTokens ?? options.defaultMaxTokens);
  // A request that generates nothing may fill the context with its prompt.
  if (left >= Math.min(1, wanted)) return Math.min(left, wanted);
  throw new ApiError(
    `This model's maximum context length is ${contextLength} tokens. However, the prompt has ` +
      `${promptTokens} tokens, which leaves no space for an answer. Please shorten it.`,
    { status: 400, code: "context_length_exceeded", param: options.promptParameter },
  );
}

/** A 64-bit seed as one that the keyed randomness takes: itself, or 53 bits that depend on all 64. */
export function mapSeed(seed: number | bigint): number {
  if (typeof seed === "number") return seed;
  const bits = BigInt.asUintN(64, seed);
  const random = createRandom("int64", Number(bits >> 32n), Number(bits & 0xffff_ffffn));
  return random.uniform() * 2 ** 53;
}
