/** The table of commands. Each command's module is imported on demand, which keeps start-up fast. */
import type { Command } from "./command.ts";

/** One command: its line in the list of commands and a loader of its definition. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** For a command of two words: an option that only it has; with it the second word may be left out. */
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
    name: "studio",
    summary: "a page: the published systems, and a lens on every token",
    load: async () => (await import("./serving/studio.ts")).command,
  },
  {
    name: "score",
    summary: "log-probability, perplexity and bits per byte of a text",
    load: async () => (await import("./commands/score.ts")).command,
  },
  {
    name: "embed",
    summary: "vectors of texts, or of their tokens",
    load: async () => (await import("./commands/embed.ts")).command,
  },
  {
    name: "classify",
    summary: "classes of texts or of their tokens; spans that answer a question",
    load: async () => (await import("./commands/classify.ts")).command,
  },
  {
    name: "fill",
    summary: "predict the masked tokens of a text",
    load: async () => (await import("./commands/fill.ts")).command,
  },
  {
    name: "fill-middle",
    summary: "write the text between a prefix and a suffix",
    load: async () => (await import("./commands/fill-middle.ts")).command,
  },
  {
    name: "tokenize",
    summary: "show a text as tokens, or ids as text",
    load: async () => (await import("./commands/tokenize.ts")).command,
  },
  {
    name: "index",
    summary: "index files for jeton search",
    load: async () => (await import("./commands/index-files.ts")).command,
  },
  {
    name: "search",
    summary: "find passages in an index",
    load: async () => (await import("./commands/search.ts")).command,
  },
  {
    name: "serve-index",
    summary: "answer searches of an index, or of a shard, on NATS",
    load: async () => (await import("./serving/serve-index.ts")).command,
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
    load: async () => (await import("./commands/train/train-language-model.ts")).command,
  },
  {
    name: "train encoder",
    summary: "train an encoder for search or classes from examples",
    load: async () => (await import("./commands/train/train-encoder.ts")).command,
  },
  {
    name: "train compressor",
    summary: "train a compressor of long texts for a model",
    load: async () => (await import("./commands/train/train-compressor.ts")).command,
  },
  {
    name: "train tokenizer",
    summary: "learn a vocabulary from your own text",
    load: async () => (await import("./commands/train/train-tokenizer.ts")).command,
  },
  {
    name: "context calibrate",
    summary: "find the layer with which gemfilter chooses tokens",
    load: async () => (await import("./commands/context/calibrate.ts")).command,
  },
  {
    name: "context pack",
    summary: "compress a text for jeton run --packed-context",
    load: async () => (await import("./commands/context/pack.ts")).command,
  },
  {
    name: "context policies",
    summary: "list the context policies, or the options of one",
    load: async () => (await import("./commands/context/policies.ts")).command,
  },
  {
    name: "transfer",
    summary: "move a model to another tokenizer",
    load: async () => (await import("./commands/transfer.ts")).command,
  },
  {
    name: "evaluate needle-threading",
    summary: "how much of its context a model can use",
    load: async () => (await import("./commands/evaluate-needle-threading.ts")).command,
  },
  {
    name: "evaluate passkey",
    summary: "find one number in a long text",
    load: async () => (await import("./commands/evaluate-passkey.ts")).command,
  },
  {
    name: "evaluate kv-retrieval",
    summary: "find one value among many pairs",
    load: async () => (await import("./commands/evaluate-kv-retrieval.ts")).command,
  },
  {
    name: "models list",
    summary: "list the models in the hub's cache",
    load: async () => (await import("./commands/models.ts")).listCommand,
  },
  {
    name: "models pull",
    summary: "download models from the hub",
    load: async () => (await import("./commands/models.ts")).pullCommand,
  },
  {
    name: "models remove",
    summary: "remove models from the hub's cache",
    load: async () => (await import("./commands/models.ts")).removeCommand,
  },
  {
    name: "data list",
    summary: "list the public data files of tests and reproductions",
    load: async () => (await import("./commands/data-list.ts")).command,
  },
  {
    name: "data fetch",
    summary: "download public data files, verified by checksum",
    load: async () => (await import("./commands/data-fetch.ts")).command,
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
