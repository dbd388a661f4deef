/** A conversation of the chat: its messages, what fits into the context, and its file. */
import { readFile } from "node:fs/promises";
import { parseJson, writeFileAtomically } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/error.ts";
import type { LoadedModel } from "../../model/types.ts";
import type { ChatMessage } from "../../tokenizer/index.ts";
import { encodeMessages } from "../options/generation.ts";
import { fileUnreadable } from "../options/input.ts";

/** A user message and its answer; the answer is missing while it is generated. */
export interface Turn {
  readonly user: string;
  readonly answer?: string;
}

/** The system message and the turns of a chat. */
export interface Conversation {
  readonly system?: string;
  readonly turns: readonly Turn[];
}

/** A conversation that fits into the context. */
export interface FittedConversation {
  /** Ids of the prompt. */
  readonly ids: Int32Array;
  /** The turns that are left. */
  readonly turns: readonly Turn[];
  /** Number of dropped turns. */
  readonly dropped: number;
}

/** The messages for the chat template. */
export function toMessages({ system, turns }: Conversation): ChatMessage[] {
  return [
    ...(system === undefined ? [] : [{ role: "system", content: system }]),
    ...turns.flatMap(({ user, answer }) => [
      { role: "user", content: user },
      ...(answer === undefined ? [] : [{ role: "assistant", content: answer }]),
    ]),
  ];
}

/**
 * Drops the oldest turns until the prompt and `reserve` tokens of an answer fit into the model's
 * context. The last turn stays; if it alone fits, the answer gets what is left.
 *
 * @throws JetonError `chat-message-too-long` if the last turn alone fills the context
 */
export async function fitConversation(
  model: LoadedModel,
  { system, turns }: Conversation,
  reserve: number,
): Promise<FittedConversation> {
  for (let dropped = 0; ; dropped++) {
    const kept = turns.slice(dropped);
    const ids = await encodeMessages(
      model,
      toMessages({ turns: kept, ...(system !== undefined && { system }) }),
    );
    const isLast = kept.length <= 1;
    if (ids.length + (isLast ? 1 : reserve) <= model.contextLength) {
      return { ids, turns: kept, dropped };
    }
    if (isLast) throw tooLong(ids.length, model.contextLength);
  }
}

/** The error for a message that leaves no space for an answer. */
export function tooLong(tokens: number, contextLength: number): JetonError {
  return new JetonError(
    `the message has ${tokens} tokens, which leaves no space for an answer in the context of ${contextLength}`,
    { code: "chat-message-too-long", details: { tokens, contextLength } },
  );
}

const version = 1;

/** Writes a conversation to a JSON file. */
export async function saveConversation(path: string, conversation: Conversation): Promise<void> {
  const messages = toMessages(conversation);
  await writeFileAtomically(path, `${JSON.stringify({ version, messages }, null, 2)}\n`);
}

/**
 * Reads the file of `saveConversation`.
 *
 * @throws JetonError `chat-file-invalid`, `file-unreadable`
 */
export async function loadConversation(path: string): Promise<Conversation> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw fileUnreadable(path, cause);
  });
  const file = parseJson(text, { source: path, code: "chat-file-invalid" }) as {
    version?: unknown;
    messages?: unknown;
  } | null;
  const messages = file?.messages;
  if (file?.version !== version || !Array.isArray(messages) || !messages.every(isMessage)) {
    throw invalidFile(path);
  }
  const [first] = messages;
  const system = first?.role === "system" ? first.content : undefined;
  const turns: Turn[] = [];
  const rest = system === undefined ? messages : messages.slice(1);
  for (let at = 0; at < rest.length; at += 2) {
    const [user, answer] = [rest[at]!, rest[at + 1]];
    if (user.role !== "user" || answer?.role !== "assistant") throw invalidFile(path);
    turns.push({ user: user.content, answer: answer.content });
  }
  return { turns, ...(system !== undefined && { system }) };
}

function isMessage(value: unknown): value is { role: string; content: string } {
  const { role, content } = (value ?? {}) as Record<string, unknown>;
  return typeof role === "string" && typeof content === "string";
}

function invalidFile(path: string): JetonError {
  return new JetonError(`${path} is not a conversation that /save wrote`, {
    code: "chat-file-invalid",
    details: { path, expected: "version 1 and messages of user and assistant in turn" },
  });
}
