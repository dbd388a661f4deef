import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeOf } from "../../testing/code-of.ts";
import { testData } from "../../testing/test-data.ts";
import "../../testing/code-matchers.ts";
import { compareRuns } from "./compare-runs.ts";
import { type Evaluation, evaluateRun, type MeanEvaluation } from "./evaluate-run.ts";
import { findMeasure, type MeasureName } from "./measures.ts";
import { formatRun, parseJudgments, parseRun, type Run } from "./trec-files.ts";

const cuts = [1, 3, 5, 10];
const measures = [
  ...cuts.flatMap((k) => [`ndcg@${k}`, `recall@${k}`, `precision@${k}`, `success@${k}`]),
  ...["ndcg", "mrr@10", "map"],
] as MeasureName[];

describe("measures by hand", () => {
  const evaluate = (judgments: string, run: string, level?: number) =>
    evaluateRun(parseJudgments(judgments), parseRun(run), {
      measures,
      ...(level !== undefined && { level }),
    });

  test("one hit at rank 2", () => {
    const { queries } = evaluate("q 0 a 1", "q Q0 b 1 3 t\nq Q0 a 2 2 t\nq Q0 c 3 1 t");
    expect(queries.get("q")!.values).toMatchObject({
      "ndcg@3": 1 / Math.log2(3),
      map: 0.5,
      "precision@3": 1 / 3,
      "precision@10": 0.1,
      "mrr@10": 0.5,
      "success@1": 0,
    });
  });

  test("grades gain linearly, the ideal is over all judged documents", () => {
    const { values } = evaluate(
      "q 0 a 3\nq 0 b 2\nq 0 c 1",
      "q Q0 c 1 3 t\nq Q0 a 2 2 t\nq Q0 b 3 1 t",
    ).queries.get("q")!;
    expect(values["ndcg@3"]).toBeCloseTo(3.892789 / 4.76186, 6);
    expect(values["ndcg@1"]).toBeCloseTo(1 / 3, 12);
  });

  test("equal scores rank by id downwards: the better document loses", () => {
    const { order, values } = evaluate("q 0 a 1", "q Q0 a 1 1 t\nq Q0 b 2 1.0 t").queries.get("q")!;
    expect(order).toEqual(["b", "a"]);
    expect(values["mrr@10"]).toBe(0.5);
  });

  test("a level of 2 makes lower ones irrelevant, but nDCG keeps them", () => {
    const { relevant, values } = evaluate("q 0 a 1\nq 0 b 2", "q Q0 a 1 1 t", 2).queries.get("q")!;
    expect(relevant).toBe(1);
    expect(values["recall@10"]).toBe(0);
    expect(values.ndcg).toBeCloseTo(1 / (2 + 1 / Math.log2(3)), 12);
  });

  test("the ideal run scores 1; rising transformations of scores change nothing", () => {
    const grades = fc.array(fc.integer({ min: -1, max: 3 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(
        grades,
        fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 12 }),
        (levels, scores) => {
          const judged = new Map(levels.map((level, i) => [`d${i}`, level]));
          const judgments = new Map([["q", judged]]);
          const ideal = evaluateRun(judgments, judgments, { measures: ["ndcg", "map"] });
          if (levels.some((level) => level > 0)) {
            expect(ideal.means.all.values).toEqual({ ndcg: 1, map: 1 });
          }
          const runOf = (transform: (score: number) => number): Run =>
            new Map([["q", new Map(scores.map((score, i) => [`d${i}`, transform(score)]))]]);
          const one = evaluateRun(
            judgments,
            runOf((score) => score),
            { measures },
          );
          const other = evaluateRun(
            judgments,
            runOf((score) => Math.exp(score) - 9),
            { measures },
          );
          expect(other.queries).toEqual(one.queries);
        },
      ),
    );
  });

  test("what is malformed is rejected", async () => {
    expect(() => parseJudgments("q 0 a")).toThrowCode("judgments-invalid", { line: 1 });
    expect(() => parseJudgments("q 0 a 0.5")).toThrowCode("judgments-invalid");
    expect(() => parseJudgments("q 0 a 1\n\nq 0 a 1")).toThrowCode("judgments-repeated", {
      line: 3,
    });
    for (const score of ["high", "NaN", "inf", "0x1f", "1e999", "1,5", "--1"]) {
      expect(await codeOf(() => void parseRun(`q Q0 a 1 ${score} t`))).toBe("run-invalid");
    }
    expect(() => parseRun("q Q0 a 1 1")).toThrowCode("run-invalid");
    expect(() => parseRun("q Q0 a 1 1 t\nq Q0 a 2 1 t")).toThrowCode("run-repeated");
    for (const name of ["recall", "ndcg@0", "ndcg@", "auc", "ndcg@1.5", "constructor"]) {
      expect(() => findMeasure(name)).toThrowCode("measure-unknown", { found: name });
    }
    expect(() => evaluate("q 0 a 1", "", 0)).toThrowCode("evaluation-level-invalid");
    const run = new Map([["q", new Map([["a", Number.NaN]])]]);
    expect(() => evaluateRun(parseJudgments("q 0 a 1"), run)).toThrowCode("run-invalid");
  });

  test("a run is written as it ranks and read back", () => {
    const run = parseRun("q Q0 a 9 1 t\nq Q0 c 9 2e-7 t\nq Q0 b 9 1 t");
    expect(formatRun(run, "x")).toBe("q Q0 b 1 1 x\nq Q0 a 2 1 x\nq Q0 c 3 2e-7 x\n");
    expect(parseRun(formatRun(run))).toEqual(run);
  });
});

