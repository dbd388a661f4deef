import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openCompressor } from "../../context/index.ts";
import { codeOf } from "../../testing/code-of.ts";
import { binomialInterval, effectiveLimit } from "./accuracy.ts";
import { evaluateCompressed } from "./compressed-model.ts";
import { findContour } from "./contour-lines.ts";
import { evaluateEndpoint } from "./endpoint-model.ts";
import { type EvaluateGridOptions, evaluateGrid } from "./evaluate-grid.ts";
import type { EvaluatedModel } from "./evaluated-model.ts";
import { formatEvaluation } from "./format-evaluation.ts";
import { evaluatePasskey } from "./passkey.ts";
import { renderContour } from "./render-contour.ts";

describe("intervals and limits", () => {
  test("Wilson's interval of 4 in 5", () => {
    const { low, high } = binomialInterval(4, 5);
    expect([low, high].map((end) => end.toFixed(3))).toEqual(["0.376", "0.964"]);
    expect(binomialInterval(0, 5).low).toBe(0);
    expect(binomialInterval(5, 5).high).toBe(1);
  });

  test("between 1 at 2,000 and 0.5 at 4,000 characters, 0.75 is at 3,000", () => {
    const points = [
      { characters: 2000, accuracy: 1 },
      { characters: 4000, accuracy: 0.5 },
    ];
    expect(effectiveLimit(points)).toEqual({
      characters: 3000,
      isLowerBound: false,
      isCrossedAgain: false,
    });
    const rising = [...points, { characters: 8000, accuracy: 1 }];
    expect(effectiveLimit(rising)).toMatchObject({ characters: 3000, isCrossedAgain: true });
    expect(effectiveLimit(points, 0.5)).toMatchObject({ characters: 4000, isLowerBound: true });
    expect(effectiveLimit(points.slice(1))).toMatchObject({ characters: 0, isLowerBound: false });
    expect(effectiveLimit([])).toBeUndefined();
  });

  test("of any falling line, the limit is where the line says", () => {
    const size = fc.integer({ min: 2, max: 30 });
    fc.assert(
      fc.property(size, fc.double({ min: 0.1, max: 0.9, noNaN: true }), (count, threshold) => {
        // Accuracy 1 - c / 1000 at c characters: it is at the threshold at 1000 (1 - threshold).
        const points = Array.from({ length: count }, (_, i) => ({
          characters: (1000 * i) / (count - 1),
          accuracy: 1 - i / (count - 1),
        }));
        const limit = effectiveLimit(points, threshold)!;
        expect(limit.characters).toBeCloseTo(1000 * (1 - threshold), 6);
      }),
    );
  });

  test("ones above zeros: a line a quarter of the way down; a saddle is resolved by its centre", () => {
    const flat = findContour(
      [
        [1, 1, 1],
        [0, 0, 0],
      ],
      0.75,
    );
    expect(flat).toEqual([
      { from: [1, 0.25], to: [0, 0.25] },
      { from: [2, 0.25], to: [1, 0.25] },
    ]);
    expect(
      findContour(
        [
          [1, 0],
          [0, 1],
        ],
        0.5,
      ),
    ).toHaveLength(2);
    expect(
      findContour(
        [
          [1, null],
          [0, 0],
        ],
        0.5,
      ),
    ).toEqual([]);
    expect(
      findContour(
        [
          [1, 1],
          [1, 1],
        ],
        0.5,
      ),
    ).toEqual([]);
  });
});

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jeton-answers-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Answers "yes" to prompts of fewer than 30 letters; a token is ten letters. */
function createShortReader(asked: string[] = []): EvaluatedModel {
  return {
    name: "short reader",
    contextLength: 10,
    countTokens: (prompt) => Math.ceil(prompt.length / 10),
    concurrency: 1,
    async answer(prompt) {
      asked.push(prompt);
      return prompt.length < 30 ? "yes" : "no";
    },
  };
}

const cells = [20, 40, 200].map((characters) => ({
  group: "letters",
  axis: "depth",
  difficulty: 1,
  characters,
  questions: 2,
  question: (repeat: number) => ({
    id: `${characters} ${repeat}`,
    prompt: "x".repeat(characters),
    expected: "yes",
    maxCharacters: 3,
    score: (answer: string) => ({ accuracy: answer === "yes" ? 1 : 0, isExact: answer === "yes" }),
  }),
}));
const options: EvaluateGridOptions = { evaluation: "letters", settings: { seed: 0 } };

