import { describe, expect, test } from "vitest";
import { type ContextPolicy, loadModel } from "../../model/index.ts";
import { bundledModel } from "../../testing/test-data.ts";
import { describePolicy } from "../testing/describe-policy.ts";
import { attendedPlaces, runOracle } from "../testing/policy-oracle.ts";
import { tokenSelect } from "./index.ts";

const small = { init: 4, local: 16, k: 12 };
const large = { init: 4, local: 128, k: 128 };

describePolicy({
  name: "token-select",
  small: tokenSelect(small),
  large: tokenSelect(large),
  budget: 32,
});
describePolicy({
  name: "token-select with its cache",
  small: tokenSelect({ ...small, cache: 0.5 }),
  large: tokenSelect({ ...large, cache: 0.5 }),
  budget: 32,
});
describePolicy({
  name: "token-select with its cache in prompts too",
  small: tokenSelect({ ...small, cache: 0.5, cacheInPrefill: true, chunk: 8 }),
  large: tokenSelect({ ...large, cache: 0.5, cacheInPrefill: true }),
  budget: 32,
});

describe("token-select's cache in prompts", () => {
  const options = { ...small, chunk: 8, vote: "soft" } as const;
  const ids = Array.from({ length: 97 }, (_, at) => 5 + ((at * at * 7 + 11 * at) % 480));

  /** Chosen places of the last token, by layer; the text is a prompt but for its last token. */
  async function chosen(policy: ContextPolicy): Promise<number[][]> {
    await using model = await loadModel(bundledModel, { format: "f32", threads: 1, inline: true });
    const { numAttentionHeads: heads, layers } = model.config;
    const run = await runOracle(model, policy, ids, { steps: 1, attended: true });
    const step = run.steps.find(({ isPrompt }) => !isPrompt)!;
    const shape = { heads, layers: layers.length, head: 0 };
    return layers.map((_, layer) =>
      attendedPlaces(step, { ...shape, layer }).filter(
        (at) => at >= small.init && at < step.tokens - small.local,
      ),
    );
  }

  test("keeps the first choice of all where every query counts as close", async () => {
    const kept = await chosen(tokenSelect({ ...options, cache: 1e-9, cacheInPrefill: true }));
    // The first chunk that chooses ends at 40 tokens: the fifth of 8, behind 4 + 12 + 16 that all fit.
    for (const places of kept) expect(Math.max(...places)).toBeLessThan(40 - small.local);
    const own = await chosen(tokenSelect({ ...options, cache: 1e-9 }));
    expect(Math.max(...own.flat())).toBeGreaterThanOrEqual(40 - small.local);
  });

  test("chooses as without a cache where no query is close", async () => {
    const never = await chosen(tokenSelect({ ...options, cache: 2, cacheInPrefill: true }));
    expect(never).toEqual(await chosen(tokenSelect(options)));
  });

  test("is refused without a cache", () => {
    expect(() => tokenSelect({ ...options, cacheInPrefill: true })).toThrow(/cacheInPrefill/);
  });
});

describePolicy({
  name: "token-select, hard vote, pooled",
  small: tokenSelect({ ...small, vote: "hard", pool: 3, chunk: 8 }),
  large: tokenSelect({ ...large, vote: "hard", pool: 3 }),
  budget: 32,
});
