/**
 * What every drafter must keep to, as tests: the text does not change, whatever was learned, however
 * a request ends and whatever runs beside it.
 *
 * Runs on tinystories-260k of `JETON_DATA`, and is skipped with a printed reason without it.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandom, JetonError } from "../../core/index.ts";
import { type LoadedModel, loadModel } from "../../model/index.ts";
import { complete, generate } from "../generate.ts";
import { resolveSampling } from "../sampling/options.ts";
import type { Drafter, DraftOutcome } from "../speculative/drafter.ts";
import { checkTree } from "../speculative/verify.ts";
import type { GenerateOptions, GenerateResult } from "../types.ts";

const data = process.env["JETON_DATA"];
const folder = data ? join(data, "models/tinystories-260k") : "";

/** A drafter under test. */
export interface DrafterSubject {
  readonly name: string;
  /** A fresh drafter for the model. */
  open(model: LoadedModel): Drafter | Promise<Drafter>;
  /** True where trees are drawn when the request samples: the text is equal in law only. */
  readonly samples?: boolean;
}

const prompts = [
  "Once upon a time",
  "Lily had a red ball. Tom had a red ball. Sue had a red ball. Ben had a red",
  "The cat sat. The cat sat. The cat",
  "",
];

/** Declares the tests of one drafter. */
export function describeDrafter(subject: DrafterSubject): void {
  const available = existsSync(folder);
  if (!available) {
    console.log(`${subject.name}: skipped, JETON_DATA does not hold models/tinystories-260k`);
  }
  describe.skipIf(!available)(`drafter ${subject.name}`, () => {
    let model: LoadedModel;
    let drafter: Drafter;
    beforeAll(async () => {
      model = await loadModel(folder, { format: "f32", threads: 1, slots: 8 });
      drafter = await subject.open(model);
    });
    afterAll(async () => {
      await drafter.close();
      await drafter.close();
      await model.close();
    });

    const greedy: GenerateOptions = { greedy: true, maxTokens: 60, ignoreEos: true };

    test("greedy text is that of plain decoding, cold and warm, for every size of trees", async () => {
      for (const prompt of prompts) {
        const autoregressive = await complete(model, prompt, greedy);
        for (const maxDraft of [1, 2, 7, 40, 40]) {
          const drafted = await complete(model, prompt, { ...greedy, drafter, maxDraft });
          expect(drafted.ids).toEqual(autoregressive.ids);
          expect(drafted.text).toBe(autoregressive.text);
          expectConsistent(drafted);
        }
      }
    });

    const samplings: GenerateOptions[] = [
      { temperature: 0.8 },
      { temperature: 1.2, topP: 0.9 },
      { temperature: 0.7, topK: 12 },
      { temperature: 1, topK: 30, topP: 0.8, minP: 0.05 },
      { temperature: 0.9, minP: 0.1, repetitionPenalty: 1.3 },
      { greedy: true, repetitionPenalty: 1.3 },
    ];
    test.each(samplings)("sampled text under %o", async (sampling) => {
      const options = { ...sampling, maxTokens: 40, ignoreEos: true, seed: 11 };
      for (const prompt of prompts.slice(0, 2)) {
        const autoregressive = await complete(model, prompt, options);
        const drafted = await complete(model, prompt, { ...options, drafter });
        expectConsistent(drafted);
        expect(drafted.ids).toHaveLength(40);
        // Equal in law only: the law is the subject of the statistical tests.
        if (subject.samples && sampling.greedy !== true) continue;
        expect(drafted.ids).toEqual(autoregressive.ids);
      }
    });

    test("the same request on a fresh drafter drafts and samples the same", async () => {
      const options = { temperature: 0.9, maxTokens: 40, ignoreEos: true, seed: 3 };
      const results: GenerateResult[] = [];
      for (let run = 0; run < 2; run++) {
        const fresh = await subject.open(model);
        results.push(await complete(model, prompts[1]!, { ...options, drafter: fresh }));
        await fresh.close();
      }
      expect(results[1]!.ids).toEqual(results[0]!.ids);
    });

    test("every limit of length is kept to the token", async () => {
      const autoregressive = await complete(model, prompts[1]!, greedy);
      for (let maxTokens = 0; maxTokens <= 9; maxTokens++) {
        const drafted = await complete(model, prompts[1]!, { ...greedy, maxTokens, drafter });
        expect(drafted.ids).toEqual(autoregressive.ids.slice(0, maxTokens));
        expect(drafted.finishReason).toBe("length");
      }
    });

    test("the last tokens of the context are reached", async () => {
      const short = await loadModel(folder, { threads: 1, contextLength: 40, inline: true });
      const own = await subject.open(short);
      const [autoregressive, drafted] = [
        await complete(short, prompts[1]!, { ...greedy, maxTokens: undefined! }),
        await complete(short, prompts[1]!, { ...greedy, maxTokens: undefined!, drafter: own }),
      ];
      expect(drafted.ids).toEqual(autoregressive.ids);
      expect(drafted.promptTokens + drafted.ids.length).toBe(40);
      await own.close();
      await short.close();
    });

    test("a token that ends the text ends it wherever it is guessed", async () => {
      const autoregressive = await complete(model, prompts[1]!, greedy);
      for (const at of [0, 1, 2, 5, 9, 20]) {
        const options = { ...greedy, stopIds: [autoregressive.ids[at]!] };
        const drafted = await complete(model, prompts[1]!, { ...options, drafter });
        expect(drafted.ids).toEqual(
          autoregressive.ids.slice(0, autoregressive.ids.indexOf(autoregressive.ids[at]!)),
        );
        expect(drafted.finishReason).toBe("stop");
        expectConsistent(drafted);
      }
    });

    test("a stop string ends the text before it", async () => {
      const autoregressive = await complete(model, prompts[1]!, greedy);
      for (const at of [0, 3, 8, 21, 40]) {
        const stop = [autoregressive.text.slice(at, at + 4)];
        const cut = await complete(model, prompts[1]!, { ...greedy, stop });
        const drafted = await complete(model, prompts[1]!, { ...greedy, stop, drafter });
        expect(drafted.text).toBe(cut.text);
        expect(drafted.ids).toEqual(cut.ids);
        expect(drafted.tokens.map((token) => token.text).join("") + drafted.tail).toBe(cut.text);
      }
    });

    test("int4: not a bit of the text's log-probabilities changes", async () => {
      const exact = await loadModel(folder, {
        format: "int4",
        threads: 1,
        inline: true,
      });
      const own = await subject.open(exact);
      for (const sampling of [{ greedy: true }, { temperature: 0.9, seed: 8 }]) {
        if (subject.samples && !sampling.greedy) continue;
        const options = { ...sampling, maxTokens: 50, ignoreEos: true };
        const autoregressive = await complete(exact, prompts[1]!, options);
        const drafted = await complete(exact, prompts[1]!, { ...options, drafter: own });
        expect(drafted.ids).toEqual(autoregressive.ids);
        expect(drafted.tokens.map((token) => token.logProbability)).toEqual(
          autoregressive.tokens.map((token) => token.logProbability),
        );
      }
      await own.close();
      await exact.close();
    });

    test("log-probabilities are those of plain decoding", async () => {
      const options = { ...greedy, topLogProbabilities: 4 };
      const autoregressive = await complete(model, prompts[2]!, options);
      const drafted = await complete(model, prompts[2]!, { ...options, drafter });
      for (const [index, token] of drafted.tokens.entries()) {
        const expected = autoregressive.tokens[index]!;
        expect(token.logProbability).toBeCloseTo(expected.logProbability, 4);
        expect(token.topLogProbabilities).toHaveLength(4);
        for (const [rank, top] of token.topLogProbabilities!.entries()) {
          expect(top.logProbability).toBeCloseTo(
            expected.topLogProbabilities![rank]!.logProbability,
            4,
          );
        }
      }
    });

    test("requests at once give what each gives alone", async () => {
      const requests = prompts.flatMap((prompt): [string, GenerateOptions][] => [
        [prompt, { ...greedy, maxTokens: 30 }],
        [prompt, { temperature: 0.8, seed: 4, maxTokens: 30, ignoreEos: true }],
      ]);
      const alone: GenerateResult[] = [];
      for (const [prompt, options] of requests) alone.push(await complete(model, prompt, options));
      const together = await Promise.all(
        requests.map(([prompt, options]) => complete(model, prompt, { ...options, drafter })),
      );
      for (const [index, result] of together.entries()) {
        expectConsistent(result);
        const drawn = subject.samples && requests[index]![1].greedy !== true;
        if (!drawn) expect(result.ids).toEqual(alone[index]!.ids);
      }
      expect(model.openSequences).toBe(0);
    });

    test("leaving early and aborting leave nothing behind", async () => {
      for await (const _token of generate(model, prompts[2]!, { ...greedy, drafter })) break;
      expect(model.openSequences).toBe(0);
      const controller = new AbortController();
      const run = async (): Promise<void> => {
        let tokens = 0;
        const options = { ...greedy, drafter, signal: controller.signal };
        for await (const _token of generate(model, prompts[2]!, options)) {
          if (++tokens === 7) controller.abort(new Error("enough"));
        }
      };
      await expect(run()).rejects.toThrow("enough");
      expect(model.openSequences).toBe(0);
      const after = await complete(model, prompts[2]!, { ...greedy, drafter });
      expect(after.ids).toEqual((await complete(model, prompts[2]!, greedy)).ids);
    });

    test("proposals are trees within their limits, whatever the text", async () => {
      const fresh = await subject.open(model);
      const random = createRandom(1, "conformance", subject.name);
      const vocabSize = model.config.vocabSize;
      const sampling = { ...resolveSampling(model, { greedy: true, seed: 1 }) };
      for (let request = 0; request < 12; request++) {
        // A small alphabet makes every context return.
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

    test("what was learned comes back from its bytes; damaged bytes change nothing", async () => {
      if (!drafter.save || !drafter.load) return;
      for (const prompt of prompts) await complete(model, prompt, { ...greedy, drafter });
      const state = drafter.save();
      const fresh = await subject.open(model);
      fresh.load!(state);
      expect(fresh.save!()).toEqual(state);
      for (const damaged of [
        state.slice(0, Math.floor(state.length / 2)),
        state.slice(0, 7),
        new Uint8Array(0),
        new Uint8Array(64).fill(0xff),
      ]) {
        const error = catchError(() => fresh.load!(damaged));
        expect(JetonError.isInstance(error)).toBe(true);
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
  });
}

/** Counts and origins of a result agree with each other. */
export function expectConsistent(
  result: GenerateResult & { readonly tokens?: readonly { readonly origin: unknown }[] },
): void {
  const { drafting } = result;
  if (!drafting) throw new Error("a drafted generation must report its statistics");
  expect(drafting.tokens).toBeGreaterThanOrEqual(drafting.forwardPasses);
  expect(drafting.accepted).toBeLessThanOrEqual(drafting.drafted);
  // Each forward decides one token of the model's own, but for an accepted end of the text.
  expect(drafting.tokens - drafting.forwardPasses - drafting.accepted).toBeLessThanOrEqual(0);
  expect(drafting.tokens - drafting.forwardPasses - drafting.accepted).toBeGreaterThanOrEqual(-1);
  expect(drafting.meanAcceptanceLength).toBeCloseTo(
    drafting.forwardPasses === 0 ? 0 : drafting.tokens / drafting.forwardPasses,
    10,
  );
  const sums = { forwardPasses: 0, drafted: 0, accepted: 0 };
  for (const share of drafting.byDrafter) {
    sums.forwardPasses += share.forwardPasses;
    sums.drafted += share.drafted;
    sums.accepted += share.accepted;
  }
  const { forwardPasses, drafted, accepted } = drafting;
  expect(sums).toEqual({ forwardPasses, drafted, accepted });
  expect(drafting.byDepth.reduce((sum, entry) => sum + entry.accepted, 0)).toBe(accepted);
  let before = Infinity;
  for (const [index, entry] of drafting.byDepth.entries()) {
    expect(entry.depth).toBe(index + 1);
    expect(entry.accepted).toBeLessThanOrEqual(entry.tried);
    expect(entry.tried).toBeLessThanOrEqual(before);
    before = entry.accepted;
  }
}

/** A plain step's outcome with invented candidates. */
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

function catchError(run: () => void): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}
