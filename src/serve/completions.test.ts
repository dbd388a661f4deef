/** Fields of `/v1/completions`, obeyed on the bundled model. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { complete, score } from "../generate/index.ts";
import { removeFillTokens } from "../generate/testing/remove-fill-tokens.ts";
import { type NanoServer, startNanoServer } from "./testing/nano-server.ts";

let nano: NanoServer;
beforeAll(async () => {
  nano = await startNanoServer();
});
afterAll(() => nano[Symbol.asyncDispose]());

const greedy = { temperature: 0, max_tokens: 6 };

describe("scoring a prompt", () => {
  test("echo with log-probabilities: the prompt's tokens, null for the first", async () => {
    const body = { prompt: "The emperor", max_tokens: 0, echo: true, logprobs: 2 };
    const { status, document } = await nano.post("v1/completions", body);
    expect(status).toBe(200);
    const { text, logprobs, finish_reason } = document.choices[0];
    expect([text, finish_reason]).toEqual(["The emperor", "length"]);
    const ids = nano.model.tokenizer.encodeIds("The emperor");
    expect(logprobs.tokens).toHaveLength(ids.length);
    expect(logprobs.token_logprobs[0]).toBeNull();
    expect(logprobs.top_logprobs[0]).toBeNull();
    const alone = await score(nano.model, ids.subarray(1), { prefix: ids.subarray(0, 1) });
    for (const [index, token] of alone.tokens.entries()) {
      expect(logprobs.token_logprobs[index + 1]).toBe(token.logProbability);
    }
    expect(logprobs.text_offset[0]).toBe(0);
    expect(document.usage).toMatchObject({ prompt_tokens: ids.length, completion_tokens: 0 });
  });

  test("without log-probabilities, and for a single token", async () => {
    const bare = await nano.post("v1/completions", { prompt: "The", max_tokens: 0, echo: true });
    expect(bare.document.choices[0]).toMatchObject({ text: "The", logprobs: null });
    const body = { prompt: [5], max_tokens: 0, echo: true, logprobs: 0 };
    const one = await nano.post("v1/completions", body);
    expect(one.document.choices[0].logprobs).toMatchObject({
      token_logprobs: [null],
      top_logprobs: null,
      text_offset: [0],
    });
  });

  test("lm-evaluation-harness reads log-likelihoods from its own form of request", async () => {
    const { tokenizer } = nano.model;
    const cases = [
      ["The emperor", " of the West"],
      ["The city", " zzz was"],
    ].map(([context, continuation]) => {
      const before = [...tokenizer.encodeIds(context!)];
      return { ids: [...tokenizer.encodeIds(context! + continuation!)], length: before.length };
    });
    const request = {
      model: "nano",
      prompt: cases.map(({ ids }) => ids),
      temperature: 0,
      max_tokens: 1,
      logprobs: 1,
      seed: 1234,
      echo: true,
    };
    const { status, document } = await nano.post("v1/completions", request);
    expect(status).toBe(200);
    const alone = await nano.post("v1/completions", { ...request, max_tokens: 0 });
    for (const [index, { ids, length }] of cases.entries()) {
      const { token_logprobs: own, top_logprobs: top } = document.choices[index].logprobs;
      // The harness leaves out the last entry, that of the generated token.
      expect(own).toHaveLength(ids.length + 1);
      expect(own.slice(0, -1)).toEqual(alone.document.choices[index].logprobs.token_logprobs);
      const values: number[] = own.slice(length, -1);
      const isGreedy = values.every(
        (value, at) => value === Math.max(...(Object.values(top[length + at]) as number[])),
      );
      const likelihood = values.reduce((sum, value) => sum + value, 0);
      const prefix = ids.slice(0, length);
      const expected = await score(nano.model, ids.slice(length), { prefix });
      expect(values).toEqual(expected.tokens.map((token) => token.logProbability));
      expect(likelihood).toBe(expected.logProbability);
      const count = ids.length - length;
      const next = await complete(nano.model, prefix, { greedy: true, maxTokens: count });
      expect(isGreedy).toBe(next.ids.join() === ids.slice(length).join());
    }
  });

  test.each(["f32", "int8", "int8-channel", "int4"] as const)(
    "%s: the scores are those of a text alone, to the bit, in any company",
    async (format) => {
      await using server = await startNanoServer({ format });
      const { model } = server;
      const ids = model.tokenizer.encodeIds("The emperor of the West was told of the city.");
      const alone = await score(model, ids.subarray(1), { prefix: ids.subarray(0, 1) });
      const request = { prompt: [...ids], max_tokens: 1, echo: true, logprobs: 1 };
      const company = { prompt: "The", max_tokens: 24, seed: 1 };
      const answers = await Promise.all([
        server.post("v1/completions", company),
        server.post("v1/completions", request),
        server.post("v1/completions", { ...request, max_tokens: 0 }),
      ]);
      for (const { document } of answers.slice(1)) {
        expect(document.choices[0].logprobs.token_logprobs.slice(1, ids.length)).toEqual(
          alone.tokens.map(({ logProbability }) => logProbability),
        );
      }
    },
  );

  test("the token that ends the text has its entry, which the harness leaves out", async () => {
    const body = { prompt: "The emperor", max_tokens: 1, echo: true, logprobs: 1 };
    const ids = nano.model.tokenizer.encodeIds("The emperor");
    const next = await nextId("The emperor");
    for (const ending of [{ logit_bias: { 1: 100 } }, { stop_token_ids: [next], temperature: 0 }]) {
      const { document } = await nano.post("v1/completions", { ...body, ...ending });
      const { text, finish_reason, logprobs } = document.choices[0];
      expect([text, finish_reason]).toEqual(["The emperor", "stop"]);
      expect(logprobs.tokens).toHaveLength(ids.length + 1);
      expect(logprobs.tokens.at(-1)).toBe(
        "logit_bias" in ending ? "</s>" : nano.model.tokenizer.decode([next]),
      );
      expect(logprobs.text_offset.at(-1)).toBe("The emperor".length);
      const events = await nano.stream("v1/completions", { ...body, ...ending });
      const entries = events
        .slice(0, -1)
        .flatMap((event) => JSON.parse(event.slice(6)).choices[0].logprobs?.token_logprobs ?? []);
      expect(entries).toEqual(logprobs.token_logprobs);
    }
  });

  test("a stream says the same: the prompt's entries come first", async () => {
    const body = { prompt: "The emperor", max_tokens: 2, temperature: 0, echo: true, logprobs: 1 };
    const whole = (await nano.post("v1/completions", body)).document.choices[0];
    const events = await nano.stream("v1/completions", body);
    expect(events.at(-1)).toBe("data: [DONE]");
    const choices = events.slice(0, -1).map((event) => JSON.parse(event.slice(6)).choices[0]);
    expect(choices.map(({ text }) => text).join("")).toBe(whole.text);
    for (const list of ["tokens", "token_logprobs", "text_offset", "top_logprobs"]) {
      expect(choices.flatMap(({ logprobs }) => logprobs?.[list] ?? [])).toEqual(
        whole.logprobs[list],
      );
    }
  });

  test("prompt_logprobs as vLLM writes them", async () => {
    const body = { prompt: "The emperor", max_tokens: 1, prompt_logprobs: 3 };
    const { document } = await nano.post("v1/completions", body);
    const [first, ...rest] = document.choices[0].prompt_logprobs;
    const ids = nano.model.tokenizer.encodeIds("The emperor");
    expect(first).toBeNull();
    expect(rest).toHaveLength(ids.length - 1);
    for (const [index, entries] of rest.entries()) {
      expect(entries).toHaveProperty(String(ids[index + 1]));
      const ranks = Object.values(entries as Record<string, { rank: number | null }>).map(
        ({ rank }) => rank,
      );
      expect(ranks).toEqual(expect.arrayContaining([1, 2, 3]));
    }
    expect(document.choices[0].logprobs).toBeNull();
  });
});

describe("offsets", () => {
  test("count code points, and tokens that share a character share its place", async () => {
    const prompt = "é😀 ünï 日本語 😀";
    const body = { prompt, max_tokens: 24, temperature: 2, top_p: 1, seed: 48, logprobs: 1 };
    const { document } = await nano.post("v1/completions", body);
    const { text, logprobs } = document.choices[0];
    checkOffsets(text, logprobs);
    const echoed = await nano.post("v1/completions", { ...body, echo: true });
    const { tokens, text_offset } = echoed.document.choices[0].logprobs;
    checkOffsets(echoed.document.choices[0].text, echoed.document.choices[0].logprobs);
    const own = tokens.length - logprobs.tokens.length;
    expect(text_offset.slice(own)).toEqual(
      logprobs.text_offset.map((offset: number) => offset + [...prompt].length),
    );
    const ids = [...nano.model.tokenizer.encodeIds(prompt)];
    const byIds = await nano.post("v1/completions", { ...body, prompt: ids, echo: true });
    expect(byIds.document.choices[0].logprobs.text_offset).toEqual(text_offset);
  });

  /** Every whole token stands in the text where its offset says. */
  function checkOffsets(text: string, logprobs: { tokens: string[]; text_offset: number[] }): void {
    const points = [...text];
    let parts = 0;
    for (const [index, token] of logprobs.tokens.entries()) {
      const offset = logprobs.text_offset[index]!;
      expect(offset).toBeGreaterThanOrEqual(logprobs.text_offset[index - 1] ?? 0);
      if (token.startsWith("bytes:")) parts++;
      else if (!token.startsWith("<")) {
        expect(points.slice(offset, offset + [...token].length).join("")).toBe(token);
      }
    }
    expect(parts).toBeGreaterThan(0);
  }

  test("a special token, which the text leaves out, has no length", async () => {
    const { document } = await nano.post("v1/completions", {
      prompt: [2, ...nano.model.tokenizer.encodeIds("The emperor")],
      max_tokens: 0,
      echo: true,
      logprobs: 0,
    });
    const { tokens, text_offset } = document.choices[0].logprobs;
    expect(document.choices[0].text.startsWith("The")).toBe(true);
    expect(text_offset.slice(0, 2)).toEqual([0, 0]);
    const at = tokens.indexOf(" emperor");
    if (at > 0) expect(text_offset[at]).toBe(3);
  });
});

