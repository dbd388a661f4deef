/** Measures whether text drafted by DySpec has the model's distribution. */
import { meanOf, type ReproductionContext } from "../../reproduce/index.ts";
import { createDistributionModel } from "../measure/distribution-model.ts";
import { testDraftedDistribution } from "../measure/drafted-distribution.ts";
import type { Drafter } from "../speculative/drafter.ts";
import { createDyspecDrafter, type DyspecOptions } from "./dyspec-drafter.ts";
import { pruneAfterSampling } from "./reproduction-pruned.ts";

/** A text that drafts did not change is rejected at this level once in a hundred tests. */
const level = 0.01;

/** Tests whether drafted text has the model's distribution, and that the test detects a mistake. */
export async function measureDistribution({
  quick,
  seed,
  signal,
  progress,
  report,
}: ReproductionContext<"exact-distribution">): Promise<void> {
  const settings: Readonly<Record<string, Omit<DyspecOptions, "draft">>> = {
    "best-first": {},
    "best-first, calibrated": { calibrate: true },
    "by layer": { algorithm: "by-layer" },
  };
  const options = { prompt: [1, 2], runs: quick ? 2000 : 5000, signal };
  const pValues: Record<string, number> = {};
  const kept: Record<"drafted" | "pruned", number[]> = { drafted: [], pruned: [] };
  for (let round = 0; round < (quick ? 1 : 4); round++) {
    const model = createDistributionModel({ seed: seed + 2 * round });
    const mixed = { seed: seed + 2 * round + 1, share: 0.4 };
    const draft = createDistributionModel({ seed: seed + 2 * round, mixed });
    for (const [name, setting] of Object.entries(settings)) {
      for (const sampling of [{ temperature: 1 }, { temperature: 0.6, topP: 0.95 }]) {
        const label = `${name}, temperature ${sampling.temperature}`;
        progress(`the distribution of drafted text: ${label}`);
        const pOf = async (drafter: Drafter): Promise<number> =>
          (await testDraftedDistribution(model, drafter, { ...options, sampling })).pValue;
        const create = (): Drafter => createDyspecDrafter(model, { ...setting, draft });
        const pValue = await pOf(create());
        pValues[`${label}, model ${round}`] = pValue;
        kept.drafted.push(pValue >= level ? 100 : 0);
        kept.pruned.push((await pOf(pruneAfterSampling(create(), 0.15))) >= level ? 100 : 0);
      }
    }
  }
  report("exact-distribution", {
    measured: meanOf(kept.drafted),
    control: meanOf(kept.pruned),
    details: { pValues },
  });
}