describe("a grid", () => {
  test("measures cells, skips those over the model's context, and finds the limit", async () => {
    const asked: string[] = [];
    const report = await evaluateGrid(createShortReader(asked), cells, options);
    expect(report.cells.map(({ accuracy, skipped }) => [accuracy, skipped])).toEqual([
      [1, undefined],
      [0, undefined],
      [null, "context"],
    ]);
    expect(Math.max(...asked.map(({ length }) => length))).toBe(40);
    expect(report.windowCharacters).toBe(100);
    expect(report.limits[0]?.limits).toEqual([
      {
        difficulty: 1,
        characters: 25,
        isLowerBound: false,
        isCrossedAgain: false,
        windowShare: 0.25,
      },
    ]);
    expect(formatEvaluation(report)).toMatch(/ 20 +100 \(34-100\)\n +40 +0 \(0-66\)\n +200 +-\n/);
    const svg = renderContour(report);
    expect(svg).toContain("letters, 20 characters, 1: 100 % (34 to 100), 2 questions");
    expect(svg).toContain("<title>25 characters</title>");
  });

  test("keeps answers: a second run asks only what the first one did not", async () => {
    const answers = join(folder, "kept.jsonl");
    const first = await evaluateGrid(createShortReader(), cells.slice(0, 1), {
      ...options,
      answers,
    });
    // As an interruption leaves it: half a line.
    await appendFile(answers, '{"id":"40 0","ans');
    const asked: string[] = [];
    const second = await evaluateGrid(createShortReader(asked), cells, { ...options, answers });
    expect(second.cells[0]).toEqual(first.cells[0]);
    expect(asked.map(({ length }) => length)).toEqual([40, 40]);
    expect((await readFile(answers, "utf8")).trim().split("\n")).toHaveLength(5);
    const again = await evaluateGrid(createShortReader(asked), cells, { ...options, answers });
    expect(again).toEqual(second);
    expect(asked).toHaveLength(2);
  });

  test("answers to other settings, and lines of another form, are refused", async () => {
    const answers = join(folder, "foreign.jsonl");
    await evaluateGrid(createShortReader(), cells, { ...options, answers });
    const other = evaluateGrid(createShortReader(), cells, {
      ...options,
      answers,
      settings: { seed: 1 },
    });
    await expect(other).rejects.toMatchObject({ code: "evaluation-answers-foreign" });
    const text = await readFile(answers, "utf8");
    await writeFile(answers, `${text}{"id":1}\n`);
    const damaged = evaluateGrid(createShortReader(), cells, { ...options, answers });
    await expect(damaged).rejects.toMatchObject({
      code: "evaluation-answers-damaged",
      details: { line: 6 },
    });
  });
});

describe("an endpoint", () => {
  const requests: { url: string; key: string | undefined; body: Record<string, unknown> }[] = [];
  let next: { status: number; body: string }[] = [];
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += String(chunk);
    const { url = "", headers } = request;
    requests.push({ url, key: headers.authorization, body: JSON.parse(text) as never });
    const { status, body } = next.shift() ?? { status: 500, body: "nothing prepared" };
    response.writeHead(status, { "content-type": "application/json" }).end(body);
  });
  let url: string;
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));
  const open = (more: object = {}): EvaluatedModel =>
    evaluateEndpoint({ url, model: "m", apiKey: "secret", retryDelay: 1, ...more });
  const chat = (content: unknown): string =>
    JSON.stringify({ choices: [{ message: { content } }] });

  test("asks as a chat or for a completion, and tries again where it is refused for a while", async () => {
    next = [
      { status: 429, body: "slowly" },
      { status: 200, body: chat("an answer") },
      { status: 200, body: JSON.stringify({ choices: [{ text: " on" }] }) },
    ];
    requests.length = 0;
    expect(await open().answer("hello", { maxCharacters: 9 })).toBe("an answer");
    expect(await open({ api: "completions" }).answer("go", { maxCharacters: 3 })).toBe(" on");
    expect(requests.map((request) => request.url)).toEqual([
      "/v1/chat/completions",
      "/v1/chat/completions",
      "/v1/completions",
    ]);
    expect(requests[1]).toMatchObject({
      key: "Bearer secret",
      body: {
        model: "m",
        temperature: 0,
        max_tokens: 9,
        messages: [{ role: "user", content: "hello" }],
      },
    });
  });

  test.each([
    [400, '{"error":{"code":"context_length_exceeded"}}', "endpoint-context-exceeded"],
    [401, "no", "endpoint-refused"],
    [503, "later", "endpoint-unreachable"],
    [200, "<html>", "endpoint-answer-invalid"],
    [200, '{"choices":[]}', "endpoint-answer-invalid"],
  ])("status %i with %s ends in %s", async (status, body, code) => {
    next = Array.from({ length: 2 }, () => ({ status, body }));
    const answer = open({ attempts: 2 }).answer("hello", { maxCharacters: 9 });
    await expect(answer).rejects.toMatchObject({ code });
    next = [];
  });

  test("what the endpoint calls too long is a skipped cell", async () => {
    next = [
      { status: 200, body: chat("yes") },
      { status: 200, body: chat("yes") },
      { status: 400, body: "maximum context length is 8 tokens" },
    ];
    const report = await evaluateGrid(open({ concurrency: 1 }), cells.slice(0, 2), options);
    expect(report.cells.map(({ accuracy, skipped }) => skipped ?? accuracy)).toEqual([
      1,
      "context",
    ]);
  });

  test("an address that is none", () => {
    expect(() => open({ url: "localhost" })).toThrow(
      expect.objectContaining({ code: "endpoint-url-invalid" }),
    );
  });
});

