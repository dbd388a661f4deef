/** Chat templates: small inputs that went wrong elsewhere, and what jinja2 makes of them. */
import { describe, expect, test } from "vitest";
import { type ChatMessage, type RenderChatOptions, renderChat } from "../chat-template.ts";

function render(
  template: string,
  messages: readonly ChatMessage[] = [{ role: "user", content: "x" }],
  options: RenderChatOptions = {},
): string {
  const tokenizer = {
    settings: { chatTemplates: new Map([["default", template]]) },
    idToToken: () => undefined,
    bosTokenId: undefined,
    eosTokenId: undefined,
  };
  return renderChat(tokenizer, messages, options);
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

  test.each([
    ["{{ (range(5))[5:1:-2] }}", "range(4, 1, -2)"],
    ["{{ range(9)[1:6:2] }}", "range(1, 6, 2)"],
    ['{{ "a\x1cb\x85c" | striptags }}', "a b c"],
    ['{{ "four\x1cfive" | title }}', "Four\x1cFive"],
    ['{{ "a\ufeffb" | title }}', "A\ufeffb"],
  ])("%s: ends of ranges and white space as Python has them", (template, expected) => {
    expect(render(template)).toBe(expected);
  });

  test("a filter block gives a text, or the template fails", () => {
    expect(render("{% filter upper %}a{% endfilter %}")).toBe("A");
    expect(() => render("{% filter length %}a{% endfilter %}")).toThrow("expected str instance");
  });

  test("an answer is continued where it ends, also where its text occurs elsewhere", () => {
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
