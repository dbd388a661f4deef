/** The conformance suite of context policies. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { complete } from "../../generate/index.ts";
import { type ContextPolicy, type LoadedModel, loadModel } from "../../model/index.ts";
import { createRandomCheckpoint } from "../../testing/random-checkpoint.ts";
import { bundledModel } from "../../testing/test-data.ts";
import { fullAttention } from "../policies/index.ts";
import { attendedPlaces, largestDifference, type OracleRun, runOracle } from "./policy-oracle.ts";

/** A policy under test. */
export interface PolicySubject {
  readonly name: string;
  /** With budgets below 60 tokens. */
  readonly small: ContextPolicy;
  /** With budgets of at least 200 tokens; of policies that choose nothing, absent. */
  readonly large?: ContextPolicy;
  /** Tokens that the last one of a long text attends to under `small`, of each head. */
  readonly budget?: number;
  /** True: a token may leave itself out. Default false. */
  readonly missesItself?: boolean;
  /** Keys of the model's `config.json`, of a vocabulary of 512. Default: those of a plain Llama. */
  readonly config?: Readonly<Record<string, number>>;
  /** What `large` equals. Default: attention to all tokens. */
  readonly whole?: ContextPolicy;
}

const ids = Array.from({ length: 120 }, (_, at) => 5 + ((at * at * 7 + 11 * at) % 480));
const promptLength = 90;

/** A small random model whose heads share keys, opened before the tests of a suite and closed after them. */
class Subject {
  #folder = "";
  readonly #config: Readonly<Record<string, number>>;
  model!: LoadedModel;

  constructor({ config = {} }: PolicySubject) {
    this.#config = config;
  }

  async open(): Promise<void> {
    this.#folder = mkdtempSync(join(tmpdir(), "jeton-policy-"));
    const tokenizer = join(bundledModel, "tokenizer.json");
    createRandomCheckpoint(this.#folder, { family: "llama", seed: 3, layers: 2, tokenizer });
    const path = join(this.#folder, "config.json");
    const config = JSON.parse(readFileSync(path, "utf8")) as object;
    writeFileSync(path, JSON.stringify({ ...config, ...this.#config }));
    const quiet = { onWarning: () => undefined };
    const how = { inline: true, threads: 1, format: "f32" } as const;
    this.model = await loadModel(this.#folder, { ...how, ...quiet });
  }

  async close(): Promise<void> {
    await this.model.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  read(policy: ContextPolicy, steps: number, attended = false): Promise<OracleRun> {
    return runOracle(this.model, policy, ids.slice(0, promptLength), { steps, attended });
  }

  /** Logits after the last of `given`, of which those behind the prompt come in given steps. */
  async decode(
    policy: ContextPolicy,
    parts: readonly (readonly number[])[],
    isDraft = false,
  ): Promise<Float32Array> {
    const sequence = await this.model.withContextPolicy!(policy).openSequence({ promptLength });
    try {
      await sequence.step({ ids: ids.slice(0, promptLength), results: "none" });
      let logits: Float32Array = new Float32Array();
      for (const part of parts) {
        const step = { ids: part, logits: true, ...(isDraft && { commit: false }) };
        logits = (await sequence.step(step)).logits!;
      }
      return logits;
    } finally {
      await sequence.release();
    }
  }
}

const rest = ids.slice(promptLength);
const oneByOne = (tokens: readonly number[]): number[][] => tokens.map((id) => [id]);

/** Runs the suite on a small random model. */
export function describePolicy(policy: PolicySubject): void {
  describe(`context policy ${policy.name}`, () => {
    const subject = new Subject(policy);
    beforeAll(() => subject.open());
    afterAll(() => subject.close());
    describeChoices(subject, policy);
    describeDecoding(subject, policy.small);
    describeReuse(subject, policy.small);
  });
}

function describeChoices(
  subject: Subject,
  { small, large, budget, missesItself = false, whole: all = fullAttention() }: PolicySubject,
): void {
  test.runIf(large)("equals full attention where everything fits", async () => {
    const whole = await subject.read(all, 8);
    const own = await subject.read(large!, 8);
    expect(own.greedyIds).toEqual(whole.greedyIds);
    expect(largestDifference(own.logitsAfterPrompt, whole.logitsAfterPrompt)).toBeLessThan(1e-5);
    expect(largestDifference(own.logitsAfterSteps, whole.logitsAfterSteps)).toBeLessThan(1e-5);
  });

  test.runIf(small.showsAttended)("chooses each token once, none of the future", async () => {
    const run = await subject.read(small, 6, true);
    const { numAttentionHeads: heads, layers } = subject.model.config;
    for (const step of run.steps.slice(1)) {
      for (let at = 0; at < layers.length * heads; at++) {
        const layer = Math.floor(at / heads);
        const own = { layer, head: at % heads, heads, layers: layers.length };
        const places = attendedPlaces(step, own);
        expect(places[0]).toBeGreaterThanOrEqual(0);
        if (missesItself) expect(places.at(-1)).toBeLessThan(step.tokens);
        else expect(places.at(-1)).toBe(step.tokens - 1);
        if (budget) expect(places.length).toBe(budget);
      }
    }
  });
}

function describeDecoding(subject: Subject, small: ContextPolicy): void {
  test("decoded tokens in one step equal tokens one by one", async () => {
    const one = await subject.decode(small, oneByOne(rest));
    if (small.drafting.kind === "excluded") {
      await expect(subject.decode(small, [rest], true)).rejects.toMatchObject({
        code: "context-policy-drafts",
      });
    }
    expect(largestDifference(await subject.decode(small, [rest]), one)).toBeLessThan(1e-5);
  });

  test.runIf(small.drafting.kind === "lossless")(
    "accepted rows of a draft equal decoded ones, rejected rows leave nothing",
    async () => {
      const plain = await subject.decode(small, oneByOne(rest.slice(0, 6)));
      const sequence = await subject.model.withContextPolicy!(small).openSequence({ promptLength });
      await sequence.step({ ids: ids.slice(0, promptLength), results: "none" });
      const drafted = [...rest.slice(0, 3), 9, 9, 9];
      await sequence.step({ ids: drafted, commit: false, results: "all" });
      await sequence.accept([0, 1, 2]);
      const { logits } = await sequence.step({ ids: rest.slice(3, 6), logits: true });
      await sequence.release();
      expect(largestDifference(logits!, plain)).toBeLessThan(1e-5);
    },
  );
}

function describeReuse(subject: Subject, small: ContextPolicy): void {
  test("a prompt that was read before gives what a fresh one gives", async () => {
    const { model } = subject;
    const how = { greedy: true, maxTokens: 8, ignoreEos: true, contextPolicy: small } as const;
    const prompt = ids.slice(0, promptLength);
    const fresh = await complete(model, prompt, how);
    const reused = await complete(model, prompt, how);
    const longer = await complete(model, ids, how);
    expect(reused.ids).toEqual(fresh.ids);
    if (small.reuse === "none") expect(reused.reusedTokens).toBe(0);
    else expect(reused.reusedTokens).toBeGreaterThan(0);
    // After another prompt nothing of the first is left.
    await complete(model, [7, 8, 9], how);
    const again = await complete(model, ids, { ...how, prefillChunk: 960 });
    expect(again.ids).toEqual(longer.ids);
  });
}
