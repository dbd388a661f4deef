import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { JetonError } from "../core/error.ts";
import { hasChatTemplate, renderChat } from "./chat-template.ts";
import { loadTokenizer } from "./formats/load-tokenizer.ts";
import { readTokenizerSettings } from "./formats/tokenizer-settings.ts";
import { byteFallbackFile } from "./testing/fixtures.ts";
import { createTokenizer } from "./tokenizer.ts";
import type { Tokenizer } from "./tokenizer-interface.ts";

const template =
  "{{ bos_token }}{% for message in messages %}{% if message.role == 'system' %}" +
  "{{ raise_exception('no system message, please') }}{% endif %}" +
  "<|{{ message.role }}|>{{ message.content }}{{ eos_token }}{% endfor %}" +
  "{% if add_generation_prompt %}<|assistant|>{% endif %}";

function withTemplate(chat_template: unknown): Tokenizer {
  const config = { bos_token: "<s>", eos_token: { content: "</s>" }, chat_template };
  return createTokenizer(byteFallbackFile(), readTokenizerSettings({ config }));
}

const question = [{ role: "user", content: "Hello" }];

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    return JetonError.isInstance(error) ? error.code : String(error);
  }
  return undefined;
}

describe("renderChat", () => {
  const tokenizer = withTemplate(template);

  test("writes messages, special tokens and the beginning of an answer", () => {
    expect(renderChat(tokenizer, question)).toBe("<s><|user|>Hello</s><|assistant|>");
    expect(renderChat(tokenizer, question, { addGenerationPrompt: false })).toBe(
      "<s><|user|>Hello</s>",
    );
    const begun = [...question, { role: "assistant", content: "Well," }];
    expect(renderChat(tokenizer, begun, { continueFinalMessage: true })).toBe(
      "<s><|user|>Hello</s><|assistant|>Well,",
    );
  });

  test("chooses among named templates", () => {
    const several = withTemplate([
      { name: "default", template: "plain" },
      { name: "tool_use", template: "tools: {{ tools | length }}" },
    ]);
    expect(renderChat(several, question)).toBe("plain");
    expect(renderChat(several, question, { tools: [{ name: "f" }] })).toBe("tools: 1");
    expect(renderChat(several, question, { template: "default", tools: [] })).toBe("plain");
    expect(codeOf(() => renderChat(several, question, { template: "other" }))).toBe(
      "chat-template-missing",
    );
  });

  test("passes further variables and the date", () => {
    const dated = withTemplate("{{ strftime_now('%d %b %Y %H:%M %A %j %-d') }} {{ mood }}");
    const now = new Date(2024, 1, 5, 7, 8, 9);
    expect(renderChat(dated, question, { now, variables: { mood: "calm" } })).toBe(
      "05 Feb 2024 07:08 Monday 036 5 calm",
    );
  });

  test("every failure is a JetonError", () => {
    const refused = () => renderChat(tokenizer, [{ role: "system", content: "x" }]);
    expect(codeOf(refused)).toBe("chat-template-failed");
    expect(refused).toThrow(/no system message/);
    const bare = createTokenizer(byteFallbackFile());
    expect(hasChatTemplate(bare)).toBe(false);
    expect(hasChatTemplate({ tokenizer })).toBe(true);
    expect(renderChat({ tokenizer }, question)).toBe(renderChat(tokenizer, question));
    for (const wrong of [undefined, null, {}, "models/jeton-nano", { tokenizer: {} }]) {
      expect(codeOf(() => hasChatTemplate(wrong as never))).toBe("chat-tokenizer-invalid");
      expect(codeOf(() => renderChat(wrong as never, question))).toBe("chat-tokenizer-invalid");
    }
    expect(codeOf(() => renderChat(bare, question))).toBe("chat-template-missing");
    const malformed = withTemplate("{% for x %}");
    expect(codeOf(() => renderChat(malformed, question))).toBe("chat-template-invalid");
    const failing = withTemplate("{{ messages | nosuchfilter }}");
    expect(codeOf(() => renderChat(failing, question))).toBe("chat-template-invalid");
    expect(codeOf(() => withTemplate(7))).toBe("tokenizer-json-invalid");
  });
});

describe("loadTokenizer", () => {
  const folder = mkdtempSync(join(tmpdir(), "jeton-tokenizer-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const write = (name: string, content: unknown): void =>
    writeFileSync(
      join(folder, name),
      typeof content === "string" ? content : JSON.stringify(content),
    );

  async function failure(path: string): Promise<string | undefined> {
    return loadTokenizer(path).then(
      () => undefined,
      (error: unknown) => (JetonError.isInstance(error) ? error.code : String(error)),
    );
  }

  test("reads the files beside tokenizer.json", async () => {
    expect(await failure(folder)).toBe("tokenizer-not-found");
    write("tokenizer.json", byteFallbackFile());
    expect((await loadTokenizer(folder)).encode("the").tokens).toEqual(["<s>", "▁the"]);
    write("tokenizer_config.json", {
      chat_template: "from the configuration",
      add_bos_token: false,
    });
    write("special_tokens_map.json", { eos_token: "</s>", bos_token: { content: "<s>" } });
    const configured = await loadTokenizer(folder);
    expect(renderChat(configured, question)).toBe("from the configuration");
    expect(configured.encode("the").tokens).toEqual(["▁the"]);
    expect([configured.bosTokenId, configured.eosTokenId]).toEqual([1, 2]);
    write("chat_template.jinja", "from the file {{ bos_token }}");
    const file = join(folder, "tokenizer.json");
    expect(renderChat(await loadTokenizer(file), question)).toBe("from the file <s>");
  });

  test("malformed files and absent ones end in errors with codes", async () => {
    expect(await failure(join(folder, "absent"))).toBe("tokenizer-not-found");
    write("tokenizer.json", "{");
    expect(await failure(folder)).toBe("tokenizer-not-json");
    write("tokenizer.json", "[]");
    expect(await failure(folder)).toBe("tokenizer-json-invalid");
    write("tokenizer.json", byteFallbackFile());
    write("tokenizer_config.json", { bos_token: 7 });
    expect(await failure(folder)).toBe("tokenizer-json-invalid");
  });
});
