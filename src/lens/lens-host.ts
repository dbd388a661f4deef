/** What a lens looks through: a model, its drafters and the texts of its tokens. */
import { JetonError } from "../core/index.ts";
import type { Drafter, DrafterChoice } from "../generate/index.ts";
import type { TopToken } from "../generate/top-tokens.ts";
import type { ContextPolicy, LoadedModel, SequenceStep, StepResult } from "../model/index.ts";
import { createTokenTexts, type DescribeToken } from "../tokenizer/index.ts";
import type { LensAlternative, LensToken } from "./types.ts";

/** Options of `createLensHost`. */
export interface LensOptions {
  readonly model: LoadedModel;
  /** Opens a drafter by name, or gives the open one; undefined for `none`. The caller closes it. */
  readonly drafter: (name: DrafterChoice) => Promise<Drafter | undefined>;
  /** Drafters that `drafter` can open, `none` among them. */
  readonly drafters: readonly DrafterChoice[];
  /** Reads a context policy, as `parseContextPolicy` does. Default: none can be asked for. */
  readonly contextPolicy?: (text: string) => ContextPolicy;
}

/** A model with what its tokens look like. */
export interface LensHost extends LensOptions {
  readonly describeToken: DescribeToken;
}

/** Makes the host of a lens. */
export function createLensHost(options: LensOptions): LensHost {
  return { ...options, describeToken: createTokenTexts(options.model.tokenizer) };
}

/** The policy that a request names. @throws JetonError `lens-request-invalid` where the lens has none */
export function policyOf(
  { contextPolicy }: LensHost,
  text: string | undefined,
): ContextPolicy | undefined {
  if (text === undefined) return undefined;
  if (contextPolicy) return contextPolicy(text);
  throw new JetonError(`contextPolicy ${JSON.stringify(text)}: this lens has no context policies`, {
    code: "lens-request-invalid",
    details: { name: "contextPolicy", found: text, expected: "none" },
  });
}

/** A token without probabilities. */
export function plainToken({ model, describeToken }: LensHost, id: number): LensToken {
  const text = describeToken(id).name;
  if (!model.tokenizer.isSpecial(id)) return { id, text };
  return { id, text: model.tokenizer.idToToken(id) ?? text, special: true };
}

/** Alternatives with their texts. */
export function describeAlternatives(host: LensHost, top: readonly TopToken[]): LensAlternative[] {
  return top.map(({ id, logProbability }) => ({
    id,
    text: plainToken(host, id).text,
    logProbability,
  }));
}

/** The row after a text: one forward pass over what of it no kept sequence has read. */
export async function stepAfter(
  { model }: LensHost,
  ids: readonly number[],
  wanted: Pick<SequenceStep, "topK" | "logits">,
  signal: AbortSignal | undefined,
): Promise<StepResult> {
  const given = signal ? { signal } : {};
  const sequence = await model.openSequence({ prefix: ids, ...given });
  try {
    return await sequence.step({ ids: ids.slice(sequence.reused), ...wanted }, given);
  } finally {
    await sequence.release();
  }
}

/** Entropy in nats of the distribution that a row of logits gives. */
export function entropyOf(
  logits: Float32Array,
  from: number = 0,
  to: number = logits.length,
): number {
  let largest = -Infinity;
  for (let at = from; at < to; at++) if (logits[at]! > largest) largest = logits[at]!;
  let mass = 0;
  let weighted = 0;
  for (let at = from; at < to; at++) {
    const distance = logits[at]! - largest;
    const part = Math.exp(distance);
    mass += part;
    // -Infinity times 0 is no number: an excluded token adds nothing.
    if (part > 0) weighted += part * distance;
  }
  return Math.log(mass) - weighted / mass;
}
