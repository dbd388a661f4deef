/** Policies on models of several kinds: drafts, layers with windows, experts, rows that are only looked at. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { complete, openDrafter, openModelRows } from "../generate/index.ts";
import { type LoadedModel, type LoadModelOptions, loadModel } from "../model/index.ts";
import { createRandomCheckpoint } from "../testing/random-checkpoint.ts";
import { rotate } from "../testing/reference-arithmetic.ts";
import { startReference } from "../testing/reference-decoder.ts";
import { describeReference } from "../testing/reference-families.ts";
import { referenceRope } from "../testing/reference-rope.ts";
import { bundledModel } from "../testing/test-data.ts";
import { parseContextPolicy } from "./policies/index.ts";
import { attendedPlaces, largestDifference, runOracle } from "./testing/policy-oracle.ts";

const root = mkdtempSync(join(tmpdir(), "jeton-composition-"));
const tokenizer = join(bundledModel, "tokenizer.json");
const opened: LoadedModel[] = [];
afterEach(async () => {
  for (const model of opened.splice(0)) await model.close();
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function openTiny(
  family: string,
  options: Partial<LoadModelOptions> = {},
): Promise<LoadedModel> {
  const folder = join(root, family);
  createRandomCheckpoint(folder, { family, seed: 3, layers: 3, tokenizer });
  const how = { inline: true, threads: 1, format: "f32", onWarning: () => undefined } as const;
  const model = await loadModel(folder, { ...how, ...options });
  opened.push(model);
  return model;
}

const ids = Array.from({ length: 90 }, (_, at) => 5 + ((at * at * 7 + 11 * at) % 480));

describe.each(["f32", "int8", "int8-channel", "int4"] as const)("gemfilter, %s", (format) => {
  // A dense model; one whose experts are branches of the graph; one with dense layers between sparse ones.
  test.each(["llama", "mixtral", "qwen3-moe"])(
    "a row is the same beside others: %s",
    async (family) => {
      const model = await openTiny(family, { format });
      for (const layer of [0, 2]) {
        const view = model.withContextPolicy!(parseContextPolicy(`gemfilter:layer=${layer},k=50`));
        const read = async (size: number): Promise<number[]> => {
          const sequence = await view.openSequence({ promptLength: 30 });
          await sequence.step({ ids: ids.slice(0, 30), results: "none" });
          const logits: number[] = [];
          for (let at = 30; at < 38; at += size) {
            const step = { ids: ids.slice(at, at + size), logits: true, results: "all" } as const;
            logits.push(...(await sequence.step(step)).logits!);
          }
          await sequence.release();
          return logits;
        };
        expect(await read(8)).toEqual(await read(1));
      }
    },
  );
});

test("a sparse model answers from the tokens that gemfilter chooses as from a prompt of them alone", async () => {
  const model = await openTiny("mixtral");
  const contextPolicy = parseContextPolicy("gemfilter:layer=1,k=20");
  const how = { greedy: true, ignoreEos: true, maxTokens: 8 } as const;
  const filtered = await complete(model, ids, { ...how, contextPolicy });
  const alone = filtered.context!.chosen!.map((at) => ids[at]!);
  expect(alone).toHaveLength(20);
  expect(filtered.ids).toEqual((await complete(model, alone, how)).ids);
});

test("models that are not exact draft chains under policies, without an error in the middle of a text", async () => {
  const model = await openTiny("llama", { exact: false });
  const drafter = await openDrafter("token-recycling", model);
  const contextPolicy = parseContextPolicy("longheads:chunk=4,length=16");
  const how = { contextPolicy, greedy: true, ignoreEos: true, maxTokens: 24 } as const;
  const prompt = Array.from({ length: 60 }, (_, at) => ids[at % 3]!);
  // The table learns trees of several branches from the first text.
  await complete(model, prompt, { ...how, drafter });
  const { drafting } = await complete(model, prompt, { ...how, drafter });
  expect(drafting!.drafted).toBeGreaterThan(0);
  await drafter.close();
});

test("the numbers of token-select's cache are those of layers that choose, zeros in layers with windows", async () => {
  const model = await openTiny("mistral-layer-types");
  const contextPolicy = parseContextPolicy("token-select:init=2,local=16,k=8,cache=0.1");
  const sequence = await model.withContextPolicy!(contextPolicy).openSequence({
    promptLength: ids.length,
  });
  await sequence.step({ ids, results: "none" });
  await sequence.step({ ids: [7] });
  const { policyReport } = await sequence.step({ ids: [8], attended: true });
  await sequence.release();
  const windows = model.config.layers.map(({ slidingWindow }) => slidingWindow !== undefined);
  expect(windows).toEqual([true, false, true]);
  expect([policyReport!.length, ...policyReport!.subarray(0, 2)]).toEqual([6, 0, 0]);
  expect(policyReport![2]).toBeGreaterThan(0);
  expect([...policyReport!.subarray(4)]).toEqual([0, 0]);
});

describe("rows of token trees", () => {
  test.each([
    "sinks-window:sinks=2,window=8",
    "token-select:init=1,local=30,k=4",
    "block-selection:init=1,local=30,block=3,blocks=2",
    "longheads:chunk=4,length=12",
  ])("depend on neither what follows nor what was read before: %s", async (text) => {
    const model = await openTiny("llama");
    const view = model.withContextPolicy!(parseContextPolicy(text));
    const base = ids.slice(0, 70);
    const rowsOf = async (prefix?: readonly number[]) =>
      openModelRows(view, prefix ? { prefix } : {});
    const alone = await rowsOf();
    const [expected] = await alone.evaluate({ base, ids: [], parents: [] });
    await alone.close();
    for (const prefix of [undefined, ids, base]) {
      const rows = await rowsOf(prefix);
      const [followed] = await rows.evaluate({ base, ids: [7, 8, 9], parents: [-1, 0, 1] });
      await rows.evaluate({ base: ids, ids: [], parents: [] });
      const [again] = await rows.evaluate({ base, ids: [], parents: [] });
      await rows.close();
      expect(followed!.logits).toEqual(expected!.logits);
      expect(again!.logits).toEqual(expected!.logits);
    }
  });
});

describe("uncommitted rows under policies that keep states", () => {
  const states = [
    "h2o:k=12,recent=4",
    "snapkv:k=12,window=4",
    "token-select:init=2,local=8,k=4,cache=0.3",
  ];

  test.each(states)("a single one counts once it is accepted, and not before: %s", async (text) => {
    const model = await openTiny("llama");
    const view = model.withContextPolicy!(parseContextPolicy(text));
    const read = async (isHeld: boolean): Promise<Float32Array> => {
      const sequence = await view.openSequence({ promptLength: 60 });
      await sequence.step({ ids: ids.slice(0, 60), results: "none" });
      for (const id of ids.slice(60, 80)) {
        if (!isHeld) {
          await sequence.step({ ids: [id] });
          continue;
        }
        // One that is looked at and given up.
        await sequence.step({ ids: [(3 * id) % 480], commit: false });
        await sequence.step({ ids: [id], commit: false });
        await sequence.accept([0]);
      }
      const { logits } = await sequence.step({ ids: [9], logits: true });
      await sequence.release();
      return logits!;
    };
    expect(largestDifference(await read(true), await read(false))).toBe(0);
  });

  test("several of a prompt are refused where it is summed up", async () => {
    const model = await openTiny("llama");
    const view = model.withContextPolicy!(parseContextPolicy(states[1]!));
    const sequence = await view.openSequence({ promptLength: 60 });
    await expect(sequence.step({ ids: ids.slice(0, 20), commit: false })).rejects.toMatchObject({
      code: "context-policy-drafts",
    });
    await sequence.release();
  });
});

test("keys are kept by attention of which a head's sink took its share", async () => {
  const folder = join(root, "sinks");
  const { config, tensors } = createRandomCheckpoint(folder, {
    ...{ family: "gpt-oss", seed: 5, layers: 2, tokenizer },
  });
  const how = { inline: true, threads: 1, format: "f32", onWarning: () => undefined } as const;
  const model = await loadModel(folder, how);
  opened.push(model);
  // The second layer has no window.
  expect(model.config.layers.map(({ slidingWindow }) => slidingWindow)).toEqual([10, undefined]);
  const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim } = model.config;
  const reference = startReference(config, tensors);
  reference.append(ids);
  const { queries, keys } = reference.trace.layers[1]!;
  const rope = referenceRope(describeReference(config).layers[1]!.rope!, ids.length);
  const turned = (rows: readonly Float64Array[]): Float64Array[] =>
    rows.map((row, position) => {
      const copy = row.slice();
      rotate(copy, headDim, rope, position);
      return copy;
    });
  const [turnedQueries, turnedKeys] = [turned(queries), turned(keys)];
  const sinks = tensors.get("model.layers.1.self_attn.sinks")!.data;
  const policy = parseContextPolicy("h2o:k=24,recent=4,evict=afterPrompt");
  const run = await runOracle(model, policy, ids, { steps: 1, attended: true });
  let changed = 0;
  for (let head = 0; head < heads; head++) {
    const start = Math.floor(head / (heads / kvHeads)) * headDim;
    const best = (withSink: boolean): number[] => {
      const mass = new Float64Array(ids.length);
      for (const [at, query] of turnedQueries.entries()) {
        const scores = turnedKeys.slice(0, at + 1).map((key) => {
          let sum = 0;
          for (let i = 0; i < headDim; i++) sum += query[head * headDim + i]! * key[start + i]!;
          return sum * model.config.attentionScale;
        });
        const exponentials = scores.map(Math.exp);
        let total = exponentials.reduce((a, b) => a + b, 0);
        if (withSink) total += Math.exp(sinks[head]!);
        for (const [key, value] of exponentials.entries()) mass[key]! += value / total;
      }
      const older = Array.from({ length: ids.length - 4 }, (_, at) => at);
      const chosen = older.sort((a, b) => mass[b]! - mass[a]!).slice(0, 20);
      return chosen.sort((a, b) => a - b);
    };
    const places = attendedPlaces(run.steps.at(-1)!, { layer: 1, head, heads, layers: 2 });
    expect(places.filter((at) => at < ids.length - 4)).toEqual(best(true));
    if (String(best(true)) !== String(best(false))) changed++;
  }
  // Without the sinks' share other keys would be kept.
  expect(changed).toBeGreaterThan(0);
});
