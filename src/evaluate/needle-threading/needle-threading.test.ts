import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { EvaluatedModel } from "../long-context/index.ts";
import { haystackLength, printHaystack, samplePairs } from "./haystack.ts";
import { evaluateKeyValues } from "./kv-retrieval.ts";
import { makeNeedleItem, type NeedleSettings, pairsNeeded } from "./needle-item.ts";
import { evaluateNeedleThreading, paperGrid, planNeedleThreading } from "./needle-threading.ts";
import { createPythonRandom } from "./python-random.ts";
import { findCodes, isAnswered, scoreAnswer } from "./score-answer.ts";

/** Reads a haystack back, duplicate keys kept. */
function readPairs(haystack: string): [string, string][] {
  return [...haystack.matchAll(/"([^"]+)": "([^"]+)"/g)].map(([, key, value]) => [key!, value!]);
}

const needles = fc.integer({ min: 1, max: 9 });
const placement = fc.constantFrom("random" as const, "clustered" as const);
const threadLength = fc.integer({ min: 3, max: 6 });
const direction = fc.constantFrom("forward" as const, "backward" as const, "random" as const);

/** What each task takes. */
const settings: fc.Arbitrary<NeedleSettings> = fc
  .tuple(
    fc.oneof(
      fc.record({ task: fc.constant("single" as const), depth: fc.integer({ min: 0, max: 100 }) }),
      fc.record({ task: fc.constant("multiple" as const), needles, placement }),
      fc.record({
        task: fc.constant("conditional" as const),
        needles,
        placement,
        marker: fc.constantFrom("*" as const, "&" as const),
      }),
      fc.record({ task: fc.constant("threading" as const), threadLength, direction }),
      fc.record({
        task: fc.constant("multi-threading" as const),
        threadLength,
        direction,
        threads: fc.integer({ min: 1, max: 4 }),
      }),
      fc.record({
        task: fc.constant("branched-threading" as const),
        threadLength,
        direction,
        branches: fc.integer({ min: 1, max: 3 }),
      }),
    ),
    fc.integer({ min: 0, max: 30 }),
  )
  .map(([cell, more]) => ({ ...cell, pairs: pairsNeeded({ ...cell, pairs: 0 }) + more }));

describe("haystacks", () => {
  test("Python's generator: getrandbits after random.seed(12345678901)", () => {
    const random = createPythonRandom(12345678901);
    const drawn = [32, 7, 40, 128, 1].map((bits) => random.getRandomBits(bits));
    expect(drawn).toEqual([
      4063089813n,
      76n,
      954891488787n,
      240126409205934933872567035461244033070n,
      0n,
    ]);
  });

  test("seed 0 begins with the published UUIDs, also after the state was renewed", () => {
    const pairs = samplePairs({ pairs: 200, seed: 0 });
    expect(pairs[0]).toEqual({
      key: "e3e70682-c209-4cac-629f-6fbed82c07cd",
      value: "f728b4fa-4248-5e3a-0a5d-2f346baa9455",
    });
    expect(pairs[1]?.key).toBe("eb1167b3-67a9-c378-7c65-c1e582e2e662");
    // Draw 200 of Python's random.seed(0): words 797 to 800, past the first 624.
    expect(pairs[99]?.value).toBe("dd620222-d9ef-e28b-3bcb-50b3961d8dcf");
  });

  test("25 pairs are 2,000 characters", () => {
    expect(printHaystack(samplePairs({ pairs: 25, seed: 3 }))).toHaveLength(2000);
  });

  test("any size and code length: as long as said, all codes distinct", () => {
    const shape = fc.record({
      pairs: fc.integer({ min: 1, max: 60 }),
      seed: fc.integer(),
      codeLength: fc.constantFrom(36, 4, 8, 32),
      wording: fc.constantFrom("json" as const, "table" as const),
    });
    fc.assert(
      fc.property(shape, ({ wording, ...options }) => {
        const pairs = samplePairs(options);
        const codes = pairs.flatMap(({ key, value }) => [key, value]);
        expect(new Set(codes).size).toBe(2 * options.pairs);
        const length = haystackLength(options.pairs, options.codeLength, wording);
        expect(printHaystack(pairs, wording)).toHaveLength(length);
      }),
    );
  });

  test.each([
    [{ pairs: 0, seed: 0 }, "needle-option-invalid"],
    [{ pairs: 5, seed: 0.5 }, "needle-seed-invalid"],
    [{ pairs: 5, seed: 0, codeLength: 33 }, "needle-option-invalid"],
    [{ pairs: 100, seed: 0, codeLength: 2 }, "needle-option-invalid"],
  ])("%j is refused", (options, code) => {
    expect(() => samplePairs(options)).toThrow(expect.objectContaining({ code }));
  });
});

