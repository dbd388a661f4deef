/**
 * Chat templates as Python's jinja2 renders them: reports about peers, and the cases of the data folder,
 * whose texts jinja2 wrote.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { JetonError } from "../../core/error.ts";
import { testData } from "../../testing/test-data.ts";
import {
  type ChatMessage,
  type ChatTokenizer,
  type RenderChatOptions,
  renderChat,
} from "../chat-template.ts";

type Tokens = Readonly<Record<string, string>>;

interface CaseError {
  readonly kind: "raised" | "failed" | "syntax" | "continue";
  readonly message?: string;
}

interface CaseOptions extends Omit<RenderChatOptions, "now" | "tools" | "documents"> {
  readonly now?: readonly [number, number, number, number, number, number];
}

interface Outcome {
  readonly expected?: string;
  readonly error?: CaseError;
}

function tokenizerOf(template: string, tokens: Tokens = {}): ChatTokenizer {
  const { bos_token, eos_token, pad_token, unk_token } = tokens;
  return {
    settings: {
      chatTemplates: new Map([["default", template]]),
      ...(bos_token !== undefined && { bosToken: bos_token }),
      ...(eos_token !== undefined && { eosToken: eos_token }),
      ...(pad_token !== undefined && { padToken: pad_token }),
      ...(unk_token !== undefined && { unkToken: unk_token }),
    },
    idToToken: () => undefined,
    bosTokenId: undefined,
    eosTokenId: undefined,
  };
}

const hi: readonly ChatMessage[] = [{ role: "user", content: "x" }];

function render(
  template: string,
  messages: readonly ChatMessage[] = hi,
  options: RenderChatOptions = {},
): string {
  return renderChat(tokenizerOf(template), messages, options);
}

describe("what went wrong elsewhere", () => {
  test.each([
    ["strip takes only the characters that it is given", '{{ "\\n  a \\n".strip("\\n") }}', "  a "],
    ["and lstrip keeps an indentation", '{{ "\\n    a".lstrip("\\n") }}', "    a"],
    ["CRLF is LF before anything else", "a\r\n{% if true %}\r\nb\r\n{% endif %}\r\nc", "a\nb\nc"],
    [
      "selectattr knows undefined fields",
      '{{ messages | selectattr("tool_calls", "undefined") | list | length }}',
      "1",
    ],
    ["undefined acts as the empty text in a filter", "{{ missing | upper }}", ""],
    ["raw", "{% raw %}{{ x }}{% endraw %}", "{{ x }}"],
    ["a text times a number", '{{ "=" * 3 }}', "==="],
    ["%", '{{ "%s" % "a" }}', "a"],
    ["format", '{{ "%s-%d" | format("a", 3) }}', "a-3"],
    ["with", "{% with a = 1 %}{{ a }}{% endwith %}", "1"],
    ["max", "{{ [3, 1] | max }}", "3"],
    ["capitalize", '{{ "hELLO" | capitalize }}', "Hello"],
    ["join by name", '{{ ["a", "b"] | join(d=", ") }}', "a, b"],
    ["texts are cut by code points", '{{ "😀"[0] }}', "😀"],
    [
      "values print as Python's",
      '{{ none }}|{{ true }}|{{ {"a": "b"} }}|{{ "1" == 1 }}',
      "None|True|{'a': 'b'}|False",
    ],
  ])("%s", (_name, template, expected) => {
    expect(render(template)).toBe(expected);
  });

  test("an answer is continued where it ends, whatever else holds its text", () => {
    const template =
      "{% for m in messages %}<|im_start|>{{ m.role }}\n" +
      "{{ m.content if m.content is string else m.content[0].text }}<|im_end|>\n{% endfor %}";
    const continued = (content: unknown): string =>
      render(template, [{ role: "assistant", content }], { continueFinalMessage: true });
    expect(continued("end")).toBe("<|im_start|>assistant\nend");
    expect(continued("The answer is ")).toBe("<|im_start|>assistant\nThe answer is ");
    expect(continued("")).toBe("<|im_start|>assistant\n");
    expect(continued([{ type: "text", text: "Sure" }])).toBe("<|im_start|>assistant\nSure");
  });
});

const data = testData("chat-templates");

/** Lines of a file of the folder. */
function readLines<T>(name: string): T[] {
  const text = readFileSync(join(data.folder, name), "utf8");
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as T);
}

