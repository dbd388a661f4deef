import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Sampling } from "../sampling/sampler.ts";
import type { DraftContext, DraftOutcome, DraftTree } from "../speculative/drafter.ts";
import { describeDrafter } from "../testing/drafter-conformance.ts";
import { describeDrafterDistribution } from "../testing/drafter-distribution.ts";
import { createLookaheadDrafter, type Lookahead, type LookaheadOptions } from "./lookahead.ts";
import { type RetrieveOptions, retrieveBranches } from "./retrieve-branches.ts";
import { TokenTrie, TrieWriter } from "./token-trie.ts";

describeDrafter({ name: "lookahead", open: (model) => createLookaheadDrafter(model) });

describeDrafterDistribution({ name: "lookahead", open: (model) => createLookaheadDrafter(model) });

describeDrafter({
  name: "lookahead by frequency, in a small trie full of junk, stale entries and token 0",
  open: (model) => {
    const options = { order: "frequency", queryLength: 2, capacity: 300, branchLength: 3 } as const;
    const drafter = createLookaheadDrafter(model, options);
    for (let step = 0; step < 40; step++) {
      drafter.remember(Array.from({ length: 30 }, (_, at) => (at * at * (step + 1)) % 97));
      drafter.remember([0, 0, 0, 2, 0, 1, 2, 2, step]);
    }
    return drafter;
  },
});

const greedy = { temperature: 0, topK: 0 } as Sampling;
const vocabSize = 64;

function createDrafter(options: LookaheadOptions = {}, name = "a"): Lookahead {
  const tokenizer = { idToToken: (id: number) => `${name}${id}` };
  const model = { tokenizer, config: { vocabSize } };
  return createLookaheadDrafter(model as Parameters<typeof createLookaheadDrafter>[0], options);
}

function context(ids: number[], limits: Partial<DraftContext> = {}): DraftContext {
  return { ids, maxNodes: 100, maxDepth: 100, minAcceptanceProbability: 0, ...limits };
}

function emitted(ids: number[]): DraftOutcome {
  return { emitted: ids } as unknown as DraftOutcome;
}

/** Paths of a tree, as tokens. */
function pathsOf({ ids, parents }: DraftTree): string[] {
  const names: string[] = [];
  for (const [node, id] of Array.from(ids).entries()) {
    const parent = parents[node]!;
    names.push(parent < 0 ? `${id}` : `${names[parent]} ${id}`);
  }
  return names.sort();
}

function trieOf(branchLength: number, ...streams: number[][]): TokenTrie {
  const trie = new TokenTrie({ branchLength, capacity: 50_000 });
  for (const stream of streams) {
    const writer = new TrieWriter(trie);
    for (const token of stream) writer.push(token);
  }
  return trie;
}

/** Occurrences of an n-gram in streams. */
function occurrences(streams: readonly number[][], stretch: readonly number[]): number {
  let count = 0;
  for (const stream of streams) {
    for (let from = 0; from + stretch.length <= stream.length; from++) {
      if (stretch.every((token, at) => stream[from + at] === token)) count++;
    }
  }
  return count;
}

const published: RetrieveOptions = {
  queryLength: 2,
  branching: "hierarchical",
  order: "frequency",
  outputWeight: 1e-4,
  outputShare: 0.5,
};
const acceptance = (share: number): number => share;

/** Few distinct tokens, so that contexts repeat. */
const textOf = (maxLength: number) => fc.array(fc.nat(2), { maxLength });

