/** What a chat request's messages, tools and template fields become in the prompt. */
import { afterEach, describe, expect, test } from "vitest";
import { createTokenizer } from "../tokenizer/index.ts";
import { byteLevelFile } from "../tokenizer/testing/fixtures.ts";
import type { ServeContext } from "./context.ts";
import { toApiError } from "./middleware/errors.ts";
import { readChatRequest } from "./requests/chat-request.ts";
import { renderPrompt } from "./routes/chat-prompt.ts";
import { type NanoServer, startNanoServer } from "./testing/nano-server.ts";

/** The prompt's text under a template, and the fields that the warnings name. */
function render(template: string, body: object): { text: string; warned: (string | null)[] } {
  const chatTemplates = new Map([["default", template]]);
  const tokenizer = createTokenizer(byteLevelFile(), { chatTemplates });
  const context = { model: { tokenizer }, modelName: "m" } as unknown as ServeContext;
  const request = readChatRequest(body).body;
  const { ids, warnings } = renderPrompt(context, request, "messages");
  const text = tokenizer.decode(ids, { skipSpecialTokens: false });
  return { text, warned: warnings.map(({ param }) => param) };
}

const user = { role: "user", content: "w?" };
const call = (text: string): object => ({
  role: "assistant",
  content: null,
  tool_calls: [{ id: "a", type: "function", function: { name: "get", arguments: text } }],
});
const result = { role: "tool", tool_call_id: "a", content: "sunny" };
const plain = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}";

describe("content", () => {
  test("is joined of parts; a refusal's text counts; developers are the system", () => {
    const parts = [
      { type: "text", text: "a" },
      { type: "text", text: "b" },
    ];
    const messages = [
      { role: "developer", content: parts },
      { role: "user", content: "hi" },
      { role: "assistant", content: [{ type: "refusal", refusal: "no" }] },
      { role: "assistant" },
    ];
    const { text } = render(plain, { messages });
    expect(text).toBe("[system]ab[user]hi[assistant]no[assistant]");
  });

  test("stays null beside tool calls, which some templates ask for", () => {
    const template =
      "{% for m in messages %}{% if m.content is none %}CALL {{ m.tool_calls[0].function.name }};" +
      "{% else %}{{ m.content }};{% endif %}{% endfor %}";
    expect(render(template, { messages: [user, call("{}"), result] }).text).toBe(
      "w?;CALL get;sunny;",
    );
  });

  test("is empty where the template would print null, or fails on it", () => {
    const messages = [user, call("{}"), result];
    expect(render(plain, { messages }).text).toBe("[user]w?[assistant][tool]sunny");
    const adding = "{% for m in messages %}{{ '<' + m.content + '>' }}{% endfor %}";
    expect(render(adding, { messages }).text).toBe("<w?><><sunny>");
    const failing = "{% for m in messages %}{{ m.content.strip() }}{% endfor %}";
    expect(render(failing, { messages }).text).toBe("w?sunny");
  });
});

describe("tool calls of the history", () => {
  const template =
    "{% for m in messages %}{{ m.content }}{% if m.tool_calls %}" +
    "{{ m.tool_calls[0].function.arguments | tojson }}{% endif %}{% endfor %}";
  const items =
    "{% for m in messages %}{% if m.tool_calls %}{% for k, v in " +
    "m.tool_calls[0].function.arguments|items %}<{{ k }}>{{ v }}{% endfor %}{% endif %}{% endfor %}";

  test("have their arguments decoded once", () => {
    const messages = [user, call('{"city":"Paris"}'), result];
    expect(render(template, { messages }).text).toBe('w?{"city": "Paris"}sunny');
    expect(render(items, { messages }).text).toBe("<city>Paris");
  });

  test("empty arguments are an empty object; what is not JSON stays text, with a warning", () => {
    expect(render(template, { messages: [user, call(""), result] }).text).toBe("w?{}sunny");
    const broken = render(template, { messages: [user, call("{city"), result] });
    expect(broken).toEqual({ text: 'w?"{city"sunny', warned: ["messages[1].tool_calls"] });
  });
});

describe("older forms", () => {
  test("function_call and the role of a function are a tool call and its result", () => {
    const template =
      "{% for m in messages %}[{{ m.role }}]{{ m.content or '' }}" +
      "{% for c in m.tool_calls or [] %}{{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}" +
      "{% endfor %}";
    const messages = [
      user,
      { role: "assistant", content: null, function_call: { name: "get", arguments: '{"a": 1}' } },
      { role: "function", name: "get", content: "5" },
    ];
    const { text, warned } = render(template, { messages });
    expect(text).toBe('[user]w?[assistant]get{"a": 1}[tool]5');
    expect(warned).toEqual([]);
  });

  test("a message that was spoken is refused", () => {
    const messages = [user, { role: "assistant", content: null, audio: { id: "a" } }, user];
    expect(() => render(plain, { messages })).toThrow("audio");
  });
});

