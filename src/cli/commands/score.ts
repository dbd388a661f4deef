/** `jeton score`: log-probability, perplexity and bits per byte of a text under a model. */
import { formatRate } from "../../core/progress.ts";
import { formatTable } from "../../core/table.ts";
import { type Command, defineCommand, defined, type Values } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { type ScoreBytesDocument, type ScoreDocument, writeJson } from "../json-output.ts";
import { withByteModel } from "../options/byte-model.ts";
import { readTextArgument } from "../options/input.ts";
import { chooseModel } from "../options/locate.ts";
import { refuseMisplaced } from "../options/misplaced.ts";
import { modelOptions, withModel } from "../options/model-options.ts";
import { formatTokens } from "../terminal/token-table.ts";

export const command: Command = defineCommand({
  name: "score",
  summary: "log-probability, perplexity and bits per byte of a text",
  description:
    "Computes the probability of a text under a model: log-probability (natural logarithm), perplexity " +
    "and bits per byte. Without a text, or with -, the text is read from standard input. No chat " +
    "template is applied.",
  positionals: [{ name: "text|-" }],
  options: {
    ...modelOptions,
    file: { kind: "text", short: "f", value: "FILE", help: "score the text in this file" },
    prefix: {
      kind: "text",
      value: "TEXT",
      help: "text before the scored text; it is not scored itself",
    },
    chunk: {
      kind: "integer",
      value: "TOKENS",
      min: 1,
      help: "maximum number of tokens of one forward pass",
    },
    tokens: { kind: "flag", help: "also print each token with its probability" },
    bytes: {
      kind: "flag",
      help: "score byte by byte with exact probabilities: all token sequences count, and --prefix may end anywhere",
    },
    quiet: { kind: "flag", short: "q", help: "do not print the rate" },
  },
  examples: [
    {
      line: 'jeton score --model path/to/checkpoint --tokens "The cat sat on the mat."',
      shows: "the probability of the sentence and of each of its tokens",
    },
    {
      line: 'jeton score --model path/to/checkpoint --bytes --prefix "The emp" "eror"',
      shows: "bits per byte of the rest of a word",
    },
    {
      line: "jeton score --model path/to/checkpoint --file test.txt --json",
      shows: "perplexity of a file, as JSON",
    },
  ],
  async run(context, values, [argument]) {
    chooseModel(values.model);
    const { bytes } = values;
    if (bytes) refuseMisplaced(values, ["tokens", "chunk"], "means nothing for --bytes");
    const text = await readTextArgument(context, argument, values.file);
    if (bytes) return scoreByBytes(context, values, text);
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
        await writeJson<ScoreDocument>(stdout, {
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
        });
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

type ByteValues = Values<typeof modelOptions> & {
  readonly prefix: string | undefined;
  readonly quiet: boolean;
};

/** Scores every byte given those before it. */
async function scoreByBytes(
  context: CommandContext,
  values: ByteValues,
  text: string,
): Promise<void> {
  const { stdout, stderr, signal } = context;
  return withByteModel(context, values, async (model) => {
    const { openByteDistribution, scoreBytes } = await import("../../generate/index.ts");
    const started = performance.now();
    const distribution = await openByteDistribution(model, { signal });
    const prefix = defined({ prefix: values.prefix });
    const result = await scoreBytes(distribution, text, { ...prefix, signal }).finally(() =>
      distribution.close(),
    );
    const seconds = (performance.now() - started) / 1000;
    const { bitsPerByte, logProbability, endLogProbability, bytes } = result;
    if (values.json) {
      const { name, format, threads } = model;
      return writeJson<ScoreBytesDocument>(stdout, {
        bitsPerByte,
        logProbability,
        endLogProbability,
        bytes,
        seconds,
        model: name,
        format,
        threads,
        logProbabilities: [...result.logProbabilities],
      });
    }
    const rows = [
      ["bits per byte", bitsPerByte.toFixed(4)],
      ["log-probability", logProbability.toFixed(4)],
      ["log-probability of the end", endLogProbability.toFixed(4)],
      ["bytes", String(bytes)],
    ];
    await stdout.write(`${formatTable([{ title: "" }, { title: "", align: "right" }], rows)}\n`);
    if (values.quiet) return;
    const rate = formatRate(bytes / seconds);
    await stderr.write(stderr.style.dim(`${rate} bytes a second, ${model.format} weights\n`));
  });
}
