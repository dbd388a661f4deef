/** The table of commands. A command's file is loaded when it is asked for, so that starting stays quick. */
import type { Command } from "./command.ts";

/** One command: what the list of commands shows, and where the rest is. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** Of a command of two words: an option of it alone, with which the first word is enough. */
  readonly knownBy?: string;
  load(): Promise<Command>;
}

export const commands: readonly CommandEntry[] = [
  {
    name: "run",
    summary: "generate text from a prompt; without one, chat",
    load: async () => (await import("./commands/run.ts")).command,
  },
  {
    name: "serve",
    summary: "answer HTTP requests, OpenAI-compatible",
    load: async () => (await import("./commands/serve.ts")).command,
  },
  {
    name: "score",
    summary: "log-probability, perplexity and bits per byte of a text",
    load: async () => (await import("./commands/score.ts")).command,
  },
  {
    name: "tokenize",
    summary: "show a text as tokens, or ids as text",
    load: async () => (await import("./commands/tokenize.ts")).command,
  },
  {
    name: "inspect",
    summary: "describe checkpoints and tokenizers",
    load: async () => (await import("./commands/inspect.ts")).command,
  },
  {
    name: "train lm",
    summary: "train a language model on your own text",
    knownBy: "--resume",
    load: async () => (await import("./commands/train-language-model.ts")).command,
  },
  {
    name: "train tokenizer",
    summary: "learn a vocabulary from your own text",
    load: async () => (await import("./commands/train-tokenizer.ts")).command,
  },
  {
    name: "transfer",
    summary: "move a model to another tokenizer",
    load: async () => (await import("./commands/transfer.ts")).command,
  },
  {
    name: "reproduce",
    summary: "measure what a paper claims, beside the paper's number",
    load: async () => (await import("./commands/reproduce.ts")).command,
  },
  {
    name: "systems",
    summary: "list the published systems, and which of them are built",
    load: async () => (await import("./commands/systems.ts")).command,
  },
];
