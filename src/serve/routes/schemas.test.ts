import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ApiError } from "../middleware/errors.ts";
import {
  readChatRequest,
  readCompletionRequest,
  readDetokenizeRequest,
  readTokenizeRequest,
} from "./schemas.ts";

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

describe("what is accepted", () => {
  test("every form of a prompt, null for defaults, unknown parameters", () => {
    for (const prompt of ["", "a", ["a", "b"], [1, 2], [[1], [2, 3]]]) {
      expect(readCompletionRequest({ prompt, max_tokens: null, made_up: 1 }).prompt).toEqual(
        prompt,
      );
    }
    expect(readCompletionRequest({ prompt: "a", made_up: 1 })).not.toHaveProperty("made_up");
  });

  test("messages with text, text parts, further fields", () => {
    const parts = [{ type: "text", text: "a", cache_control: { type: "ephemeral" } }];
    const messages = [
      { role: "system", content: "be brief" },
      { role: "user", content: parts, name: "eve" },
      { role: "assistant", content: null, tool_calls: [{ id: "1" }] },
      { role: "tool", content: "4", tool_call_id: "1" },
    ];
    expect(readChatRequest({ messages }).messages).toEqual(messages);
  });

  test("parameters that are known and do nothing at their default", () => {
    const neutral = { frequency_penalty: 0, presence_penalty: 0, logit_bias: {}, n: 2 };
    readCompletionRequest({ prompt: "a", ...neutral, best_of: 2, suffix: "" });
    readChatRequest({ messages: [user], ...neutral, tools: [], response_format: { type: "text" } });
  });
});

describe("what is refused", () => {
  const cases: [string, (body: unknown) => unknown, unknown, string | null, string][] = [
    ["no object", readCompletionRequest, [1], null, "invalid_type"],
    ["no prompt", readCompletionRequest, {}, "prompt", "missing_required_parameter"],
    ["empty list", readCompletionRequest, { prompt: [] }, "prompt", "invalid_value"],
    ["half an id", readCompletionRequest, { prompt: [1, 2.5] }, "prompt", "invalid_value"],
    ["hot", readCompletionRequest, { prompt: "a", temperature: 3 }, "temperature", "invalid_value"],
    ["text", readCompletionRequest, { prompt: "a", seed: "1" }, "seed", "invalid_type"],
    [
      "no tokens",
      readCompletionRequest,
      { prompt: "a", max_tokens: 0 },
      "max_tokens",
      "invalid_value",
    ],
    [
      "17 stops",
      readCompletionRequest,
      { prompt: "a", stop: Array(17).fill("x") },
      "stop",
      "invalid_value",
    ],
    ["empty stop", readCompletionRequest, { prompt: "a", stop: [""] }, "stop[0]", "invalid_value"],
    [
      "suffix",
      readCompletionRequest,
      { prompt: "a", suffix: "b" },
      "suffix",
      "unsupported_parameter",
    ],
    [
      "best_of",
      readCompletionRequest,
      { prompt: "a", best_of: 3 },
      "best_of",
      "unsupported_parameter",
    ],
    [
      "echo scores",
      readCompletionRequest,
      { prompt: "a", echo: true, logprobs: 1 },
      "logprobs",
      "unsupported_parameter",
    ],
    ["six", readCompletionRequest, { prompt: "a", logprobs: 6 }, "logprobs", "invalid_value"],
    [
      "bias",
      readCompletionRequest,
      { prompt: "a", logit_bias: { 5: 1 } },
      "logit_bias",
      "unsupported_parameter",
    ],
    [
      "penalty",
      readChatRequest,
      { messages: [user], presence_penalty: 1 },
      "presence_penalty",
      "unsupported_parameter",
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
    ["tools", readChatRequest, { messages: [user], tools: [{}] }, "tools", "unsupported_parameter"],
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
      readTokenizeRequest,
      readDetokenizeRequest,
    ];
    const names = ["prompt", "messages", "text", "ids", "stop", "n", "logprobs", "logit_bias"];
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