/** The most probable token behind a prompt. */
async function nextId(prompt: string): Promise<number> {
  const { ids } = await complete(nano.model, prompt, { greedy: true, maxTokens: 1 });
  return ids[0]!;
}

describe("a model that writes special tokens", () => {
  /** Exchanges the rows of `<|user|>` and another token in the head, so that texts have the former in its place. */
  function exchangeRows(folder: string, other: number): void {
    const file = join(folder, "model.safetensors");
    const bytes = readFileSync(file);
    const start = 8 + Number(bytes.readBigUInt64LE(0));
    const { shape, data_offsets } = JSON.parse(bytes.subarray(8, start).toString())[
      "lm_head.weight"
    ] as { shape: [number, number]; data_offsets: [number, number] };
    const width = (data_offsets[1] - data_offsets[0]) / shape[0];
    const row = (id: number): Buffer => {
      const from = start + data_offsets[0] + id * width;
      return bytes.subarray(from, from + width);
    };
    const kept = Buffer.from(row(2));
    row(other).copy(row(2));
    kept.copy(row(other));
    rmSync(file);
    writeFileSync(file, bytes);
  }

  test("offsets leave them out as the text does; a stop string that spells one ends the text", async () => {
    const next = await nextId("The emperor");
    await using special = await startNanoServer({
      change: (folder) => exchangeRows(folder, next),
    });
    const body = { prompt: "The emperor", max_tokens: 4, temperature: 0, logprobs: 1 };
    const { document } = await special.post("v1/completions", body);
    const { text, logprobs } = document.choices[0];
    expect(logprobs.tokens[0]).toBe("<|user|>");
    expect(text).not.toContain("<|user|>");
    const points = [...text];
    let offset = 0;
    for (const [index, token] of (logprobs.tokens as string[]).entries()) {
      expect(logprobs.text_offset[index]).toBe(offset);
      if (!token.startsWith("<|")) offset += [...token].length;
    }
    expect(offset).toBe(points.length);
    for (const stop of ["<|user|>", `<|user|>${text.slice(0, 2)}`]) {
      const ended = await special.post("v1/completions", { ...body, stop: [stop] });
      expect(ended.document.choices[0]).toMatchObject({ text: "", finish_reason: "stop" });
      const events = await special.stream("v1/completions", { ...body, stop: [stop] });
      const texts = events.slice(0, -1).map((event) => JSON.parse(event.slice(6)).choices[0].text);
      expect(texts.join("")).toBe("");
    }
  });
});

