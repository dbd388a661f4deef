/**
 * The chat on a terminal: each message is answered, the conversation is kept, and the tokens that the
 * model has read stay in its KV cache. A full context drops the oldest turns.
 */
import { JetonError } from "../../core/error.ts";
import type { GenerateOptions, GenerateResult, Prompt } from "../../generate/types.ts";
import type { LoadedModel } from "../../model/types.ts";
import type { CommandContext } from "../context.ts";
import { generateText } from "../options/generation.ts";
import { isOpened, openPrompt } from "../options/opening.ts";
import {
  describeRates,
  describeStatistics,
  type GenerationFigures,
} from "../options/statistics.ts";
import { type ChatState, runChatCommand } from "./chat-commands.ts";
import { historyPath, openChatHistory } from "./chat-history.ts";
import { fitConversation, type Turn, tooLong } from "./conversation.ts";
import { createLineEditor } from "./line-editor.ts";

export interface ChatOptions {
  readonly generation: GenerateOptions;
  /** Whether messages go through the chat template; if not, each message is continued by itself. */
  readonly usesTemplate: boolean;
  /** True: messages are passed to the model as they are. Default false. */
  readonly raw?: boolean;
  readonly quiet: boolean;
  /** True: all statistics after each answer. Default false, one line. */
  readonly stats?: boolean;
  readonly system?: string;
  /** Asks for a message; undefined at the end of the input. Default: on the terminal, with a history. */
  readonly ask?: () => Promise<string | undefined>;
}

/** Maximum number of tokens of an answer without a chat template. */
const plainAnswer = 256;

/** Chats until the user leaves. Ctrl-C ends an answer. */
export async function chat(
  context: CommandContext,
  model: LoadedModel,
  options: ChatOptions,
): Promise<void> {
  const { stderr, signal } = context;
  const { usesTemplate, system } = options;
  const note = (text: string): Promise<void> => stderr.write(`${stderr.style.dim(text)}\n`);
  const ask = options.ask ?? (await createTerminalPrompt(context));
  let state: ChatState = {
    conversation: { turns: [], ...(system !== undefined && { system }) },
    attempt: 0,
    usesTemplate,
  };
  await note(
    `${model.name}, ${model.format} weights` +
      (usesTemplate ? "" : "; not a chat model: each message is continued by itself") +
      ". /help lists commands, /quit leaves.",
  );
  for (;;) {
    const line = await ask();
    if (line === undefined || signal.aborted) return;
    const text = line.trim();
    if (text === "") continue;
    try {
      const { next, message } = text.startsWith("/")
        ? await runChatCommand(text, state, note)
        : { next: { ...state, attempt: 0 }, message: text };
      if (next === undefined) return;
      // A failed answer leaves the conversation as it was.
      state =
        message === undefined ? next : await answer(context, model, options, next, message, note);
    } catch (error) {
      // Only an aborted command and unexpected errors end the chat.
      if (signal.aborted || !JetonError.isInstance(error)) throw error;
      await stderr.write(`${stderr.style.red("error:")} ${error.message}\n`);
    }
  }
}

type Note = (text: string) => Promise<void>;

/** Answers a message; the returned state has the turn and the statistics. */
async function answer(
  context: CommandContext,
  model: LoadedModel,
  options: ChatOptions,
  state: ChatState,
  message: string,
  note: Note,
): Promise<ChatState> {
  const { conversation, usesTemplate, attempt } = state;
  const asked = options.generation.maxTokens;
  let turns: readonly Turn[] = [{ user: message }];
  let prompt: Prompt = message;
  let promptLength: number;
  let isBehindOpening = false;
  if (usesTemplate) {
    const reserve = Math.min(asked ?? 512, Math.ceil(model.contextLength / 4));
    const all = { ...conversation, turns: [...conversation.turns, ...turns] };
    const fitted = await fitConversation(model, all, reserve);
    if (fitted.dropped > 0) await note(describeDropped(fitted.dropped, model.contextLength));
    ({ turns, ids: prompt } = fitted);
    promptLength = fitted.ids.length;
  } else {
    const text = options.raw === true ? message : openPrompt(model, message);
    isBehindOpening = isOpened(text);
    const ids = model.tokenizer.encodeIds(text, { applyLimits: false });
    prompt = ids;
    promptLength = ids.length;
    if (promptLength >= model.contextLength) throw tooLong(promptLength, model.contextLength);
  }
  const left = model.contextLength - promptLength;
  const maxTokens = Math.min(asked ?? (usesTemplate ? left : plainAnswer), left);
  // A repeated request samples from another sequence of random numbers.
  const sequence = (options.generation.sequence ?? 0) + attempt;
  const generation = { ...options.generation, maxTokens, sequence };
  const { text, result } = await reply(context, model, generation, prompt);
  await context.stdout.write("\n");
  const answered = turns.map((turn, at) =>
    at === turns.length - 1 ? { ...turn, answer: text } : turn,
  );
  const next: ChatState = {
    ...state,
    conversation: {
      ...conversation,
      turns: usesTemplate ? answered : [...conversation.turns, ...answered],
    },
  };
  if (result === undefined) {
    await note("stopped");
    return next;
  }
  if (result.finishReason === "length") {
    await note(
      maxTokens === left
        ? `the answer ended at the end of the context of ${model.contextLength} tokens`
        : `the answer ended after ${maxTokens} tokens; --max-tokens sets this limit`,
    );
  }
  const figures = { result, memory: await model.memory(), isOpened: isBehindOpening };
  await report(options, figures, note);
  return { ...next, statistics: describeStatistics(figures) };
}

async function report(
  { quiet, stats = false }: ChatOptions,
  figures: GenerationFigures,
  note: Note,
): Promise<void> {
  if (stats) await note(describeStatistics(figures));
  else if (!quiet) await note(describeRates(figures));
}

function describeDropped(count: number, contextLength: number): string {
  const turns =
    count === 1 ? "the oldest turn was dropped" : `the ${count} oldest turns were dropped`;
  return `${turns}: the context of ${contextLength} tokens is full`;
}

/** Generates one answer; without a result if Ctrl-C ended it. */
async function reply(
  context: CommandContext,
  model: LoadedModel,
  generation: GenerateOptions,
  prompt: Prompt,
): Promise<{ text: string; result?: GenerateResult }> {
  const { stdout } = context;
  const stop = new AbortController();
  const release = context.handleInterrupts(() => {
    // While the current forward pass ends, a second Ctrl-C goes to the process.
    release();
    stop.abort();
  });
  let text = "";
  try {
    const signal = AbortSignal.any([context.signal, stop.signal]);
    const result = await generateText(
      { context, model, prompt, options: { ...generation, signal } },
      {
        onToken: async (token) => {
          text += token.text;
          await stdout.write(token.text);
        },
      },
    );
    await stdout.write(result.tail);
    return { text: result.text, result };
  } catch (error) {
    if (stop.signal.aborted && !context.signal.aborted) return { text };
    throw error;
  } finally {
    release();
  }
}

async function createTerminalPrompt({
  stdin,
  environment,
  signal,
}: CommandContext): Promise<() => Promise<string | undefined>> {
  const history = await openChatHistory(historyPath(environment));
  return createLineEditor({ input: stdin, output: process.stderr, history, signal });
}
