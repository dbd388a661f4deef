/**
 * Whether drafted text has the model's law: continuations of a model that is a table, counted and
 * compared with their exact probabilities.
 */
import type { LoadedModel } from "../../model/index.ts";
import type { Drafter, DraftTree } from "../drafter.ts";
import { complete } from "../generate.ts";
import { resolveSampling } from "../options.ts";
import { gTest } from "../testing/g-test.ts";
import { continuationLaw, createLawModel } from "../testing/law-model.ts";
import type { SamplingOptions } from "../types.ts";

export interface LawOptions {
  /** Continuations to count. */
  readonly runs: number;
  readonly sampling: SamplingOptions;
  readonly seed: number;
  readonly signal: AbortSignal;
}

/**
 * Probability of counts at least as far from the exact law of four tokens, if the text does have it.
 *
 * @param open makes the drafter; its draft has the same tokens and nearly the same laws
 */
export async function lawProbability(
  open: (model: LoadedModel, draft: LoadedModel) => Drafter,
  { runs, sampling, seed, signal }: LawOptions,
): Promise<number> {
  const model = createLawModel({ seed });
  const drafter = open(model, createLawModel({ seed, mixed: { seed: seed + 1, share: 0.4 } }));
  const prompt = [1, 2];
  const length = 4;
  const resolved = resolveSampling(model, { ...sampling, seed: 0 });
  const law = await continuationLaw(model, prompt, length, resolved);
  const counts = new Map<string, number>();
  for (let run = 0; run < runs; run++) {
    const { ids } = await complete(model, prompt, {
      ...sampling,
      seed: run,
      maxTokens: length,
      drafter,
      maximumDraft: 6,
      signal,
    });
    const key = ids.join(" ");
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return gTest(counts, law).pValue;
}

/** Leaves out drawn children that turned out improbable: it looks harmless, and changes the law. */
export function pruneAfterDrawing(drafter: Drafter, least: number): Drafter {
  return {
    ...drafter,
    begin(request) {
      const sequence = drafter.begin(request);
      return {
        async propose(context): Promise<DraftTree> {
          const { ids, parents, expected, laws } = await sequence.propose(context);
          const kept = [...ids.keys()].filter((node) => expected![node]! >= least);
          const place = new Map(kept.map((node, at) => [node, at]));
          return {
            ids: kept.map((node) => ids[node]!),
            parents: kept.map((node) => place.get(parents[node]!) ?? -1),
            ...(laws && { laws: [laws[0], ...kept.map((node) => laws[node + 1])] }),
          };
        },
        observe() {},
        end: () => sequence.end(),
      };
    },
  };
}