describe("what ends a text", () => {
  test("stop_token_ids, before the token", async () => {
    const plain = await nano.post("v1/completions", { prompt: "The emperor", ...greedy });
    const { ids } = await complete(nano.model, "The emperor", { greedy: true, maxTokens: 6 });
    const stop = ids[2]!;
    const { document } = await nano.post("v1/completions", {
      prompt: "The emperor",
      ...greedy,
      stop_token_ids: [stop],
    });
    const { text, finish_reason } = document.choices[0];
    const first = ids.indexOf(stop);
    expect(text).toBe(nano.model.tokenizer.decode(ids.slice(0, first)));
    expect(plain.document.choices[0].text.startsWith(text)).toBe(true);
    expect(finish_reason).toBe("stop");
    const wrong = await nano.post("v1/completions", { prompt: "a", stop_token_ids: [4099] });
    expect(wrong.document.error).toMatchObject({ param: "stop_token_ids", code: "invalid_value" });
  });

  test("a limit beyond the context is lowered to it, and the answer says so", async () => {
    const { status, document } = await nano.post("v1/completions", {
      prompt: "The emperor",
      max_tokens: 100_000,
      stop_token_ids: Array.from({ length: 4096 }, (_, at) => at + 3),
    });
    expect(status).toBe(200);
    expect(document.warnings).toEqual([
      expect.objectContaining({ code: "adjusted_parameter", param: "max_tokens" }),
    ]);
    const long = Array.from({ length: 1024 }, () => 300);
    const full = await nano.post("v1/completions", { prompt: long, max_tokens: 1 });
    expect([full.status, full.document.error.code]).toEqual([400, "context_length_exceeded"]);
    expect(full.document.error.param).toBe("prompt");
  });
});

