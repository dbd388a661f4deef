/**
 * Every field of a request that docs/server.md lists, on a server over the bundled model; those that all
 * endpoints share are in sampling-fields.test.ts.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fieldNotes, type GenerationKind } from "./requests/field-notes.ts";
import { isNeutralElsewhere, listForeignFields } from "./requests/judge-field.ts";
import { otherFields } from "./requests/other-fields.ts";
import { samplingFields } from "./requests/sampling-fields.ts";
import { Endpoint, type Fields, generationKinds, limitNames, prompt } from "./testing/endpoint.ts";
import { type NanoServer, startNanoServer } from "./testing/nano-server.ts";

const template =
  "{{ mood }}{{ reasoning_effort }}{% if documents %}{{ documents[0].text }}{% endif %}{% for tool in tools or [] %}{{ tool.function.name }} {% endfor %}" +
  "{% for m in messages %}{{ m.content }}{% if not loop.last %}; {% endif %}{% endfor %}" +
  "{% if add_generation_prompt %} -{% endif %}";

let nano: NanoServer;
beforeAll(async () => {
  nano = await startNanoServer({ chatTemplate: template });
});
afterAll(() => nano[Symbol.asyncDispose]());

type Case = (endpoint: Endpoint) => Promise<void>;

const completionCases: Readonly<Record<string, Case>> = {
  async prompt(endpoint) {
    const [text] = (await endpoint.ask({})).texts;
    const ids = [...nano.model.tokenizer.encodeIds(prompt)];
    for (const form of [ids, [prompt], [ids, ids], [prompt, prompt]]) {
      for (const same of (await endpoint.ask({ prompt: form })).texts) expect(same).toBe(text);
    }
    await endpoint.refuses({ prompt: [4099] }, "prompt", "invalid_value");
  },
  n: severalChoices,
  async best_of(endpoint) {
    expect((await endpoint.ask({ n: 2, best_of: 2 })).texts).toHaveLength(2);
    await endpoint.refuses({ best_of: 3 }, "best_of");
  },
  async max_tokens(endpoint) {
    await checkLimit(endpoint, "max_tokens");
    expect((await endpoint.ask({ max_tokens: 0 })).completionTokens).toBe(0);
    // OpenAI's default, which `min_tokens` must not exceed either.
    expect((await endpoint.ask({ max_tokens: null })).completionTokens).toBe(16);
    await endpoint.refuses({ max_tokens: null, min_tokens: 17 }, "min_tokens", "invalid_value");
  },
  async echo(endpoint) {
    const [text] = (await endpoint.ask({})).texts;
    expect((await endpoint.ask({ echo: true })).texts).toEqual([prompt + text]);
    const { document } = await endpoint.ask({ echo: true, logprobs: 1, max_tokens: 0 });
    expect(document.choices[0].logprobs.token_logprobs[0]).toBeNull();
  },
  async logprobs(endpoint) {
    const { document } = await endpoint.ask({ logprobs: 2, max_tokens: 3 });
    const { tokens, top_logprobs: top } = document.choices[0].logprobs;
    expect(tokens).toHaveLength(3);
    for (const entry of top) expect(Object.keys(entry).length).toBeGreaterThanOrEqual(2);
    await endpoint.refuses({ logprobs: 21 }, "logprobs", "invalid_value");
  },
  async prompt_logprobs(endpoint) {
    const { document, promptTokens } = await endpoint.ask({ prompt_logprobs: 1, stream: false });
    expect(document.choices[0].prompt_logprobs).toHaveLength(promptTokens);
  },
  async suffix(endpoint) {
    // The tokens of the fill-in-the-middle prompt, and those of the suffix.
    const suffix = " of the East.";
    const filled = await endpoint.ask({ suffix });
    const plain = await endpoint.ask({});
    const { tokenizer } = nano.model;
    const more = tokenizer.encodeIds(suffix, { addSpecialTokens: false }).length;
    expect(filled.promptTokens).toBeGreaterThanOrEqual(plain.promptTokens + more + 2);
    expect(filled.texts).not.toEqual(plain.texts);
  },
  async add_special_tokens(endpoint) {
    const bare = await endpoint.ask({ add_special_tokens: false });
    const { tokenizer } = nano.model;
    expect(bare.promptTokens).toBe(tokenizer.encodeIds(prompt, { addSpecialTokens: false }).length);
    expect((await endpoint.ask({})).promptTokens).toBe(tokenizer.encodeIds(prompt).length);
  },
  response_format: checkResponseFormat,
};

const templateCases: Readonly<Record<string, Case>> = {
  async tools(endpoint) {
    const plain = await endpoint.ask({});
    const told = await endpoint.ask({ tools: toolsOf(endpoint) });
    expect(told.promptTokens).toBeGreaterThan(plain.promptTokens);
    expect(told.warned).toEqual(["tools"]);
    const none = await endpoint.ask({ tools: toolsOf(endpoint), tool_choice: "none" });
    expect([none.promptTokens, none.texts, none.warned]).toEqual([
      plain.promptTokens,
      plain.texts,
      [],
    ]);
  },
  async tool_choice(endpoint) {
    for (const choice of ["none", "auto"]) {
      expect((await endpoint.ask({ tool_choice: choice })).status).toBe(200);
    }
    for (const choice of ["required", { type: "function", name: "weather" }]) {
      const fields = { tools: toolsOf(endpoint), tool_choice: choice };
      await endpoint.refuses(fields, "tool_choice");
    }
  },
  async chat_template_kwargs(endpoint) {
    const plain = await endpoint.ask({});
    const dry = await endpoint.ask({ chat_template_kwargs: { mood: "very dry" } });
    expect(dry.promptTokens).toBeGreaterThan(plain.promptTokens);
    const unread = await endpoint.ask({ chat_template_kwargs: { enable_thinking: false } });
    expect([unread.texts, unread.warned]).toEqual([
      plain.texts,
      ["chat_template_kwargs.enable_thinking"],
    ]);
    for (const name of ["messages", "add_generation_prompt", "tools"]) {
      const param = `chat_template_kwargs.${name}`;
      await endpoint.refuses({ chat_template_kwargs: { [name]: [] } }, param, "invalid_value");
    }
  },
};

const chatCases: Readonly<Record<string, Case>> = {
  ...templateCases,
  async messages(endpoint) {
    const ask = async (...messages: Fields[]): Promise<number> =>
      (await endpoint.ask({ messages })).promptTokens;
    const user = { role: "user", content: prompt };
    const parts = { role: "user", content: [{ type: "text", text: prompt }] };
    expect(await ask(parts)).toBe(await ask(user));
    const refusal = await ask(user, { role: "assistant", content: "no" }, user);
    const part = { role: "assistant", content: [{ type: "refusal", refusal: "no" }] };
    expect(await ask(user, part, user)).toBe(refusal);
    const field = { role: "assistant", content: null, refusal: "no" };
    expect(await ask(user, field, user)).toBe(refusal);
    for (const role of ["user", "system", "tool"]) {
      const param = "messages[0].content";
      await endpoint.refuses({ messages: [{ role }] }, param, "missing_required_parameter");
    }
  },
  n: severalChoices,
  max_tokens: (endpoint) => checkLimit(endpoint, "max_tokens", { max_completion_tokens: null }),
  async max_completion_tokens(endpoint) {
    await checkLimit(endpoint, "max_completion_tokens");
    const both = await endpoint.ask({ max_tokens: 3, max_completion_tokens: 5 });
    expect(both.completionTokens).toBe(5);
  },
  async logprobs(endpoint) {
    const { document } = await endpoint.ask({ logprobs: true, stream: false });
    expect(document.choices[0].logprobs.content).toHaveLength(12);
    expect((await endpoint.ask({ logprobs: false })).document.choices[0].logprobs).toBeNull();
  },
  async top_logprobs(endpoint) {
    const { document } = await endpoint.ask({ logprobs: true, top_logprobs: 3 });
    expect(document.choices[0].logprobs.content[0].top_logprobs).toHaveLength(3);
    await endpoint.refuses({ top_logprobs: 3 }, "top_logprobs", "invalid_value");
  },
  async prompt_logprobs(endpoint) {
    const { document, promptTokens } = await endpoint.ask({ prompt_logprobs: 1, stream: false });
    expect(document.prompt_logprobs).toHaveLength(promptTokens);
  },
  response_format: checkResponseFormat,
  async functions(endpoint) {
    const told = await endpoint.ask({ functions: [{ name: "weather" }] });
    expect(told.promptTokens).toBe((await endpoint.ask({ tools: toolsOf(endpoint) })).promptTokens);
  },
  async function_call(endpoint) {
    const functions = [{ name: "weather" }];
    const none = await endpoint.ask({ functions, function_call: "none" });
    expect(none.promptTokens).toBe((await endpoint.ask({})).promptTokens);
    await endpoint.refuses({ functions, function_call: { name: "weather" } }, "function_call");
  },
  async modalities(endpoint) {
    expect((await endpoint.ask({ modalities: ["text"] })).warned).toEqual([]);
    await endpoint.refuses({ modalities: ["text", "audio"] }, "modalities");
  },
  documents: (endpoint) => adds(endpoint, { documents: [{ text: "a page about it" }] }),
  reasoning_effort: (endpoint) => adds(endpoint, { reasoning_effort: "high" }),
  async add_generation_prompt(endpoint) {
    const open = await endpoint.ask({ add_generation_prompt: false });
    expect(open.promptTokens).toBe((await endpoint.ask({})).promptTokens - 1);
  },
  async continue_final_message(endpoint) {
    const messages = [
      { role: "user", content: "hi" },
      { role: "assistant", content: prompt },
    ];
    const { texts, promptTokens } = await endpoint.ask({ messages, continue_final_message: true });
    const ids = nano.model.tokenizer.encodeIds(`hi; ${prompt}`, { addSpecialTokens: false });
    expect(promptTokens).toBe(ids.length);
    expect(texts).not.toEqual((await endpoint.ask({ messages })).texts);
  },
  add_special_tokens: (endpoint) => adds(endpoint, { add_special_tokens: true }),
};

const responsesCases: Readonly<Record<string, Case>> = {
  ...templateCases,
  async input(endpoint) {
    const items = [{ type: "message", role: "user", content: prompt }];
    expect((await endpoint.ask({ input: items })).texts).toEqual((await endpoint.ask({})).texts);
    const seen = await endpoint.ask({ input: [{ type: "reasoning", summary: [] }, ...items] });
    expect([seen.texts, seen.warned]).toEqual([(await endpoint.ask({})).texts, ["input"]]);
  },
  instructions: (endpoint) => adds(endpoint, { instructions: "Be brief." }),
  max_output_tokens: (endpoint) => checkLimit(endpoint, "max_output_tokens"),
  async top_logprobs(endpoint) {
    const { document } = await endpoint.ask({ top_logprobs: 2 });
    const [{ top_logprobs: top }] = document.output[0].content[0].logprobs;
    expect(top).toHaveLength(2);
  },
  async include(endpoint) {
    const { document } = await endpoint.ask({ include: ["message.output_text.logprobs"] });
    expect(document.output[0].content[0].logprobs).toHaveLength(12);
    await endpoint.refuses({ include: ["everything"] }, "include", "invalid_value");
  },
  async text(endpoint) {
    const text = { format: { type: "text" }, verbosity: "medium" };
    expect((await endpoint.ask({ text })).warned).toEqual([]);
    await endpoint.refuses({ text: { format: { type: "json_object" } } }, "text.format");
    await endpoint.refuses({ text: { verbosity: "low" } }, "text.verbosity");
  },
  async reasoning(endpoint) {
    await adds(endpoint, { reasoning: { effort: "high" } });
    const { warned } = await endpoint.ask({ reasoning: { summary: "auto" } });
    expect(warned).toEqual(["reasoning.summary"]);
  },
  async truncation(endpoint) {
    expect((await endpoint.ask({ truncation: "disabled" })).status).toBe(200);
    await endpoint.refuses({ truncation: "auto" }, "truncation");
  },
  async metadata(endpoint) {
    const metadata = { topic: "emperors" };
    expect((await endpoint.ask({ metadata })).document.metadata).toEqual(metadata);
  },
};

async function severalChoices(endpoint: Endpoint): Promise<void> {
  const sampled = { temperature: 1.5, seed: 5 };
  const { texts } = await endpoint.ask({ ...sampled, n: 3 });
  expect(texts).toHaveLength(3);
  for (const [sequence, text] of texts.entries()) {
    expect(text).toBe(await endpoint.expected({ greedy: false, ...sampled, sequence }));
  }
}

/** A limit is obeyed, and lowered to what the context leaves. */
async function checkLimit(endpoint: Endpoint, name: string, base: Fields = {}): Promise<void> {
  expect((await endpoint.ask({ ...base, [name]: 5 })).completionTokens).toBe(5);
  const full = { ...base, ...endpoint.prompted(" the".repeat(1000)) };
  const left = nano.model.contextLength - (await endpoint.ask({ ...full, [name]: 1 })).promptTokens;
  const beyond = await endpoint.ask({ ...full, [name]: 100_000, stream: false });
  expect([beyond.completionTokens, beyond.warned]).toEqual([left, [name]]);
  const rest = await endpoint.ask({ ...full, [name]: -1, stream: false });
  expect([rest.completionTokens, rest.warned]).toEqual([left, []]);
  await endpoint.refuses({ ...base, [name]: -2 }, name, "invalid_value");
}