describe("items", () => {
  test("a thread of three lookups, forward: each value is the next key", () => {
    const item = makeNeedleItem({
      task: "threading",
      pairs: 25,
      threadLength: 3,
      direction: "forward",
    });
    const [places] = item.places;
    expect(places).toEqual([...places!].sort((a, b) => a - b));
    const [first, second, third] = places!.map((place) => item.pairs[place]!);
    expect([first!.value, second!.value, third!.value]).toEqual([
      second!.key,
      third!.key,
      item.values[0],
    ]);
    expect(item.question).toContain(first!.key);
  });

  test("any item: the text alone leads from the question to the values", () => {
    fc.assert(
      fc.property(settings, fc.nat(5), (cell, repeat) => {
        const item = makeNeedleItem(cell, { repeat });
        const pairs = readPairs(item.haystack);
        expect(item.haystack).toHaveLength(80 * cell.pairs);
        expect(makeNeedleItem(cell, { repeat })).toEqual(item);
        const ends = item.keys.map((key) => followLongest(key, pairs));
        expect(ends.map(({ value }) => value)).toEqual(item.values);
        const isThread = cell.task.endsWith("threading");
        for (const { lookups } of ends) expect(lookups).toBe(isThread ? cell.threadLength : 1);
        expectPlaces(item.places, cell);
        const marked = pairs.filter(([key]) => /[*&]/.test(key)).map(([key]) => key);
        expect(marked).toEqual(cell.task === "conditional" ? item.keys : []);
      }),
    );
  });

  test("needs are checked before anything is drawn", () => {
    const short: NeedleSettings = { task: "threading", pairs: 4, threadLength: 5 };
    expect(() => makeNeedleItem(short)).toThrow(/pairs is 4, expected at least 5/);
    expect(() => makeNeedleItem({ task: "single", pairs: 4 })).toThrow(/depth/);
    expect(() => makeNeedleItem({ task: "multiple", pairs: 4 })).toThrow(/needles/);
  });

  test.each([
    [{ task: "single", depth: 5, needles: 2 }, {}, "needles"],
    [{ task: "multiple", needles: 2, marker: "&" }, {}, "marker"],
    [{ task: "conditional", needles: 1, marker: "#" }, {}, "marker"],
    [{ task: "multiple", needles: 1, placement: "apart" }, {}, "placement"],
    [{ task: "threading", threadLength: 2, direction: "up" }, {}, "direction"],
    [{ task: "threading", threadLength: 2, branches: 2 }, {}, "branches"],
    [{ task: "single", depth: 5 }, { wording: "xml" }, "wording"],
    [{ task: "single", depth: 5 }, { repeat: -1 }, "repeat"],
  ])("what a task does not know is refused: %j %j", (cell, options, name) => {
    const make = () => makeNeedleItem({ pairs: 9, ...cell } as NeedleSettings, options as object);
    expect(make).toThrow(expect.objectContaining({ code: "needle-option-invalid" }));
    expect(make).toThrow(new RegExp(name));
  });

  test.each([{ directions: ["up"] }, { placements: ["apart"] }, { direction: ["forward"] }])(
    "a grid is checked before the first question: %j",
    (grid) => {
      const plan = () => planNeedleThreading({ grid: grid as object });
      expect(plan).toThrow(expect.objectContaining({ code: "needle-option-invalid" }));
    },
  );
});