test("64-bit seeds: every one its own text, the same each time", async () => {
  const ask = async (seed: string): Promise<string> => {
    const body = `{"prompt":"The","max_tokens":12,"temperature":1.5,"top_p":1,"seed":${seed}}`;
    const { status, document } = await nano.post("v1/completions", body);
    expect(status).toBe(200);
    return document.choices[0].text;
  };
  const seeds = ["9223372036854775807", "9223372036854775806", "-9223372036854775808", "7"];
  const texts: string[] = [];
  for (const seed of seeds) texts.push(await ask(seed));
  expect(new Set(texts).size).toBe(seeds.length);
  expect(await ask(seeds[0]!)).toBe(texts[0]);
});

test("unknown fields stand in the answer's warnings, in a stream's first chunk and in the log", async () => {
  const body = { prompt: "The", max_tokens: 2, made_up: true };
  const { document } = await nano.post("v1/completions", body);
  expect(document.warnings).toMatchObject([{ code: "unknown_parameter", param: "made_up" }]);
  expect(nano.lines.some((line) => line.includes("warning: 'made_up'"))).toBe(true);
  const events = await nano.stream("v1/completions", body);
  const withWarnings = events.slice(0, -1).map((event) => "warnings" in JSON.parse(event.slice(6)));
  expect(withWarnings).toEqual([true, ...withWarnings.slice(1).map(() => false)]);
  const plain = await nano.post("v1/completions", { prompt: "The", max_tokens: 1 });
  expect(plain.document).not.toHaveProperty("warnings");
});

test("continuous_usage_stats: every chunk counts the tokens so far", async () => {
  const events = await nano.stream("v1/completions", {
    prompt: "The emperor",
    ...greedy,
    stream_options: { include_usage: true, continuous_usage_stats: true },
  });
  const counts = events
    .slice(0, -1)
    .map((event) => JSON.parse(event.slice(6)).usage.completion_tokens as number);
  expect(counts).toEqual([...counts].sort((a, b) => a - b));
  expect(counts[0]).toBe(1);
  expect(counts.at(-1)).toBe(6);
});

describe("suffix", () => {
  test("is refused where the model has no tokens for it", async () => {
    await using plain = await startNanoServer({ change: removeFillTokens });
    const { status, document } = await plain.post("v1/completions", { prompt: "a", suffix: "b" });
    expect([status, document.error.code]).toEqual([400, "unsupported_parameter"]);
    expect(document.error.message).toContain("fill-in-the-middle");
  });

  test("is laid out with the model's own tokens", async () => {
    const ask = (prompt: unknown, more: object): Promise<{ document: { choices: [object] } }> =>
      nano.post("v1/completions", { prompt, ...greedy, ...more });
    const { tokenizer } = nano.model;
    const plain = (text: string): number[] => [
      ...tokenizer.encodeIds(text, { addSpecialTokens: false }),
    ];
    const tokenId = (name: string): number =>
      tokenizer.encodeIds(name, { addSpecialTokens: false, allowedSpecial: "all" })[0]!;
    const start = tokenizer.encodeIds("")[0];
    const ids = [
      ...(start === undefined ? [] : [start]),
      tokenId("<|fim_prefix|>"),
      ...plain("The emperor"),
      tokenId("<|fim_suffix|>"),
      ...plain(" of Rome"),
      tokenId("<|fim_middle|>"),
    ];
    const filled = await ask("The emperor", { suffix: " of Rome" });
    expect(filled.document.choices[0]).toEqual((await ask(ids, {})).document.choices[0]);
  });
});