describe("retrieval", () => {
  test("by frequency, the draft has the most frequent continuations, by brute force", () => {
    fc.assert(
      fc.property(
        textOf(60),
        textOf(60),
        fc.integer({ min: 1, max: 12 }),
        (promptText, outputText, size) => {
          const prompt = trieOf(4, promptText);
          const output = trieOf(4, outputText);
          const ids = [1];
          // One source of counts at a time: outputs only, or the prompt only.
          for (const outputShare of [0, 1]) {
            const options = {
              ...published,
              queryLength: 1,
              outputShare,
              outputWeight: outputShare,
            };
            const tree = retrieveBranches(
              { prompt, output, acceptance },
              options,
              context(ids, { maxNodes: size }),
            );
            const streams = outputShare === 1 ? [outputText] : [promptText];
            const counts: number[] = [];
            const walk = (stretch: number[]): void => {
              for (let token = 0; stretch.length <= 4 && token < 3; token++) {
                const next = [...stretch, token];
                const count = occurrences(streams, next);
                if (count === 0) continue;
                counts.push(count);
                walk(next);
              }
            };
            walk(ids);
            const best = counts.sort((a, b) => b - a).slice(0, size);
            const found = pathsOf(tree)
              .map((path) => occurrences(streams, [...ids, ...path.split(" ").map(Number)]))
              .sort((a, b) => b - a);
            expect(found).toEqual(best);
          }
        },
      ),
    );
  });

  test("every branch follows an earlier occurrence of the text's end; paths are distinct", () => {
    fc.assert(
      fc.property(
        textOf(50),
        textOf(50),
        fc.constantFrom<RetrieveOptions["branching"]>("hierarchical", "parallel", "single"),
        fc.constantFrom<RetrieveOptions["order"]>("chance", "frequency"),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 5 }),
        (promptText, outputText, branching, order, maxNodes, maxDepth) => {
          const [prompt, output] = [trieOf(4, promptText), trieOf(4, outputText)];
          const ids = [...promptText, ...outputText, 0, 1];
          const tree = retrieveBranches(
            { prompt, output, acceptance },
            { ...published, branching, order, queryLength: 3 },
            context(ids, { maxNodes, maxDepth }),
          );
          const paths = pathsOf(tree);
          expect(paths.length).toBeLessThanOrEqual(maxNodes);
          expect(new Set(paths).size).toBe(paths.length);
          for (const path of paths) {
            const tokens = path.split(" ").map(Number);
            expect(tokens.length).toBeLessThanOrEqual(maxDepth);
            const followed = [1, 2, 3].some(
              (length) =>
                occurrences([promptText, outputText], [...ids.slice(-length), ...tokens]) > 0,
            );
            expect(followed).toBe(true);
          }
          if (branching === "single") {
            expect(tree.parents).toEqual(paths.map((_, node) => node - 1));
          }
        },
      ),
    );
  });

  test("prompt and outputs share the budget: half for outputs, the rest by counts of the prompt", () => {
    const prompt = trieOf(4, [9, 1, 9, 1, 9, 2]);
    const output = trieOf(4, [9, 5, 9, 5, 9, 5, 9, 6]);
    const tree = retrieveBranches(
      { prompt, output, acceptance },
      { ...published, queryLength: 1 },
      context([9], { maxNodes: 2, maxDepth: 1 }),
    );
    expect(pathsOf(tree)).toEqual(["1", "5"]);
  });

  test("branches of longer matches are kept; shorter matches fill the rest without repeating them", () => {
    const output = trieOf(4, [1, 2, 3, 4], [7, 2, 5, 6], [8, 2, 3, 9]);
    const tree = retrieveBranches(
      { prompt: trieOf(4), output, acceptance },
      published,
      context([1, 2], { maxNodes: 5 }),
    );
    expect(pathsOf(tree)).toEqual(["3", "3 4", "3 9", "5", "5 6"]);
  });

  test("token 0 is an ordinary token", () => {
    const output = trieOf(4, [0, 0, 0, 3]);
    const tree = retrieveBranches(
      { prompt: trieOf(4), output, acceptance },
      published,
      context([0], { maxNodes: 50 }),
    );
    expect(pathsOf(tree)).toEqual(["0", "0 0", "0 0 3", "0 3", "3"]);
  });

  test("parallel branches cost their repeated beginnings", () => {
    const output = trieOf(4, [1, 2, 3, 4], [1, 2, 3, 5], [1, 2, 3, 4]);
    const options = { ...published, queryLength: 1, outputShare: 0 };
    const source = { prompt: trieOf(4), output, acceptance };
    const draft = (branching: RetrieveOptions["branching"], maxNodes: number): string[] =>
      pathsOf(retrieveBranches(source, { ...options, branching }, context([1], { maxNodes })));
    expect(draft("hierarchical", 4)).toEqual(["2", "2 3", "2 3 4", "2 3 5"]);
    expect(draft("parallel", 4)).toEqual(["2", "2 3", "2 3 4"]);
    expect(draft("parallel", 6)).toEqual(["2", "2 3", "2 3 4", "2 3 5"]);
  });
});

