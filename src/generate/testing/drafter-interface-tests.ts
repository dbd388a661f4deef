/** Tests of the interface of a drafter: limits of proposals, concurrent requests, saved state. */
import { expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { complete, generate } from "../generate.ts";
import { resolveSampling } from "../sampling/options.ts";
import { checkTree } from "../speculative/check-tree.ts";
import type { DraftOutcome } from "../speculative/drafter.ts";
import type { GenerateOptions, GenerateResult } from "../types.ts";
import { conformanceGreedy, conformancePrompts, type DrafterUnderTest } from "./drafter-subject.ts";
import { expectConsistent } from "./expect-consistent.ts";

const prompts = conformancePrompts;
const greedy = conformanceGreedy;

/** Declares the tests of requests that run at once or end early. */
export function testConcurrentRequests(under: DrafterUnderTest): void {
  test("concurrent requests give the same texts as single ones", async () => {
    const requests = prompts.flatMap((prompt): [string, GenerateOptions][] => [
      [prompt, { ...greedy, maxTokens: 30 }],
      [prompt, { temperature: 0.8, seed: 4, maxTokens: 30, ignoreEos: true }],
    ]);
    const alone: GenerateResult[] = [];
    for (const [prompt, options] of requests)
      alone.push(await complete(under.model, prompt, options));
    const together = await Promise.all(
      requests.map(([prompt, options]) =>
        complete(under.model, prompt, { ...options, drafter: under.drafter }),
      ),
    );
    for (const [index, result] of together.entries()) {
      expectConsistent(result);
      const isSampled = under.samples && requests[index]![1].greedy !== true;
      if (!isSampled) expect(result.ids).toEqual(alone[index]!.ids);
    }
    expect(under.model.openSequences).toBe(0);
  });

  test("breaking off and aborting release the sequence", async () => {
    for await (const _token of generate(under.model, prompts[2]!, {
      ...greedy,
      drafter: under.drafter,
    }))
      break;
    expect(under.model.openSequences).toBe(0);
    const controller = new AbortController();
    const run = async (): Promise<void> => {
      let tokens = 0;
      const options = { ...greedy, drafter: under.drafter, signal: controller.signal };
      for await (const _token of generate(under.model, prompts[2]!, options)) {
        if (++tokens === 7) controller.abort(new Error("enough"));
      }
    };
    await expect(run()).rejects.toThrow("enough");
    expect(under.model.openSequences).toBe(0);
    const after = await complete(under.model, prompts[2]!, { ...greedy, drafter: under.drafter });
    expect(after.ids).toEqual((await complete(under.model, prompts[2]!, greedy)).ids);
  });
}

/** Declares the tests of proposals and of saved state. */
export function testProposalsAndState(under: DrafterUnderTest): void {
  test("proposals are trees within their limits on random texts", async () => {
    const fresh = await under.open(under.model);
    const random = createRandom(1, "conformance", under.name);
    const vocabSize = under.model.config.vocabSize;
    const sampling = { ...resolveSampling(under.model, { greedy: true, seed: 1 }) };
    for (let request = 0; request < 12; request++) {
      // A small alphabet makes contexts repeat.
      const alphabet = request % 2 === 0 ? 4 : vocabSize;
      const ids = [
        1,
        ...Array.from({ length: random.integer(30) }, () => random.integer(alphabet)),
      ];
      const sequence = fresh.begin({ promptIds: ids.slice(), sampling });
      for (let step = 0; step < 12; step++) {
        const maxNodes = 1 + random.integer(40);
        const maxDepth = 1 + random.integer(10);
        const minAcceptanceProbability = random.integer(2) * random.uniform();
        await sequence.propose({ ids, maxNodes: 40, maxDepth: 10, minAcceptanceProbability: 0 });
        const tree = await sequence.propose({
          ids,
          maxNodes,
          maxDepth,
          minAcceptanceProbability,
        });
        checkTree(tree, { vocabSize, maxNodes, maxDepth });
        for (const [node, value] of (tree.acceptanceProbabilities ?? []).entries()) {
          expect(value).toBeGreaterThanOrEqual(0);
          const parent = tree.parents[node]!;
          expect(value).toBeLessThanOrEqual(
            (parent < 0 ? 1 : tree.acceptanceProbabilities![parent]!) + 1e-6,
          );
        }
        const token = random.integer(alphabet);
        const root = ids.at(-1)!;
        ids.push(token);
        sequence.observe(
          autoregressiveOutcome(ids, root, token, Math.max(1, fresh.candidates), random),
        );
      }
      await sequence.end();
    }
    await fresh.close();
  });

  test("saved state is restored; damaged bytes are rejected and change nothing", async () => {
    const { model, drafter } = under;
    if (!drafter.save || !drafter.load) return;
    for (const prompt of prompts) await complete(model, prompt, { ...greedy, drafter });
    const state = drafter.save();
    const fresh = await under.open(model);
    fresh.load!(state);
    expect(fresh.save!()).toEqual(state);
    for (const damaged of [
      state.slice(0, Math.floor(state.length / 2)),
      state.slice(0, 7),
      new Uint8Array(0),
      new Uint8Array(64).fill(0xff),
    ]) {
      expect(() => fresh.load!(damaged)).toThrowCode(expect.stringMatching(/^drafter-state-/));
      expect(fresh.save!()).toEqual(state);
    }
    const [a, b] = [
      await complete(model, prompts[1]!, { ...greedy, drafter }),
      await complete(model, prompts[1]!, { ...greedy, drafter: fresh }),
    ];
    expect(b.ids).toEqual(a.ids);
    fresh.reset?.();
    if (fresh.reset) expect(fresh.save!()).not.toEqual(state);
    await fresh.close();
  });
}

/** An autoregressive step's outcome with invented candidates. */
function autoregressiveOutcome(
  ids: readonly number[],
  root: number,
  token: number,
  candidates: number,
  random: ReturnType<typeof createRandom>,
): DraftOutcome {
  const first = random.integer(400);
  return {
    emitted: [token],
    ids,
    seconds: 0.001,
    rows: {
      ids: Int32Array.of(root),
      candidates,
      topIds: Int32Array.from({ length: candidates }, (_, rank) => first + rank),
      topLogits: Float32Array.from({ length: candidates }, (_, rank) => -rank),
      logSumExp: Float32Array.of(2),
    },
  };
}