describe("tools", () => {
  const tools = [{ type: "function", function: { name: "f", parameters: {} } }];
  const template =
    "{% if tools %}{{ tools[0].function.name }}:{% endif %}{{ messages[0].content }}";

  test("reach the template, unless the choice is none", () => {
    const body = { messages: [user], tools };
    expect(render(template, body)).toEqual({ text: "f:w?", warned: ["tools"] });
    expect(render(template, { ...body, tool_choice: "auto" }).text).toBe("f:w?");
    expect(render(template, { ...body, tool_choice: "none" })).toEqual({ text: "w?", warned: [] });
    const older = { messages: [user], functions: [{ name: "f" }] };
    expect(render(template, older).text).toBe("f:w?");
    expect(render(template, { ...older, function_call: "none" }).text).toBe("w?");
  });

  test("that the template does not mention are named", () => {
    expect(render(plain, { messages: [user], tools }).warned).toEqual(["tools"]);
  });
});

describe("variables", () => {
  test("kwargs and reasoning_effort reach the template, or are named", () => {
    const template = "{{ mood }}/{{ reasoning_effort }}/{{ messages[0].content }}";
    const body = {
      messages: [user],
      chat_template_kwargs: { mood: "dry" },
      reasoning_effort: "low",
    };
    expect(render(template, body)).toEqual({ text: "dry/low/w?", warned: [] });
    expect(render(plain, body).warned).toEqual(["reasoning_effort", "chat_template_kwargs.mood"]);
    const documents = [{ title: "t", text: "x" }];
    expect(
      render("{{ documents[0].title }}{{ messages[0].content }}", { messages: [user], documents })
        .text,
    ).toBe("tw?");
    expect(render(plain, { messages: [user], documents }).warned).toEqual(["documents"]);
  });
});

describe("where the prompt ends", () => {
  const template =
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}" +
    "{% if add_generation_prompt %}<|assistant|>{% endif %}";
  const messages = [user, { role: "assistant", content: "The emperor " }];

  test("in a new turn, after the last one, or inside it", () => {
    const closed = "<|user|>w?</s><|assistant|>The emperor </s>";
    expect(render(template, { messages }).text).toBe(`${closed}<|assistant|>`);
    expect(render(template, { messages, add_generation_prompt: false }).text).toBe(closed);
    const inside = closed.slice(0, -"</s>".length);
    for (const more of [{}, { add_generation_prompt: false }]) {
      const body = { messages, continue_final_message: true, ...more };
      expect(render(template, body).text).toBe(inside);
    }
  });

  test("an empty prompt, and a template's own refusal, are the client's error", () => {
    expect(() => render("{{ '' }}", { messages })).toThrow("empty prompt");
    const refusing = "{{ raise_exception('roles must alternate') }}";
    let error: unknown;
    try {
      render(refusing, { messages });
    } catch (thrown) {
      error = thrown;
    }
    expect(toApiError(error)).toMatchObject({
      status: 400,
      body: { code: "chat_template_failed" },
    });
  });
});

describe("on the bundled model", () => {
  let nano: NanoServer | undefined;
  afterEach(async () => {
    await nano?.[Symbol.asyncDispose]();
    nano = undefined;
  });

  test("the second turn of a tool loop has the tokens of the decoded arguments", async () => {
    nano = await startNanoServer({
      chatTemplate:
        "{% for m in messages %}{{ m.content }}{% if m.tool_calls %}" +
        "{{ m.tool_calls[0].function.arguments | tojson }}{% endif %}{% endfor %}",
    });
    const messages = [user, call('{"city":"Paris"}'), result];
    const { document } = await nano.post("v1/chat/completions", { max_tokens: 1, messages });
    const text = 'w?{"city": "Paris"}sunny';
    const ids = nano.model.tokenizer.encodeIds(text, { addSpecialTokens: false });
    expect(document.usage.prompt_tokens).toBe(ids.length);
  });

  test("add_special_tokens adds what a template leaves out; prompt_logprobs score the prompt", async () => {
    nano = await startNanoServer({ chatTemplate: plain });
    const ask = async (more: object): Promise<{ tokens: number; scored: number | undefined }> => {
      const body = { max_tokens: 1, messages: [user], ...more };
      const { document } = await nano!.post("v1/chat/completions", body);
      return { tokens: document.usage.prompt_tokens, scored: document.prompt_logprobs?.length };
    };
    const { tokens } = await ask({});
    const added = nano.model.tokenizer.encodeIds("").length;
    expect(await ask({ add_special_tokens: true })).toEqual({
      tokens: tokens + added,
      scored: undefined,
    });
    expect(await ask({ prompt_logprobs: 1 })).toEqual({ tokens, scored: tokens });
  });
});
