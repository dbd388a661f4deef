/** The table of verbs. A verb's file is loaded when it is asked for, so that starting stays quick. */
import type { Command } from "./command.ts";

/** One verb: what the list of verbs shows, and where the rest is. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** Of a verb of two words: an option of it alone, with which the first word is enough. */
  readonly knownBy?: string;
  load(): Promise<Command>;
}

export const commands: readonly CommandEntry[] = [
  {
    name: "run",
    summary: "generate text from a prompt; without one, chat",
    load: async () => (await import("./verbs/run.ts")).command,
  },
  {
    name: "serve",
    summary: "answer HTTP requests, OpenAI-compatible",
    load: async () => (await import("./verbs/serve.ts")).command,
  },
  {
    name: "score",
    summary: "log-probability, perplexity and bits per byte of a text",
    load: async () => (await import("./verbs/score.ts")).command,
  },
  {
    name: "tokenize",
    summary: "show a text as tokens, or ids as text",
    load: async () => (await import("./verbs/tokenize.ts")).command,
  },
  {
    name: "inspect",
    summary: "describe checkpoints and tokenizers",
    load: async () => (await import("./verbs/inspect.ts")).command,
  },
  {
    name: "train lm",
    summary: "train a language model on your own text",
    knownBy: "--resume",
    load: async () => (await import("./verbs/train-language-model.ts")).command,
  },
  {
    name: "train tokenizer",
    summary: "learn a vocabulary from your own text",
    load: async () => (await import("./verbs/train-tokenizer.ts")).command,
  },
  {
    name: "transfer",
    summary: "move a model to another tokenizer",
    load: async () => (await import("./verbs/transfer.ts")).command,
  },
  {
    name: "reproduce",
    summary: "measure what a paper claims, beside the paper's number",
    load: async () => (await import("./verbs/reproduce.ts")).command,
  },
  {
    name: "systems",
    summary: "list the published systems, and which of them are built",
    load: async () => (await import("./verbs/systems.ts")).command,
  },
];
