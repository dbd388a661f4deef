/** Measures whether text drafted by DySpec has the model's distribution. */
import type { ReproductionContext } from "../../reproduce/index.ts";
import { createDistributionModel } from "../measure/distribution-model.ts";
import { testDraftedDistribution } from "../measure/drafted-distribution.ts";
import { createDyspecDrafter, type DyspecOptions } from "./dyspec-drafter.ts";
import { pruneAfterSampling } from "./reproduction-pruned.ts";

/** Tests whether drafted text has the model's distribution, and that the test detects a mistake. */
export async function measureDistribution({
  quick,
  seed,
  signal,
  progress,
  report,
}: ReproductionContext<"exact-distribution">): Promise<void> {
  const model = createDistributionModel({ seed });
  const draft = createDistributionModel({ seed, mixed: { seed: seed + 1, share: 0.4 } });
  const options = { prompt: [1, 2], runs: quick ? 800 : 20_000, signal };
  const settings: Readonly<Record<string, Omit<DyspecOptions, "draft">>> = {
    "best-first": {},
    "best-first, calibrated": { calibrate: true },
    "by layer": { algorithm: "by-layer" },
  };
  const pValues: Record<string, number> = {};
  for (const [name, setting] of Object.entries(settings)) {
    for (const sampling of [{ temperature: 1 }, { temperature: 0.6, topP: 0.95 }]) {
      progress(`the distribution of drafted text: ${name}, temperature ${sampling.temperature}`);
      const drafter = createDyspecDrafter(model, { ...setting, draft });
      const { pValue } = await testDraftedDistribution(model, drafter, { ...options, sampling });
      pValues[`${name}, temperature ${sampling.temperature}`] = pValue;
    }
  }
  progress("the distribution of text whose trees are pruned after sampling");
  const pruned = pruneAfterSampling(createDyspecDrafter(model, { draft }), 0.15);
  const sampling = { temperature: 1 };
  const { pValue } = await testDraftedDistribution(model, pruned, { ...options, sampling });
  report("exact-distribution", {
    measured: Math.min(...Object.values(pValues)),
    baseline: pValue,
    baselineName: "improbable children pruned after sampling",
    details: { pValues },
  });
}