/** The end of the longest chain from a key, by search of the pairs. */
function followLongest(
  key: string,
  pairs: readonly [string, string][],
): { value: string; lookups: number } {
  const ends = pairs
    .filter(([own]) => own === key)
    .map(([, value]) => {
      const isKey = pairs.some(([own]) => own === value);
      if (!isKey) return { value, lookups: 1 };
      const end = followLongest(value, pairs);
      return { value: end.value, lookups: end.lookups + 1 };
    });
  const [best, second] = ends.sort((a, b) => b.lookups - a.lookups);
  expect(second?.lookups ?? 0).toBeLessThan(best!.lookups);
  return best!;
}

function expectPlaces(places: readonly (readonly number[])[], cell: NeedleSettings): void {
  const all = places.flat();
  expect(new Set(all).size).toBe(all.length);
  if (cell.task === "single") {
    expect(all).toEqual([Math.round((cell.depth! / 100) * (cell.pairs - 1))]);
  } else if (cell.task.endsWith("threading")) {
    const sign = { forward: 1, backward: -1, random: 0 }[cell.direction!];
    for (const thread of places) {
      for (const [i, place] of thread.slice(1).entries()) {
        if (sign !== 0) expect(Math.sign(place - thread[i]!)).toBe(sign);
      }
    }
  } else if (cell.placement === "clustered") {
    expect(Math.max(...all) - Math.min(...all)).toBe(all.length - 1);
  }
}

describe("scores", () => {
  const [a, b, c, d] = samplePairs({ pairs: 2, seed: 7 }).flatMap(({ key, value }) => [key, value]);
  const single = { keys: [a!], values: [b!], settings: { task: "single" } } as const;
  const many = { keys: [a!, c!], values: [b!, d!], settings: { task: "multiple" } } as const;

  test("the first code that is no asked key counts; prose and case do not", () => {
    expect(scoreAnswer(`The value of ${a} is ${b!.toUpperCase()}.`, single)).toEqual({
      accuracy: 1,
      precision: 1,
      isExact: true,
    });
    const upper = { ...single, keys: [a!.toUpperCase()], values: [b!.toUpperCase()] };
    expect(scoreAnswer(`The value of ${a} is ${b}.`, upper).accuracy).toBe(1);
    expect(scoreAnswer(`${c}, or ${b}`, single).accuracy).toBe(0);
    expect(scoreAnswer("I cannot find it.", single).accuracy).toBe(0);
    expect(scoreAnswer(`${b}0`, single).accuracy).toBe(0);
  });

  test("an answer that repeats the haystack finds one of two, not both by chance of length", () => {
    const wrong = samplePairs({ pairs: 3, seed: 9 }).map(({ key }) => key);
    expect(scoreAnswer([...wrong, b, d].join(" "), many)).toEqual({
      accuracy: 0,
      precision: 2 / 5,
      isExact: false,
    });
    expect(scoreAnswer(`["${d}", "${b}"]`, many)).toEqual({
      accuracy: 1,
      precision: 1,
      isExact: true,
    });
    expect(scoreAnswer(`${b}`, many)).toEqual({ accuracy: 0.5, precision: 1, isExact: false });
  });

  test("short codes have a digit, so that words are none", () => {
    expect(findCodes("the dead face of 7ade, 12345 and ab*1", 4)).toEqual(["7ade", "ab*1"]);
  });

  test("an answer is complete once a code can no longer grow", () => {
    expect(isAnswered(`${b}`, single)).toBe(false);
    expect(isAnswered(`${b}"`, single)).toBe(true);
    expect(isAnswered(`${a}: `, single)).toBe(false);
    expect(isAnswered(`${b}, ${d}`, many)).toBe(false);
    expect(isAnswered(`${b}, ${d}]`, many)).toBe(true);
  });
});

/** A program in the place of a model. */
function solver(
  name: string,
  solve: (haystack: string, question: string) => string,
): EvaluatedModel {
  return {
    name,
    contextLength: undefined,
    countTokens: undefined,
    concurrency: 2,
    answer: async (prompt) => {
      const end = prompt.indexOf("}\n") + 1;
      return solve(prompt.slice(0, end), prompt.slice(end));
    },
  };
}

