/** How often the selection cache keeps an earlier choice while answers to questions are decoded. */
import type { ContextPolicy, LoadedModel } from "../../model/index.ts";
import type { ReproductionContext } from "../../reproduce/index.ts";
import type { PasskeyPrompt } from "../policies/reproduction-recall.ts";

/** Choices of one question's decoded tokens, one for each layer and token. */
export interface CacheUse {
  readonly kept: number;
  readonly choices: number;
}

/** Decoded tokens of a question. */
const decoded = 12;

/** What the cache kept, by question; remembered. */
export function measureCache(
  context: Pick<ReproductionContext, "remember" | "progress" | "signal">,
  model: LoadedModel,
  policy: ContextPolicy,
  prompts: readonly PasskeyPrompt[],
): Promise<CacheUse[]> {
  const settings = { options: policy.options, count: prompts.length, decoded };
  return context.remember("use of the selection cache", settings, async () => {
    const view = model.withContextPolicy!(policy);
    const layers = model.config.layers.length;
    const found: CacheUse[] = [];
    for (const [at, { ids }] of prompts.entries()) {
      context.signal.throwIfAborted();
      context.progress("use of the selection cache", at, prompts.length);
      const sequence = await view.openSequence({ promptLength: ids.length });
      let [kept, choices] = [0, 0];
      try {
        let { topIds } = await sequence.step({ ids });
        for (let step = 0; step < decoded; step++) {
          const result = await sequence.step({ ids: [topIds[0]!], attended: true });
          topIds = result.topIds;
          const report = result.policyReport!;
          // The first number of each layer: 0, everything fits; 1, chosen anew; 2, kept.
          for (let layer = 0; layer < layers; layer++) {
            const kind = report[(layer * report.length) / layers]!;
            if (kind > 0) choices++;
            if (kind === 2) kept++;
          }
        }
      } finally {
        await sequence.release();
      }
      found.push({ kept, choices });
    }
    return found;
  });
}
