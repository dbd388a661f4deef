import { describe, expect, test } from "vitest";
import type { Sampling } from "../sampling/sampler.ts";
import type { Drafter, DraftOutcome } from "../speculative/drafter.ts";
import { describeDrafter } from "../testing/drafter-conformance.ts";
import { describeDrafterDistribution } from "../testing/drafter-distribution.ts";
import { unfilteredSampling } from "../testing/unfiltered-sampling.ts";
import { type Adaptation, createAdedDrafter } from "./index.ts";

describeDrafter({ name: "aded", open: (model) => createAdedDrafter(model) });
describeDrafter({
  name: "aded-averaging-best-first",
  open: (model) =>
    createAdedDrafter(model, {
      corpus: [model.tokenizer.encodeIds("Once upon a time, Lily had a red ball.")],
      adaptation: { rule: "average" },
      construction: "best-first",
      maxPairs: 50,
    }),
});
describeDrafter({
  name: "aded-random-walks",
  open: (model) =>
    createAdedDrafter(model, { adaptation: { rule: "once" }, construction: "random-walks" }),
});

describeDrafterDistribution({ name: "aded", open: (model) => createAdedDrafter(model) });

const model = {
  config: { vocabSize: 50 },
  tokenizer: { idToToken: (id: number) => `t${id}` },
} as unknown as Parameters<typeof createAdedDrafter>[0];
const sampling: Sampling = { ...unfilteredSampling, seed: 1 };
const limits = { maxNodes: 64, maxDepth: 8, minAcceptanceProbability: 0 };
const rows = {
  ids: Int32Array.of(0),
  candidates: 1,
  topIds: Int32Array.of(0),
  topLogits: Float32Array.of(0),
  logSumExp: Float32Array.of(0),
};
const autoregressive = (ids: readonly number[]): DraftOutcome => ({
  ids,
  emitted: ids.slice(-1),
  rows,
  seconds: 0,
});

/** Feeds a text token by token and returns the words of the saved table. */
function adapt(adaptation: Adaptation, text: readonly number[]): Map<string, number> {
  const drafter = createAdedDrafter(model, { adaptation, promptIncrement: 0 });
  const sequence = drafter.begin({ promptIds: text.slice(0, 1), sampling });
  for (let length = 2; length <= text.length; length++)
    sequence.observe(autoregressive(text.slice(0, length)));
  return weightsOf(drafter);
}

/** Triples and weights of a drafter's table, read from its bytes. */
function weightsOf(drafter: Drafter): Map<string, number> {
  const bytes = drafter.save!();
  const header = 16 + new DataView(bytes.buffer).getUint32(12, true);
  const body = bytes.slice(header + 4 * 40, bytes.length - 4);
  const words = new Int32Array(body.buffer);
  const floats = new Float32Array(body.buffer);
  const weights = new Map<string, number>();
  for (let at = 0; at < words.length; ) {
    const [first, second, count] = words.slice(at, at + 3);
    for (let rank = 0; rank < count!; rank++) {
      const word = at + 3 + 2 * rank;
      weights.set(`${first} ${second} ${words[word]}`, floats[word + 1]!);
    }
    at += 3 + 2 * count!;
  }
  return weights;
}

describe("ADED's adaptation", () => {
  const text = [1, 2, 3, 4, 5, 1, 2, 3, 9];

  test("the window raises exactly its triples, once per forward pass while they are in it", () => {
    const window = 5;
    const expected = new Map<string, number>();
    for (let length = 3; length <= text.length; length++) {
      const part = text.slice(Math.max(0, length - window), length);
      for (let at = 2; at < part.length; at++) {
        const key = part.slice(at - 2, at + 1).join(" ");
        expected.set(key, (expected.get(key) ?? 0) + 0.04);
      }
    }
    const found = adapt({ rule: "window", window }, text);
    expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const [key, weight] of expected) expect(found.get(key)).toBeCloseTo(weight, 5);
  });

  test('"once" raises each new triple once; weights stop at the maximum', () => {
    const found = adapt({ rule: "once", increment: 0.5 }, text);
    expect(found.get("1 2 3")).toBeCloseTo(1, 6);
    expect(found.get("2 3 4")).toBeCloseTo(0.5, 6);
    expect(found.get("2 3 9")).toBeCloseTo(0.5, 6);
    expect(adapt({ rule: "once", increment: 2 }, text).get("1 2 3")).toBe(3);
  });

  test('"average" follows the latest successor; "none" learns nothing', () => {
    const found = adapt({ rule: "average", rate: 0.4 }, text);
    expect(found.get("2 3 4")! + found.get("2 3 9")!).toBeCloseTo(1, 6);
    expect(found.get("2 3 9")).toBeCloseTo(0.4, 6);
    expect(adapt({ rule: "none" }, text).size).toBe(0);
  });

  test("a prompt's triples are drafted immediately; without the increment only those of its end", () => {
    const prompt = [7, 8, 9, 10, 11, ...Array.from({ length: 20 }, (_, at) => 20 + at), 7, 8];
    const draft = (promptIncrement: number) => {
      const drafter = createAdedDrafter(model, { promptIncrement });
      const sequence = drafter.begin({ promptIds: prompt, sampling });
      sequence.observe(autoregressive(prompt));
      return sequence.propose({ ids: prompt, ...limits });
    };
    expect(draft(0.3)).toMatchObject({ ids: [9, 10, 11, 20], parents: [-1, 0, 1, 2] });
    expect(draft(0)).toMatchObject({ ids: [] });
  });

  test("a corpus is drafted from immediately", () => {
    const drafter = createAdedDrafter(model, { corpus: [[1, 2, 3, 4, 5, 6, 7]] });
    const sequence = drafter.begin({ promptIds: [1, 2], sampling });
    expect(sequence.propose({ ids: [1, 2], ...limits })).toMatchObject({ ids: [3, 4, 5, 6] });
  });

  test("rejections lower the acceptance probabilities of later drafts", () => {
    const drafter = createAdedDrafter(model, {
      corpus: [[1, 2, 3, 4]],
      adaptation: { rule: "none" },
    });
    const sequence = drafter.begin({ promptIds: [1, 2], sampling });
    const first = sequence.propose({ ids: [1, 2], ...limits });
    if (first instanceof Promise) throw new Error("expected a synchronous proposal");
    let last = first;
    for (let step = 0; step < 20; step++) {
      const verdict = { tree: last, accepted: [], rejected: [0] };
      sequence.observe({ ...autoregressive([1, 2]), verdict });
      last = sequence.propose({ ids: [1, 2], ...limits }) as typeof first;
    }
    expect(last.ids).toEqual(first.ids);
    expect(last.acceptanceProbabilities![0]!).toBeLessThan(first.acceptanceProbabilities![0]! / 2);
  });

  test("impossible options are rejected by name", () => {
    for (const options of [
      { adaptation: { rule: "window", window: 2 } },
      { promptIncrement: Number.NaN },
      { search: { depth: 0 } },
    ] as const) {
      expect(() => createAdedDrafter(model, options)).toThrow(/expected a number of at least/);
    }
  });
});
