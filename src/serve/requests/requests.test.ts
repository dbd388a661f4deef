import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ApiError } from "../middleware/errors.ts";
import { readChatRequest } from "./chat-request.ts";
import { readCompletionRequest } from "./completion-request.ts";
import { readEmbeddingsRequest } from "./encoder-requests.ts";
import { parseJsonBody } from "./json-body.ts";
import type { Equal, Expect } from "./request-schema.ts";
import { readResponsesRequest } from "./responses-request.ts";
import { readDetokenizeRequest, readTokenizeRequest } from "./tokenize-request.ts";

function refusal(read: (body: unknown) => unknown, body: unknown): ApiError {
  try {
    read(body);
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error(`expected a refusal of ${JSON.stringify(body)}`);
}

const user = { role: "user", content: "hi" };

/** Codes and parameters of the warnings about a body. */
function warned(
  read: (body: unknown) => { warnings: readonly { code: string; param: string | null }[] },
  body: unknown,
): (string | null)[][] {
  return read(body).warnings.map(({ code, param }) => [code, param]);
}

describe("what is accepted", () => {
  test("every form of a prompt, null for defaults", () => {
    for (const prompt of ["", "a", ["a", "b"], [1, 2], [[1], [2, 3]]]) {
      const { body, warnings } = readCompletionRequest({ prompt, max_tokens: null, made_up: null });
      expect(body.prompt).toEqual(prompt);
      expect(warnings).toEqual([]);
    }
    for (const max_tokens of [0, -1]) readCompletionRequest({ prompt: "a", max_tokens });
  });

  test("messages with text, text parts, refusals, further fields", () => {
    const parts = [{ type: "text", text: "a", cache_control: { type: "ephemeral" } }];
    const messages = [
      { role: "system", content: "be brief" },
      { role: "user", content: parts, name: "eve" },
      { role: "assistant", content: null, tool_calls: [{ id: "1" }] },
      { role: "tool", content: "4", tool_call_id: "1" },
      { role: "assistant", content: [{ type: "refusal", refusal: "no" }] },
    ];
    expect(readChatRequest({ messages }).body.messages).toEqual(messages);
  });

  test("parameters of peers at values that ask for nothing", () => {
    const neutral = { frequency_penalty: 0, logit_bias: {}, n: 2, mirostat: 0, length_penalty: 1 };
    const format = { response_format: { type: "text" } };
    const completion = { prompt: "a", ...neutral, ...format, best_of: 2, suffix: "", user: "eve" };
    expect(warned(readCompletionRequest, completion)).toEqual([]);
    const tools = [{ type: "function", function: { name: "f" } }];
    const chat = { messages: [user], ...neutral, ...format, tools, store: false };
    expect(warned(readChatRequest, chat)).toEqual([]);
    for (const tool_choice of [
      "none",
      "auto",
      { type: "allowed_tools", mode: "auto", tools: [] },
    ]) {
      expect(warned(readChatRequest, { ...chat, tool_choice })).toEqual([]);
    }
    const items = [
      { role: "user", content: [{ type: "input_text", text: "w?" }] },
      { type: "reasoning", id: "r", summary: [] },
      { type: "function_call", call_id: "1", name: "f", arguments: "{}" },
      { type: "function_call_output", call_id: "1", output: "4" },
    ];
    const input = items.filter(({ type }) => type !== "reasoning");
    expect(warned(readResponsesRequest, { input, include: [], tools: [] })).toEqual([]);
    expect(warned(readResponsesRequest, { input: items })).toEqual([
      ["adjusted_parameter", "input"],
    ]);
  });

  test("seeds of 64 bits, to the last digit", () => {
    const seedOf = (text: string): unknown =>
      readCompletionRequest(parseJsonBody(`{"prompt":"a","seed":${text}}`)).body.seed;
    expect(seedOf("7")).toBe(7);
    expect(seedOf("9007199254740991")).toBe(9007199254740991);
    expect(seedOf("9007199254740993")).toBe(9007199254740993n);
    expect(seedOf("9223372036854775807")).toBe(9223372036854775807n);
    expect(seedOf("-9223372036854775808")).toBe(-9223372036854775808n);
    for (const beyond of ["9223372036854775808", "-9223372036854775809", "1e30", "1.5", "1e400"]) {
      expect(refusal(() => seedOf(beyond), undefined).body.param).toBe("seed");
    }
    // The outermost field counts, the last one where there are two; text within strings does not.
    const tricky =
      '{"a":"\\"seed\\":1","seed":1,"b":{"seed":2},"c":["seed",3],"s\\u0065ed" : 9007199254740993}';
    expect(parseJsonBody(tricky)).toMatchObject({ seed: 9007199254740993n, b: { seed: 2 } });
  });
});

describe("what is not obeyed is told", () => {
  test("unknown fields are named, nested ones too, and at most twenty of them", () => {
    const body = { prompt: "a", made_up: 1, stream: true, stream_options: { every: 2 } };
    expect(warned(readCompletionRequest, body)).toEqual([
      ["unknown_parameter", "made_up"],
      ["unknown_parameter", "stream_options.every"],
    ]);
    expect(readCompletionRequest(body).body).not.toHaveProperty("made_up");
    expect(warned(readTokenizeRequest, { prompt: "a", model: "m", pair: "b" })).toEqual([
      ["unknown_parameter", "pair"],
    ]);
    const near = readCompletionRequest({ prompt: "a", max_token: 3 }).warnings;
    expect(near[0]!.message).toMatch(/'max_token' .* ignored; did you mean 'max_tokens'\?$/);
    const misnamed = refusal(readEmbeddingsRequest, { inputs: ["a"], extra: 1 });
    expect(misnamed.body.message).toBe("Missing required parameter: 'input'; 'inputs' is none.");
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`field${i}`, 1]));
    const { warnings } = readChatRequest({ messages: [user], ...many });
    expect(warnings).toHaveLength(21);
    expect(warnings.at(-1)!.message).toContain("10 more");
  });

  test("a name of the client cannot forge a line of the log", () => {
    const [warning] = readCompletionRequest({ prompt: "a", ["x\ny".repeat(200)]: 1 }).warnings;
    expect(warning!.message).not.toContain("\n");
    expect(warning!.message.length).toBeLessThan(200);
  });

  test("fields without effect on the text are named", () => {
    const body = { messages: [user], store: true, priority: 3, service_tier: "flex" };
    expect(warned(readChatRequest, body)).toEqual([
      ["ignored_parameter", "store"],
      ["ignored_parameter", "priority"],
      ["ignored_parameter", "service_tier"],
    ]);
  });
});

