/**
 * Chat templates as jinja2 renders them: all cases of the data folder's `chat-templates`, which were
 * made by jinja2 in the environment of transformers.
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

interface Outcome {
  readonly expected?: string;
  readonly error?: {
    readonly kind: "raised" | "failed" | "syntax" | "continue";
    readonly message?: string;
  };
}

interface CaseOptions extends Omit<RenderChatOptions, "now"> {
  readonly now?: readonly number[];
}

interface PublishedCase extends Outcome {
  readonly template: string;
  readonly conversation: string;
  readonly tools?: string;
  readonly documents?: string;
  readonly tokens?: Readonly<Record<string, string>>;
  readonly options?: CaseOptions;
}

interface FeatureCase extends Outcome {
  readonly id: string;
  readonly template: string;
  readonly messages: readonly ChatMessage[];
  readonly options: CaseOptions;
}

interface PublishedTemplate {
  readonly id: string;
  readonly template: string;
  readonly tokens?: Readonly<Record<string, string>>;
}

/** A tokenizer of which a template sees the special tokens only. */
function tokenizerOf(template: string, tokens: Readonly<Record<string, string>>): ChatTokenizer {
  const settings = {
    chatTemplates: new Map([["default", template]]),
    bosToken: tokens["bos_token"],
    eosToken: tokens["eos_token"],
    padToken: tokens["pad_token"],
    unkToken: tokens["unk_token"],
  };
  return {
    settings: settings as ChatTokenizer["settings"],
    idToToken: () => undefined,
    bosTokenId: undefined,
    eosTokenId: undefined,
  };
}

const named = new Set(["bos_token", "eos_token", "pad_token", "unk_token"]);

function optionsOf(
  { now = [2026, 3, 5, 7, 8, 9], ...options }: CaseOptions,
  tokens: Readonly<Record<string, string>>,
): RenderChatOptions {
  const [year, month, day, hour, minute, second] = now;
  const others = Object.entries(tokens).filter(([name]) => !named.has(name));
  return {
    ...options,
    variables: { ...Object.fromEntries(others), ...options.variables },
    now: new Date(year!, month! - 1, day, hour, minute, second),
  };
}

/** What is wrong with the outcome; undefined if nothing. */
function findDifference(outcome: Outcome, render: () => string): string | undefined {
  let text: string;
  try {
    text = render();
  } catch (error) {
    if (!JetonError.isInstance(error)) return `not a JetonError: ${String(error)}`;
    if (outcome.error === undefined) return `${error.code}: ${error.message}`;
    if (outcome.error.kind !== "raised") return undefined;
    return error.details["message"] === outcome.error.message
      ? undefined
      : `message ${JSON.stringify(error.details["message"])}`;
  }
  if (outcome.error) return `an error of kind ${outcome.error.kind} is due, got a text`;
  return text === outcome.expected ? undefined : `got ${JSON.stringify(text)}`;
}

function readLines<T>(path: string): T[] {
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as T);
}

const data = testData("chat-templates");

describe.skipIf(data.skip)("chat templates as jinja2 renders them", () => {
  test("published templates", () => {
    const { conversations, tools, documents } = JSON.parse(
      readFileSync(join(data.folder, "conversations.json"), "utf8"),
    ) as Record<string, Record<string, unknown[]>>;
    const templates = new Map(
      readLines<PublishedTemplate>(join(data.folder, "templates.jsonl")).map((template) => [
        template.id,
        template,
      ]),
    );
    const cases = readLines<PublishedCase>(join(data.folder, "cases.jsonl"));
    const differences: string[] = [];
    for (const [at, given] of cases.entries()) {
      const template = templates.get(given.template)!;
      const tokens = given.tokens ?? template.tokens ?? {};
      const tokenizer = tokenizerOf(template.template, tokens);
      const difference = findDifference(given, () =>
        renderChat(tokenizer, conversations![given.conversation]! as ChatMessage[], {
          ...optionsOf(given.options ?? {}, tokens),
          ...(given.tools && { tools: tools![given.tools]! }),
          ...(given.documents && { documents: documents![given.documents]! }),
        }),
      );
      if (difference !== undefined) {
        const { expected, error } = given;
        differences.push(
          `line ${at + 1}, ${given.template}, ${given.conversation}: ${difference.slice(0, 600)}` +
            `, wanted ${JSON.stringify(expected ?? error).slice(0, 600)}`,
        );
      }
    }
    expect(cases.length).toBe(5987);
    expect(differences.slice(0, 20)).toEqual([]);
  });

  test("small templates by feature", () => {
    const cases = readLines<FeatureCase>(join(data.folder, "features.jsonl"));
    const differences: string[] = [];
    for (const given of cases) {
      const tokenizer = tokenizerOf(given.template, {});
      const difference = findDifference(given, () =>
        renderChat(tokenizer, given.messages, optionsOf(given.options, {})),
      );
      if (difference !== undefined) {
        differences.push(
          `${given.id}: ${given.template.slice(0, 200)}: ${difference.slice(0, 300)}`,
        );
      }
    }
    expect(cases.length).toBe(1007);
    expect(differences.slice(0, 20)).toEqual([]);
  });
});