describe("comparison of runs", () => {
  const evaluationOf = (values: readonly number[]) =>
    ({
      queries: new Map(values.map((ndcg, i) => [`q${i}`, { values: { ndcg } }])),
    }) as unknown as Evaluation<"ndcg">;

  test("a constant gain is certain; a run against itself is no difference", () => {
    const values = Array.from({ length: 40 }, (_, i) => (i % 7) / 10);
    const better = compareRuns(
      evaluationOf(values.map((value) => value + 0.1)),
      evaluationOf(values),
      "ndcg",
    );
    expect(better.difference).toBeCloseTo(0.1, 12);
    expect(better.low).toBeCloseTo(0.1, 12);
    expect(better.probability).toBe(0);
    const same = compareRuns(evaluationOf(values), evaluationOf(values), "ndcg");
    expect(same).toMatchObject({ count: 40, difference: 0, low: 0, high: 0, probability: 1 });
  });

  test("the interval is that of the normal distribution for many queries", () => {
    const values = Array.from({ length: 400 }, (_, i) => Math.sin(i * i));
    const zero = evaluationOf(values.map(() => 0));
    const { difference, low, high } = compareRuns(evaluationOf(values), zero, "ndcg");
    const variance = values.reduce((sum, value) => sum + (value - difference) ** 2, 0) / 400;
    const error = Math.sqrt(variance / 400);
    expect(low).toBeCloseTo(difference - 1.96 * error, 2);
    expect(high).toBeCloseTo(difference + 1.96 * error, 2);
    expect(compareRuns(zero, evaluationOf(values), "ndcg").difference).toBeCloseTo(-difference, 12);
  });

  test("different queries or measures cannot be compared", () => {
    const [a, b] = [evaluationOf([1]), evaluationOf([1, 2])];
    expect(() => compareRuns(a, b, "ndcg")).toThrowCode("comparison-queries");
    const none = evaluationOf([]);
    expect(() => compareRuns(none, none, "ndcg")).toThrowCode("comparison-queries");
    expect(() => compareRuns(a, a, "map" as "ndcg")).toThrowCode("comparison-option-invalid");
    expect(() => compareRuns(a, a, "ndcg", { samples: 0 })).toThrowCode(
      "comparison-option-invalid",
    );
    for (const options of [{ confidence: 1 }, { iterations: 5 }, { seed: "a" }] as object[]) {
      expect(() => compareRuns(a, a, "ndcg", options)).toThrowCode("comparison-option-invalid");
    }
  });

  test("two runs compared the other way round: the same with the other sign", () => {
    const names = ["q1", "q2", "q3"];
    const runOf = (...found: number[]) => {
      const lines = names.flatMap((query, i) => (found[i] === 0 ? [] : [`${query} Q0 a 1 1 t`]));
      return evaluateRun(
        parseJudgments(names.map((query) => `${query} 0 a 1`).join("\n")),
        parseRun(lines.join("\n")),
        { measures: ["map"] },
      );
    };
    for (const [x, y] of [
      [runOf(1, 0, 1), runOf(0, 0, 1)],
      [runOf(1, 0, 0), runOf(0, 1, 0)],
    ] as const) {
      const [there, back] = [compareRuns(x, y, "map"), compareRuns(y, x, "map")];
      expect(back.difference).toBeCloseTo(-there.difference, 12);
      expect(back.low).toBeCloseTo(-there.high, 12);
      expect(back.high).toBeCloseTo(-there.low, 12);
      expect(back.probability).toBeCloseTo(there.probability, 12);
    }
  });
});