test("a schema that drifts from its interface does not compile", () => {
  type Checks = [
    same: Expect<Equal<{ a?: number | undefined }, { a?: number | undefined }>>,
    optional: Equal<{ a?: number }, { a: number }>,
    wider: Equal<{ a: number | null }, { a: number }>,
    missing: Equal<{ a: number; b?: string }, { a: number }>,
  ];
  const checks: Checks = [true, false, false, false];
  expect(checks).toHaveLength(4);
});

describe("what is refused", () => {
  const cases: [string, (body: unknown) => unknown, unknown, string | null, string][] = [
    ["no object", readCompletionRequest, [1], null, "invalid_type"],
    ["no prompt", readCompletionRequest, {}, "prompt", "missing_required_parameter"],
    ["empty list", readCompletionRequest, { prompt: [] }, "prompt", "invalid_value"],
    ["half an id", readCompletionRequest, { prompt: [1, 2.5] }, "prompt", "invalid_value"],
    ["hot", readCompletionRequest, { prompt: "a", temperature: 3 }, "temperature", "invalid_value"],
    ["text", readCompletionRequest, { prompt: "a", seed: "1" }, "seed", "invalid_value"],
    ["half", readCompletionRequest, { prompt: "a", max_tokens: -2 }, "max_tokens", "invalid_value"],
    ["none", readChatRequest, { messages: [user], max_tokens: 0 }, "max_tokens", "invalid_value"],
    [
      "17 stops",
      readCompletionRequest,
      { prompt: "a", stop: Array(17).fill("x") },
      "stop",
      "invalid_value",
    ],
    ["empty stop", readCompletionRequest, { prompt: "a", stop: [""] }, "stop[0]", "invalid_value"],
    [
      "best_of",
      readCompletionRequest,
      { prompt: "a", best_of: 3 },
      "best_of",
      "unsupported_parameter",
    ],
    ["21", readCompletionRequest, { prompt: "a", logprobs: 21 }, "logprobs", "invalid_value"],
    [
      "bias",
      readCompletionRequest,
      { prompt: "a", logit_bias: { 5: 101 } },
      "logit_bias.5",
      "invalid_value",
    ],
    [
      "penalty",
      readChatRequest,
      { messages: [user], presence_penalty: 3 },
      "presence_penalty",
      "invalid_value",
    ],
    [
      "two names",
      readCompletionRequest,
      { prompt: "a", repeat_penalty: 1.1, repetition_penalty: 1.2 },
      "repeat_penalty",
      "invalid_value",
    ],
    [
      "min above max",
      readCompletionRequest,
      { prompt: "a", min_tokens: 9, max_tokens: 8 },
      "min_tokens",
      "invalid_value",
    ],
    [
      "scores in a stream",
      readCompletionRequest,
      { prompt: "a", prompt_logprobs: 1, stream: true },
      "prompt_logprobs",
      "invalid_value",
    ],
    [
      "json completion",
      readCompletionRequest,
      { prompt: "a", response_format: { type: "json_object" } },
      "response_format",
      "unsupported_parameter",
    ],
    [
      "beams",
      readCompletionRequest,
      { prompt: "a", use_beam_search: true },
      "use_beam_search",
      "unsupported_parameter",
    ],
    [
      "grammar",
      readChatRequest,
      { messages: [user], guided_regex: "a+" },
      "guided_regex",
      "unsupported_parameter",
    ],
    [
      "both ends",
      readChatRequest,
      { messages: [user], continue_final_message: true, add_generation_prompt: true },
      "continue_final_message",
      "invalid_value",
    ],
    [
      "options without stream",
      readChatRequest,
      { messages: [user], stream_options: {} },
      "stream_options",
      "invalid_value",
    ],
    ["no messages", readChatRequest, { messages: [] }, "messages", "invalid_value"],
    [
      "role",
      readChatRequest,
      { messages: [user, { role: "king", content: "a" }] },
      "messages[1].role",
      "invalid_value",
    ],
    [
      "image",
      readChatRequest,
      { messages: [{ role: "user", content: [{ type: "image_url" }] }] },
      "messages[0].content",
      "invalid_value",
    ],
    [
      "json",
      readChatRequest,
      { messages: [user], response_format: { type: "json_object" } },
      "response_format",
      "unsupported_parameter",
    ],
    [
      "required",
      readChatRequest,
      { messages: [user], tools: [], tool_choice: "required" },
      "tool_choice",
      "unsupported_parameter",
    ],
    [
      "named",
      readChatRequest,
      { messages: [user], tool_choice: { type: "function", function: { name: "f" } } },
      "tool_choice",
      "unsupported_parameter",
    ],
    [
      "required among allowed",
      readChatRequest,
      {
        messages: [user],
        tool_choice: { type: "allowed_tools", allowed_tools: { mode: "required", tools: [] } },
      },
      "tool_choice",
      "unsupported_parameter",
    ],
    ["no input", readResponsesRequest, {}, "input", "missing_required_parameter"],
    [
      "image item",
      readResponsesRequest,
      { input: [{ role: "user", content: [{ type: "input_image" }] }] },
      "input",
      "invalid_value",
    ],
    [
      "history",
      readResponsesRequest,
      { input: "a", previous_response_id: "resp_1" },
      "previous_response_id",
      "unsupported_parameter",
    ],
    [
      "search",
      readResponsesRequest,
      { input: "a", tools: [{ type: "web_search" }] },
      "tools",
      "unsupported_parameter",
    ],
    [
      "schema",
      readResponsesRequest,
      { input: "a", text: { format: { type: "json_schema", name: "x", schema: {} } } },
      "text.format",
      "unsupported_parameter",
    ],
    [
      "older limit",
      readResponsesRequest,
      { input: "a", max_tokens: 3 },
      "max_tokens",
      "unsupported_parameter",
    ],
    [
      "top alone",
      readChatRequest,
      { messages: [user], top_logprobs: 2 },
      "top_logprobs",
      "invalid_value",
    ],
    ["no text", readTokenizeRequest, {}, "text", "missing_required_parameter"],
    ["negative", readDetokenizeRequest, { ids: [-1] }, "ids[0]", "invalid_value"],
  ];
  test.each(cases)("%s", (_name, read, body, param, code) => {
    const { status, body: error } = refusal(read, body);
    expect({ status, param: error.param, code: error.code }).toEqual({ status: 400, param, code });
    expect(error.type).toBe("invalid_request_error");
    if (param !== null) expect(error.message).toContain(param.replace(/\[.*/, ""));
  });

  test("any JSON at all is accepted or refused with a 400, never anything else", () => {
    const readers = [
      readCompletionRequest,
      readChatRequest,
      readResponsesRequest,
      readTokenizeRequest,
      readDetokenizeRequest,
    ];
    const names = ["prompt", "messages", "input", "text", "ids", "stop", "n", "logprobs", "seed"];
    const body = fc.oneof(
      fc.jsonValue(),
      fc.dictionary(fc.constantFrom(...names, "__proto__"), fc.jsonValue()),
    );
    fc.assert(
      fc.property(body, fc.constantFrom(...readers), (value, read) => {
        try {
          read(value);
        } catch (error) {
          expect(error).toBeInstanceOf(ApiError);
          expect((error as ApiError).status).toBe(400);
        }
      }),
      { numRuns: 500 },
    );
  });
});