describe("the drafter", () => {
  test("no request drafts from another's prompt", async () => {
    const secret = [40, 41, 42, 43, 44, 45];
    const drafter = createDrafter();
    const owner = drafter.begin({ promptIds: secret, sampling: greedy });
    const other = drafter.begin({ promptIds: [1, 2, 3], sampling: greedy });
    const looks = async (): Promise<string[]> => pathsOf(await other.propose(context([3, 40, 41])));
    expect(pathsOf(await owner.propose(context([40, 41])))).toContain("42 43");
    expect(await looks()).toEqual([]);
    // Its output repeats the beginning of the prompt: that is shared, the rest of the prompt is not.
    owner.observe(emitted([40, 41]));
    expect(await looks()).toEqual([]);
    await owner.end();
    expect(await looks()).toEqual([]);
    expect(pathsOf(await owner.propose(context([40, 41])))).toEqual([]);
  });

  test("outputs are shared immediately, also across steps", async () => {
    const drafter = createDrafter();
    const first = drafter.begin({ promptIds: [1], sampling: greedy });
    const second = drafter.begin({ promptIds: [1], sampling: greedy });
    first.observe(emitted([20, 21]));
    first.observe(emitted([22]));
    expect(pathsOf(await second.propose(context([20])))).toEqual(["21", "21 22"]);
  });

  test("remembered answers serve later requests; separate texts form no common branch", async () => {
    const drafter = createDrafter();
    drafter.remember([5, 6, 7]);
    drafter.remember(Int32Array.of(8, 9));
    const sequence = drafter.begin({ promptIds: [1], sampling: greedy });
    expect(pathsOf(await sequence.propose(context([5])))).toEqual(["6", "6 7"]);
    expect(pathsOf(await sequence.propose(context([7])))).toEqual([]);
    drafter.reset();
    expect(pathsOf(await sequence.propose(context([5])))).toEqual([]);
  });

  test("rejections lower the acceptance probabilities of similar draft tokens", async () => {
    const drafter = createDrafter();
    drafter.remember([5, 6, 7]);
    const sequence = drafter.begin({ promptIds: [1], sampling: greedy });
    const before = (await sequence.propose(context([5]))).acceptanceProbabilities![0]!;
    for (let step = 0; step < 50; step++) {
      const tree = await sequence.propose(context([5]));
      const verdict = { tree, accepted: [], rejected: [0] };
      sequence.observe({ ...emitted([]), verdict });
    }
    expect((await sequence.propose(context([5]))).acceptanceProbabilities![0]!).toBeLessThan(
      before / 2,
    );
  });

  test("memory stays within the budget under a long stream of requests", () => {
    const drafter = createDrafter({ capacity: 2000, promptCapacity: 500 });
    const { bytes } = createDrafter({ capacity: 2000 }).outputs;
    for (let request = 0; request < 200; request++) {
      const promptIds = Array.from({ length: 80 }, (_, at) => (at * request) % vocabSize);
      const sequence = drafter.begin({ promptIds, sampling: greedy });
      for (let step = 0; step < 20; step++) {
        sequence.observe(emitted([(step * step * request) % vocabSize, step]));
      }
      sequence.end();
      expect(drafter.outputs.size).toBeLessThanOrEqual(2000);
    }
    expect(drafter.outputs.bytes).toBeLessThanOrEqual(4 * bytes);
  });

  test("the state of another tokenizer's drafter is rejected", () => {
    const saved = createDrafter().save();
    const loadInto = (drafter: Lookahead) => expect(() => drafter.load(saved));
    loadInto(createDrafter()).not.toThrow();
    loadInto(createDrafter({}, "b")).toThrowCode("drafter-state-other-model");
    loadInto(createDrafter({ branchLength: 8 })).toThrowCode("drafter-state-invalid");
  });

  test("invalid options are rejected with their names", () => {
    const wrong: [string, LookaheadOptions][] = [
      ["queryLength", { queryLength: 0 }],
      ["branchLength", { branchLength: 0 }],
      ["capacity", { capacity: 5 }],
      ["capacity", { promptCapacity: 5 }],
      ["branching", { branching: "none" as "single" }],
      ["order", { order: "none" as "chance" }],
      ["outputWeight", { outputWeight: 2 }],
      ["outputShare", { outputShare: Number.NaN }],
    ];
    for (const [name, options] of wrong) {
      expect(() => createDrafter(options)).toThrow(
        expect.objectContaining({
          code: "drafter-option-invalid",
          details: expect.objectContaining({ name }),
        }),
      );
    }
  });
});