async function checkResponseFormat(endpoint: Endpoint): Promise<void> {
  expect((await endpoint.ask({ response_format: { type: "text" } })).warned).toEqual([]);
  await endpoint.refuses({ response_format: { type: "json_object" } }, "response_format");
}

function toolsOf({ kind }: Endpoint): Fields[] {
  const called = { name: "weather" };
  return [{ type: "function", ...(kind === "responses" ? called : { function: called }) }];
}

/** The field makes the prompt longer. */
async function adds(endpoint: Endpoint, fields: Fields): Promise<void> {
  const { promptTokens, warned } = await endpoint.ask(fields);
  expect(promptTokens).toBeGreaterThan((await endpoint.ask({})).promptTokens);
  expect(warned).toEqual([]);
}

const cases: Readonly<Record<GenerationKind, Readonly<Record<string, Case>>>> = {
  completion: completionCases,
  chat: chatCases,
  responses: responsesCases,
};

describe.each(generationKinds)("%s obeys", (kind) => {
  test("every field that has a case, and no other", () => {
    const own = Object.keys(fieldNotes[kind]).filter(
      (name) => !Object.hasOwn(samplingFields, name),
    );
    expect(Object.keys(cases[kind]).sort()).toEqual(own.sort());
  });

  test.each(Object.entries(cases[kind]))("%s", async (_name, check) => {
    await check(new Endpoint(nano, kind));
  });
});