describe("passkeys", () => {
  /** Reads all of a prompt; a token is four characters, and the context has 500. */
  const reader: EvaluatedModel = {
    name: "reader",
    contextLength: 500,
    countTokens: (prompt) => Math.ceil(prompt.length / 4),
    concurrency: 1,
    answer: async (prompt) => /pass key is (\d+)/.exec(prompt)![1]!,
  };

  test("lengths in windows fit, and depths are drawn within their bins", async () => {
    const depths = new Map<number, number[]>();
    let longest = 0;
    const asked: EvaluatedModel = {
      ...reader,
      async answer(prompt) {
        longest = Math.max(longest, reader.countTokens!(prompt));
        const depth = (100 * prompt.indexOf("The pass key is")) / prompt.lastIndexOf("\n");
        const bin = 20 * Math.floor(depth / 20);
        depths.set(bin, [...(depths.get(bin) ?? []), depth]);
        return reader.answer(prompt, { maxCharacters: 80 });
      },
    };
    const how = { windows: [0.5, 1], depthBins: 5, repeats: 10 };
    const report = await evaluatePasskey(asked, how);
    expect(report.cells.map(({ accuracy, difficulty }) => [accuracy, difficulty])).toEqual(
      [...Array(2)].flatMap(() => [10, 30, 50, 70, 90].map((middle) => [1, middle])),
    );
    expect(longest).toBeGreaterThan(440);
    expect(longest).toBeLessThan(500);
    expect(depths.size).toBeGreaterThanOrEqual(4);
    // Drawn, not the same for every question.
    for (const drawn of depths.values()) expect(new Set(drawn).size).toBeGreaterThan(3);
    const { settings } = report;
    expect(settings).toEqual({ seed: 0, depthBins: 5 });
  });

  test("sentences of a text stand around the number", async () => {
    const text = "The first sentence is this one. A second one follows it here. ".repeat(4);
    const asked: string[] = [];
    const asking: EvaluatedModel = {
      ...reader,
      async answer(prompt) {
        asked.push(prompt);
        return "1";
      },
    };
    await evaluatePasskey(asking, { lengths: [600], depths: [50], repeats: 1, text });
    expect(asked[0]).toMatch(/A second one follows it here\. .*The pass key is \d{5}\./s);
    expect(asked[0]).not.toContain("Rain fell");
  });

  test.each([
    { windows: [1], lengths: [1000] },
    { windows: [0] },
    { depthBins: 0 },
    { depthBins: 5, depths: [50] },
    { text: "One sentence." },
    { repeats: 0 },
  ])("%j is refused", async (options) => {
    expect(await codeOf(() => evaluatePasskey(reader, options))).toBe("passkey-option-invalid");
    const unknown = { ...reader, contextLength: undefined };
    expect(await codeOf(() => evaluatePasskey(unknown, { windows: [1] }))).toBe(
      "passkey-option-invalid",
    );
  });
});

test("behind a compressor, prompts of any length are read in a fixed number of rows", async () => {
  const { openSmallModel } = await import(
    "../../context/extensible-tokenization/testing/small-model.ts"
  );
  await using small = await openSmallModel("llama");
  const { model } = small;
  const how = { inline: true, threads: 1 };
  await using compressor = await openCompressor(model, small.compressor, how);
  const read: number[] = [];
  const counted: typeof model = {
    ...model,
    folder: model.folder,
    config: model.config,
    contextLength: model.contextLength,
    tokenizer: {
      ...model.tokenizer,
      // Ids that the small vocabulary has.
      encodeIds: (text: string) => Int32Array.from(text, (letter) => letter.charCodeAt(0)),
      decode: () => "",
      streamDecoder: () => model.tokenizer.streamDecoder(),
      isSpecial: () => false,
      idToToken: () => undefined,
    } as never,
    openSequence: async (options) => {
      read.push(options?.promptLength ?? 0);
      return model.openSequence(options);
    },
  };
  const evaluated = evaluateCompressed(counted, compressor, { rows: 32 });
  expect(evaluated.name).toMatch(/, extensible$/);
  for (const length of [20, 100, 200, 900]) {
    await evaluated.answer("x".repeat(length), { maxCharacters: 2 });
  }
  expect(read[0]).toBe(20);
  // 100 tokens at factor 4: 92 / 4 = 23 embeddings and 8 tokens; longer ones fill the rows at factor 8.
  expect(read.slice(1).every((rows) => rows > 24 && rows <= 32)).toBe(true);
});
