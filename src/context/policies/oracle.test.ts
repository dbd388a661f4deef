import { afterAll, describe, expect, test } from "vitest";
import { type LoadedModel, loadModel } from "../../model/index.ts";
import {
  attendedPlaces,
  hasPolicyOracle,
  largestDifference,
  type OracleCase,
  type OracleRun,
  oracleCases,
  oracleModel,
  oracleOptions,
  runOracle,
} from "../testing/policy-oracle.ts";
import { createContextPolicy } from "./named-policies.ts";

const opened = new Map<string, LoadedModel>();
afterAll(async () => {
  for (const model of opened.values()) await model.close();
});

async function modelOf(case_: OracleCase): Promise<LoadedModel> {
  const folder = oracleModel(case_);
  const known = opened.get(folder);
  if (known) return known;
  const model = await loadModel(folder, { format: "f32", inline: true, threads: 1 });
  opened.set(folder, model);
  return model;
}

/** What policies choose or keep, as the oracle lists it. */
function expectChoices(run: OracleRun, case_: OracleCase, model: LoadedModel): void {
  const { numAttentionHeads: heads, layers: all } = model.config;
  const layers = all.length;
  const places = (tokens: number, layer: number, head = 0): number[] => {
    const step = run.steps.find((found) => found.tokens === tokens)!;
    return attendedPlaces(step, { layer, head, heads, layers });
  };
  const { selections = [], choices = [], kept, keptAtTheEnd } = case_.expected;
  const { init = 0, local = 0, block = 0, chunk = 0 } = case_.settings as Record<string, number>;
  for (const { layer, tokens, selected, blocks } of selections) {
    const found = places(tokens, layer);
    const between = found.filter((at) => at >= init && at < tokens - local);
    if (selected) expect(between, `layer ${layer} of ${tokens}`).toEqual(selected);
    if (blocks) {
      const whole = Math.floor((tokens - local - init) / block) * block + init;
      const ids = between.filter((at) => at < whole).map((at) => Math.floor((at - init) / block));
      expect([...new Set(ids)], `layer ${layer} of ${tokens}`).toEqual(blocks);
      expect(between.length).toBe(blocks.length * block + (tokens - local - whole));
    }
    expect(found.filter((at) => at < init)).toHaveLength(init);
    expect(found.filter((at) => at >= tokens - local)).toHaveLength(local);
  }
  for (const { layer, query, chunks } of choices) {
    for (const [head, expected] of chunks.entries()) {
      const found = places(query + 1, layer, head).map((at) => Math.floor(at / chunk));
      expect([...new Set(found)], `layer ${layer}, query ${query}, head ${head}`).toEqual(expected);
    }
  }
  const { length } = case_.promptIds;
  if (case_.policy === "sinks-window") return;
  const states = [
    [kept, length + 1],
    [keptAtTheEnd, length + case_.steps + 1],
  ] as const;
  for (const [list, tokens] of states) {
    for (const [layer, { kept: byHead }] of (list ?? []).entries()) {
      for (const [head, expected] of byHead.entries()) {
        expect(places(tokens, layer, head).slice(0, -1)).toEqual(expected);
      }
    }
  }
}

const policies = ["sinks-window", "block-selection", "token-select", "longheads", "snapkv", "h2o"];

describe.skipIf(!hasPolicyOracle)("policies equal an independent float64 program", () => {
  for (const name of policies) {
    test.each(oracleCases(name).map((case_) => [case_.name, case_] as const))(
      `${name}: %s`,
      async (_name, case_) => {
        const model = await modelOf(case_);
        const { expected, steps } = case_;
        const policy = createContextPolicy(name, oracleOptions(case_));
        const run = await runOracle(model, policy, case_.promptIds, {
          steps,
          attended: true,
          isContinued: expected.keptAtTheEnd !== undefined,
          ...(case_.chunk !== undefined && { chunk: case_.chunk }),
          cuts: [...new Set((expected.choices ?? []).map(({ query }) => query + 1))].sort(
            (a, b) => a - b,
          ),
        });
        expectChoices(run, case_, model);
        expect(run.greedyIds).toEqual(expected.greedyIds);
        expect(largestDifference(run.logitsAfterPrompt, expected.logitsAfterPrompt)).toBeLessThan(
          1e-3,
        );
        expect(largestDifference(run.logitsAfterSteps, expected.logitsAfterSteps)).toBeLessThan(
          1e-3,
        );
        expectHits(run, case_, model);
      },
    );
  }
});

/** The selection cache: hits and cosines of each layer. */
function expectHits(run: OracleRun, { expected, steps }: OracleCase, model: LoadedModel): void {
  if (!expected.hits) return;
  const decoded = run.steps.filter(({ isPrompt }) => !isPrompt).slice(0, steps);
  for (const [layer, hits] of expected.hits.entries()) {
    const width = decoded[0]!.result.policyReport!.length / model.config.layers.length;
    const rows = decoded.map(({ result }) =>
      result.policyReport!.subarray(layer * width, (layer + 1) * width),
    );
    const selecting = rows.filter(([kind]) => kind! > 0);
    expect(selecting.map(([kind]) => (kind === 2 ? "h" : "m")).join("")).toBe(hits);
    for (const [at, cosine] of expected.cosines![layer]!.entries()) {
      expect(selecting[at]![1]).toBeCloseTo(cosine ?? 0, 4);
    }
  }
}