describe.each(generationKinds)("%s does not obey", (kind) => {
  /** Status, parameter at fault and warnings of a request with one more field. */
  async function tell(name: string, value: unknown): Promise<unknown[]> {
    const { status, param, warned } = await new Endpoint(nano, kind).ask({
      [limitNames[kind]]: 1,
      [name]: value,
      stream: false,
    });
    return [name, value, status, param ?? null, ...warned];
  }
  const asking = { asks: "for something" };

  test("fields of other servers: refused where the text would differ, named where not", async () => {
    for (const [name, rule] of Object.entries(otherFields)) {
      if (Object.hasOwn(fieldNotes[kind], name)) continue;
      const outcome = { refuse: [400, name], warn: [200, null, name], inert: [200, null] };
      expect(await tell(name, asking)).toEqual([name, asking, ...outcome[rule.kind]]);
      if (rule.kind === "inert") continue;
      const neutral = rule.neutral === "empty" ? [false, "", [], {}] : rule.neutral;
      for (const value of [...neutral, null]) {
        expect(await tell(name, value)).toEqual([name, value, 200, null]);
      }
    }
  });

  test("fields of the other endpoints, unless they ask for nothing", async () => {
    for (const name of listForeignFields(kind)) {
      expect(await tell(name, asking)).toEqual([name, asking, 400, name]);
      for (const value of [false, true, 1, 0, "none", "disabled", [], null]) {
        const outcome = isNeutralElsewhere(name, value) ? [200, null] : [400, name];
        expect(await tell(name, value)).toEqual([name, value, ...outcome]);
      }
    }
  });

  test("a name that it has never heard of: the answer, its stream and the log say so", async () => {
    const { warned } = await new Endpoint(nano, kind).ask({ made_up: 1 });
    expect(warned).toEqual(["made_up"]);
    expect(nano.lines.some((line) => line.includes("warning: 'made_up'"))).toBe(true);
  });
});
