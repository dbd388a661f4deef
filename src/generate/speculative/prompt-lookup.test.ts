import { describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { describeDrafter } from "../testing/drafter-conformance.ts";
import { describeDrafterDistribution } from "../testing/drafter-distribution.ts";
import { unfilteredSampling } from "../testing/unfiltered-sampling.ts";
import { createPromptLookupDrafter } from "./prompt-lookup.ts";

describeDrafter({ name: "prompt-lookup", open: () => createPromptLookupDrafter() });

describeDrafterDistribution({ name: "prompt-lookup", open: () => createPromptLookupDrafter() });

const sampling = unfilteredSampling;
const wide = { maxNodes: 100, maxDepth: 100, minAcceptanceProbability: 0 };

describe("prompt lookup", () => {
  test("drafts what followed the latest occurrence of the longest match of at most three tokens", () => {
    const random = createRandom(2, "prompt-lookup");
    const sequence = createPromptLookupDrafter({ length: 5 }).begin({ promptIds: [], sampling });
    const ids: number[] = [];
    for (let step = 0; step < 400; step++) {
      ids.push(random.integer(5));
      const tree = sequence.propose({ ids, ...wide });
      expect(tree).not.toBeInstanceOf(Promise);
      expect(Array.from((tree as { ids: readonly number[] }).ids)).toEqual(bruteForce(ids, 3, 5));
    }
  });

  test("acceptance probabilities follow the outcomes", async () => {
    const sequence = createPromptLookupDrafter().begin({ promptIds: [], sampling });
    const ids = [7, 8, 7];
    const before = (await sequence.propose({ ids, ...wide })).acceptanceProbabilities![0]!;
    for (let count = 0; count < 50; count++) {
      const tree = await sequence.propose({ ids, ...wide });
      sequence.observe({
        emitted: [5],
        ids,
        seconds: 0,
        rows: {
          ids: Int32Array.of(7),
          candidates: 0,
          topIds: new Int32Array(0),
          topLogits: new Float32Array(0),
          logSumExp: new Float32Array(1),
        },
        verdict: { tree, accepted: [], rejected: [0] },
      });
    }
    expect((await sequence.propose({ ids, ...wide })).acceptanceProbabilities![0]!).toBeLessThan(
      before / 4,
    );
    const { ids: none } = await sequence.propose({ ids, ...wide, minAcceptanceProbability: 0.5 });
    expect(none).toHaveLength(0);
  });
});

function bruteForce(ids: readonly number[], longest: number, length: number): number[] {
  for (let size = longest; size >= 1; size--) {
    for (let end = ids.length - 1; end >= size; end--) {
      const same = Array.from(
        { length: size },
        (_, at) => ids[end - size + at] === ids[ids.length - size + at],
      );
      if (!same.every(Boolean)) continue;
      const drafts: number[] = [];
      while (drafts.length < length) {
        const at = end + drafts.length;
        drafts.push(at < ids.length ? ids[at]! : drafts[at - ids.length]!);
      }
      return drafts;
    }
  }
  return [];
}