test("what no evaluation can use is refused", () => {
  const judgments = parseJudgments("q 0 a 1");
  const run = parseRun("q Q0 a 1 1 t");
  for (const options of [{ measure: ["map"] }, { measures: "map" }, null] as object[]) {
    expect(() => evaluateRun(judgments, run, options)).toThrowCode("evaluation-option-invalid");
  }
  for (const level of [Number.NaN, 0.5, "1" as unknown as number]) {
    const wrong = new Map([["q", new Map([["a", level]])]]);
    expect(() => evaluateRun(wrong, run)).toThrowCode("judgments-invalid");
  }
});

test.each([
  ["a query with white space", new Map([["q 1", new Map([["a", 1]])]])],
  ["a document with white space", new Map([["q", new Map([["a b", 1]])]])],
  ["a document without a name", new Map([["q", new Map([["", 1]])]])],
  ["a score that is no number", new Map([["q", new Map([["a", Number.NaN]])]])],
])("%s cannot stand in a run's file", (_, run) => {
  expect(() => formatRun(run)).toThrowCode("run-invalid");
});

interface Case {
  name: string;
  qrels: string;
  run: string;
  level: number;
  expected: {
    error?: string;
    queries: Record<string, Record<string, number | boolean | string[]>>;
    means: Record<"all" | "retrieved" | "answerable", Record<string, number>>;
    ignored: string[];
  };
}

const cases = testData("retrieval/evaluator/cases.jsonl");

describe.skipIf(cases.skip)("the cases of an independent program", () => {
  const all =
    cases.skip === undefined
      ? readFileSync(cases.folder, "utf8")
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line) as Case)
      : [];
  const codes: Readonly<Record<string, string>> = {
    "duplicate-document": "run-repeated",
    "duplicate-judgment": "judgments-repeated",
    malformed: "run-invalid",
  };

  test("there are 28", () => expect(all).toHaveLength(28));

  test.each(all.map((one) => [one.name, one] as const))(
    "%s",
    (_, { qrels, run, level, expected }) => {
      const evaluate = () => evaluateRun(parseJudgments(qrels), parseRun(run), { measures, level });
      if (expected.error !== undefined) {
        expect(evaluate).toThrowCode(codes[expected.error]!);
        return;
      }
      const { queries, means, ignored } = evaluate();
      expect([...queries.keys()].sort()).toEqual(Object.keys(expected.queries).sort());
      for (const [query, found] of queries) {
        const { missing, order, relevant, retrieved, ...values } = expected.queries[query]!;
        expect(found).toMatchObject({ missing, order, relevant, retrieved });
        expectClose(found.values, values as Record<string, number>);
      }
      for (const kind of ["all", "retrieved", "answerable"] as const) {
        const { count, ...values } = expected.means[kind];
        const mean: MeanEvaluation = means[kind];
        expect(mean.count).toBe(count);
        expectClose(mean.values, values);
      }
      expect([...ignored].sort()).toEqual(expected.ignored.toSorted());
    },
  );
});

function expectClose(
  found: Readonly<Record<string, number>>,
  expected: Readonly<Record<string, number>>,
): void {
  expect(Object.keys(found).sort()).toEqual(Object.keys(expected).sort());
  for (const [name, value] of Object.entries(expected)) {
    expect([name, found[name]]).toEqual([name, expect.closeTo(value, 9)]);
  }
}
