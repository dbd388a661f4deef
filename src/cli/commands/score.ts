/** `jeton score`: how probable a model finds a text. */
import { formatRate } from "../../core/progress.ts";
import { formatTable } from "../../core/table.ts";
import { type Command, defineCommand, defined } from "../command.ts";
import { readTextArgument } from "../options/input.ts";
import { chooseModel } from "../options/locate.ts";
import { modelOptions, withModel } from "../options/model-options.ts";
import { formatTokens } from "../terminal/token-table.ts";

export const command: Command = defineCommand({
  name: "score",
  summary: "log-probability, perplexity and bits per byte of a text",
  description:
    "Measures how probable a model finds a text, exactly as it is written: its log-probability " +
    "(natural logarithm), perplexity and bits per byte. Without a text, or with -, standard input is " +
    "read. Chat templates are not applied.",
  positionals: [{ name: "text|-" }],
  options: {
    ...modelOptions,
    file: { kind: "text", short: "f", value: "FILE", help: "score the text of this file" },
    prefix: {
      kind: "text",
      value: "TEXT",
      help: "text that precedes the scored one and is not scored itself",
    },
    chunk: {
      kind: "integer",
      value: "TOKENS",
      min: 1,
      help: "most tokens of one forward pass",
    },
    tokens: { kind: "flag", help: "also print every token with its probability" },
    quiet: { kind: "flag", short: "q", help: "no line about the rate at the end" },
  },
  examples: [
    {
      line: 'jeton score --model path/to/checkpoint --tokens "The cat sat on the mat."',
      shows: "how probable the sentence is, and which of its tokens surprise the model",
    },
    {
      line: "jeton score --model path/to/checkpoint --file test.txt --json",
      shows: "perplexity of a file, for programs",
    },
  ],
  async run(context, values, [argument]) {
    chooseModel(values.model);
    const text = await readTextArgument(context, argument, values.file);
    return withModel(context, values, { slots: 1 }, async (model) => {
      const { score } = await import("../../generate/index.ts");
      const started = performance.now();
      const result = await score(model, text, {
        ...defined({ prefix: values.prefix, chunk: values.chunk }),
        signal: context.signal,
      });
      const seconds = (performance.now() - started) / 1000;
      const { stdout, stderr } = context;
      if (values.json) {
        const { perplexity, bitsPerByte, logProbability, scoredTokens, bytes, tokens } = result;
        const document = {
          perplexity,
          bitsPerByte,
          logProbability,
          scoredTokens,
          bytes,
          seconds,
          model: model.name,
          format: model.format,
          threads: model.threads,
          tokens,
        };
        await stdout.write(`${JSON.stringify(document)}\n`);
        return;
      }
      if (values.tokens) await stdout.write(`${formatTokens(result.tokens)}\n\n`);
      const rows = [
        ["perplexity", result.perplexity.toFixed(4)],
        ["bits per byte", result.bitsPerByte.toFixed(4)],
        ["log-probability", result.logProbability.toFixed(4)],
        ["scored tokens", String(result.scoredTokens)],
        ["bytes", String(result.bytes)],
      ];
      await stdout.write(`${formatTable([{ title: "" }, { title: "", align: "right" }], rows)}\n`);
      if (values.quiet) return;
      const rate = formatRate(result.scoredTokens / seconds);
      await stderr.write(stderr.style.dim(`${rate} tokens a second, ${model.format} weights\n`));
    });
  },
});
