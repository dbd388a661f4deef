/** Loss of the last tokens of held-out prose behind more or less text. */
import { score } from "../../generate/index.ts";
import type { ContextPolicy, LoadedModel } from "../../model/index.ts";
import type { ReproductionContext } from "../../reproduce/index.ts";
import { type Texts, window } from "./reproduction-small-models.ts";

/** Tokens that are predicted. */
const predicted = 120;

/** What is read, and how. */
export interface LastLossesOptions {
  /** Shown as progress; names what is remembered. */
  readonly title: string;
  readonly policy: ContextPolicy;
  /** Text that is read, in windows of the training; the predicted tokens are its last ones. */
  readonly windows: number;
  /** Number of texts. */
  readonly count: number;
}

/** Mean loss in nats of the same last tokens of each text; remembered. */
export function lastLosses(
  context: Pick<ReproductionContext, "remember" | "progress" | "signal">,
  model: LoadedModel,
  { heldOut }: Texts,
  { title, policy, windows, count }: LastLossesOptions,
): Promise<number[]> {
  return context.remember(title, { count, windows, options: policy.options }, async () => {
    const view = model.withContextPolicy!(policy);
    const read: number[] = [];
    for (let at = 0; at < count; at++) {
      context.signal.throwIfAborted();
      context.progress(title, at, count);
      const end = Math.floor(((at + 1) * heldOut.length) / (count + 1));
      const { tokens } = await score(view, [...heldOut.subarray(end - windows * window, end)]);
      const last = tokens.slice(-predicted).map(({ logProbability }) => -logProbability);
      read.push(last.reduce((sum, value) => sum + value, 0) / last.length);
    }
    return read;
  });
}

/** One number for each question or text: its mean over the seeds. */
export function overSeeds(bySeed: readonly (readonly number[])[]): number[] {
  return bySeed[0]!.map(
    (_, at) => bySeed.reduce((sum, values) => sum + values[at]!, 0) / bySeed.length,
  );
}