/** What a template makes of a case: a text, or the code and words of its error. */
function outcomeOf(attempt: () => string): string | { code: string; message: unknown } {
  try {
    return attempt();
  } catch (error) {
    if (!JetonError.isInstance(error)) throw error;
    return { code: error.code, message: error.details["message"] };
  }
}

/** Says how an outcome differs from jinja2's; undefined where it does not. */
function difference(attempt: () => string, { expected, error }: Outcome): string | undefined {
  const outcome = outcomeOf(attempt);
  if (error === undefined) {
    if (outcome === expected) return undefined;
    return `expected ${JSON.stringify(expected)}, got ${JSON.stringify(outcome)}`;
  }
  if (typeof outcome === "string") return `expected an error, got ${JSON.stringify(outcome)}`;
  if (error.kind !== "raised" || outcome.message === error.message) return undefined;
  return `expected the words ${error.message}, got ${String(outcome.message)}`;
}

function optionsOf({ now, ...options }: CaseOptions = {}): RenderChatOptions {
  const [year, month, day, hour, minute, second] = now ?? [2026, 3, 5, 7, 8, 9];
  return { ...options, now: new Date(year, month - 1, day, hour, minute, second) };
}

describe.skipIf(data.skip)("cases of jinja2", () => {
  test("published templates: every text, and an error where Python has one", () => {
    const templates = new Map(
      readLines<{ id: string; template: string; tokens: Tokens }>("templates.jsonl").map(
        ({ id, template, tokens }) => [id, { template, tokens }],
      ),
    );
    const named = JSON.parse(readFileSync(join(data.folder, "conversations.json"), "utf8")) as {
      conversations: Record<string, ChatMessage[]>;
      tools: Record<string, unknown[]>;
      documents: Record<string, unknown[]>;
    };
    const cases = readLines<
      Outcome & {
        template: string;
        conversation: string;
        tools?: string;
        documents?: string;
        tokens?: Tokens;
        options?: CaseOptions;
      }
    >("cases.jsonl");
    const tokenizers = new Map<string, ChatTokenizer>();
    const differences: string[] = [];
    for (const one of cases) {
      const { template, tokens } = templates.get(one.template)!;
      const key = `${one.template} ${JSON.stringify(one.tokens)}`;
      const tokenizer = tokenizers.get(key) ?? tokenizerOf(template, one.tokens ?? tokens);
      tokenizers.set(key, tokenizer);
      const { cls_token, sep_token } = one.tokens ?? tokens;
      const given = optionsOf(one.options);
      const options: RenderChatOptions = {
        ...given,
        variables: {
          ...(cls_token !== undefined && { cls_token }),
          ...(sep_token !== undefined && { sep_token }),
          ...given.variables,
        },
        ...(one.tools !== undefined && { tools: named.tools[one.tools]! }),
        ...(one.documents !== undefined && { documents: named.documents[one.documents]! }),
      };
      const messages = named.conversations[one.conversation]!;
      const found = difference(() => renderChat(tokenizer, messages, options), one);
      if (found !== undefined) differences.push(`${one.template} ${one.conversation}: ${found}`);
    }
    expect(cases.length).toBeGreaterThan(5000);
    expect(differences).toEqual([]);
  });

  test("small templates by feature, and random expressions", () => {
    const features = readLines<
      Outcome & { id: string; template: string; messages: ChatMessage[]; options: CaseOptions }
    >("features.jsonl");
    const differences: string[] = [];
    for (const one of features) {
      const tokenizer = tokenizerOf(one.template);
      const attempt = (): string => renderChat(tokenizer, one.messages, optionsOf(one.options));
      const found = difference(attempt, one);
      if (found !== undefined) differences.push(`${one.id}: ${found}`);
    }
    expect(features.length).toBeGreaterThan(1000);
    expect(differences).toEqual([]);
  });
});