/** Looks keys up in the last `window` characters; the longest chain wins. */
function chase(haystack: string, question: string, window = Number.POSITIVE_INFINITY): string {
  const pairs = readPairs(haystack.slice(-window));
  const marker = /character "(.)"/.exec(question)?.[1];
  const keys = marker
    ? pairs.filter(([key]) => key.includes(marker)).map(([key]) => key)
    : findCodes(question);
  const follow = (key: string): string[] => {
    const ways = pairs.filter(([own]) => own === key).map(([, value]) => [value, ...follow(value)]);
    return ways.sort((x, y) => y.length - x.length)[0] ?? [];
  };
  return keys.map((key) => follow(key).at(-1) ?? "nothing").join(", ");
}

describe("the evaluation", () => {
  test("a program that looks keys up answers everything; the last value and a random one nothing", async () => {
    const grid = { ...paperGrid, pairs: [25, 50], repeats: 2 };
    const tasks = [...paperGrid.tasks, "branched-threading"] as const;
    const right = await evaluateNeedleThreading(
      solver("chaser", (haystack, question) => chase(haystack, question)),
      { grid: { ...grid, tasks } },
    );
    expect(new Set(right.cells.map(({ accuracy, exact }) => `${accuracy} ${exact}`))).toEqual(
      new Set(["1 1"]),
    );
    expect(right.limits.flatMap(({ limits }) => limits).every((limit) => limit.isLowerBound)).toBe(
      true,
    );
    const last = await evaluateNeedleThreading(
      solver("last value", (haystack) => readPairs(haystack).at(-1)![1]),
      { grid: { ...grid, tasks: ["threading"], directions: ["backward"] } },
    );
    expect(last.cells.every(({ accuracy }) => accuracy === 0)).toBe(true);
  });

  test("a program that sees the last 4,000 characters has its contour there", async () => {
    const report = await evaluateNeedleThreading(
      solver("window", (haystack, question) => chase(haystack, question, 4000)),
      { grid: { tasks: ["single"], pairs: [25, 50, 100, 200], depths: [0, 50, 100], repeats: 3 } },
    );
    // Depth 0 is seen at 4,000 characters and not at 8,000: a quarter of the way. Depth 50 is pair 50 of 100, still seen.
    expect(report.limits[0]?.limits).toMatchObject([
      { difficulty: 0, characters: 5000, isLowerBound: false },
      { difficulty: 50, characters: 10_000, isLowerBound: false },
      { difficulty: 100, characters: 16_000, isLowerBound: true },
    ]);
  });

  test("a program that reads forward once follows forward threads only", async () => {
    const once = solver("one pass", (haystack, question) => {
      let key = findCodes(question)[0];
      for (const [own, value] of readPairs(haystack)) if (own === key) key = value;
      return key!;
    });
    const grid = { tasks: ["threading"], pairs: [50], threadLengths: [3], repeats: 3 } as const;
    const { cells } = await evaluateNeedleThreading(once, { grid });
    expect(cells.map(({ group, accuracy }) => [group, accuracy])).toEqual([
      ["threading, forward", 1],
      ["threading, backward", 0],
    ]);
  });

  test("cells that need more pairs than there are do not exist; a grid without cells is refused", async () => {
    const cells = planNeedleThreading({
      grid: { tasks: ["multiple"], pairs: [4, 8], needles: [5] },
    });
    expect(cells.map(({ characters }) => characters)).toEqual([640]);
    const none = { grid: { tasks: ["multiple"], pairs: [4], needles: [5] } } as const;
    await expect(
      evaluateNeedleThreading(
        solver("any", () => ""),
        none,
      ),
    ).rejects.toMatchObject({
      code: "evaluation-grid-empty",
    });
    expect(() => planNeedleThreading({ grid: { depths: [120] } })).toThrow(/depths is 120/);
  });
});

test.each([
  [{ depths: [0, 101] }, /depths is 101/],
  [{ repeats: 0 }, /repeats is 0/],
  // Objects that are given have their own sizes.
  [{ records: [{ pairs: samplePairs({ pairs: 3, seed: 0 }), asked: 1 }], pairs: [5] }, /pairs is/],
])("key-value retrieval refuses %j", (options, message) => {
  const evaluate = () =>
    evaluateKeyValues(
      solver("any", () => ""),
      options,
    );
  expect(evaluate).toThrow(expect.objectContaining({ code: "needle-option-invalid" }));
  expect(evaluate).toThrow(message);
});
