/**
 * The chat on a terminal: each line is a message, the conversation is kept, and the tokens that the model
 * has read stay in its KV cache.
 */
import { createInterface } from "node:readline";
import type { GenerateOptions } from "../../generate/types.ts";
import type { LoadedModel } from "../../model/types.ts";
import type { ChatMessage } from "../../tokenizer/index.ts";
import type { CommandContext } from "../context.ts";
import { describeRates, encodeMessages, generateText } from "../options/generation.ts";
import { suggest } from "./suggest.ts";

export interface ChatOptions {
  readonly generation: GenerateOptions;
  /** Whether messages go through the model's chat template; if not, each line is continued by itself. */
  readonly usesTemplate: boolean;
  readonly quiet: boolean;
  readonly system?: string;
  /** Asks for a line; undefined at the end of the input. Default: on the terminal, with a history. */
  readonly ask?: () => Promise<string | undefined>;
}

const commands: Readonly<Record<string, string>> = {
  "/help": "show this list",
  "/clear": "forget the conversation",
  "/quit": "leave; Ctrl-D does the same",
};

/** Talks until the user leaves. Ctrl-C ends an answer, at the prompt it leaves. */
export async function chat(
  context: CommandContext,
  model: LoadedModel,
  options: ChatOptions,
): Promise<void> {
  const { stdout, stderr, signal } = context;
  const { usesTemplate } = options;
  const note = (text: string): Promise<void> => stderr.write(`${stderr.style.dim(text)}\n`);
  const opening: readonly ChatMessage[] =
    options.system === undefined ? [] : [{ role: "system", content: options.system }];
  let messages: readonly ChatMessage[] = opening;
  const ask = options.ask ?? createPrompt(context);
  await note(
    `${model.name}, ${model.format} weights` +
      (usesTemplate ? "" : "; not a chat model: each line is continued by itself") +
      ". /help lists commands, /quit leaves.",
  );
  for (;;) {
    const line = await ask();
    if (line === undefined || signal.aborted) return;
    const text = line.trim();
    if (text === "") continue;
    if (/^\/[a-z]+$/.test(text)) {
      if (text === "/quit") return;
      if (text === "/clear") {
        messages = opening;
        await note("forgotten");
      } else if (text === "/help") {
        const lines = Object.entries(commands).map(([name, does]) => `${name.padEnd(8)}${does}`);
        await note(lines.join("\n"));
      } else {
        const near = suggest(text, Object.keys(commands));
        await note(
          `no command ${text}${near === undefined ? "; /help" : `; did you mean ${near}?`}`,
        );
      }
      continue;
    }
    const asked: readonly ChatMessage[] = [...messages, { role: "user", content: text }];
    const answer = await reply(context, model, options, usesTemplate ? asked : text);
    messages = [...asked, { role: "assistant", content: answer.text }];
    await stdout.write("\n");
    if (answer.summary !== undefined && !options.quiet) await note(answer.summary);
  }
}

/** One answer, as far as it came. */
async function reply(
  context: CommandContext,
  model: LoadedModel,
  { generation }: ChatOptions,
  message: string | readonly ChatMessage[],
): Promise<{ text: string; summary?: string }> {
  const { stdout } = context;
  const stop = new AbortController();
  const release = context.handleInterrupts(() => {
    // A second Ctrl-C, while the forward that is running ends, goes to the process.
    release();
    stop.abort();
  });
  let text = "";
  try {
    const prompt = typeof message === "string" ? message : await encodeMessages(model, message);
    const result = await generateText(
      {
        context,
        model,
        prompt,
        options: { ...generation, signal: AbortSignal.any([context.signal, stop.signal]) },
      },
      {
        onToken: async (token) => {
          text += token.text;
          await stdout.write(token.text);
        },
      },
    );
    await stdout.write(result.tail);
    return { text: result.text, summary: describeRates(result, await model.memory()) };
  } catch (error) {
    if (stop.signal.aborted && !context.signal.aborted) return { text, summary: "stopped" };
    throw error;
  } finally {
    release();
  }
}

/** Asks on the terminal. Between questions the terminal is left alone, so that Ctrl-C is a signal. */
function createPrompt(context: CommandContext): () => Promise<string | undefined> {
  let history: string[] = [];
  const waiting: string[] = [];
  return () =>
    new Promise((resolve) => {
      // Lines that were pasted together come one by one.
      const next = waiting.shift();
      if (next !== undefined) return resolve(next);
      const reader = createInterface({
        input: context.stdin,
        output: process.stderr,
        terminal: true,
        history,
        historySize: 200,
        removeHistoryDuplicates: true,
        prompt: "> ",
      });
      reader.on("history", (lines: string[]) => {
        history = lines;
      });
      let hasLine = false;
      reader.on("line", (line) => {
        waiting.push(line);
        if (hasLine) return;
        hasLine = true;
        // The other lines of a paste are read in the same turn.
        setImmediate(() => reader.close());
      });
      reader.on("SIGINT", () => reader.close());
      const stop = (): void => reader.close();
      context.signal.addEventListener("abort", stop, { once: true });
      reader.on("close", () => {
        context.signal.removeEventListener("abort", stop);
        if (!hasLine) process.stderr.write("\n");
        resolve(waiting.shift());
      });
      reader.prompt();
    });
}
