/** `jeton run`: generates text from a prompt, streaming; without a prompt on a terminal it is a chat. */
import { formatRate } from "../../core/progress.ts";
import type { GeneratedToken, GenerateOptions, GenerateResult } from "../../generate/types.ts";
import type { LoadedModel, ModelMemory } from "../../model/types.ts";
import { type Command, defineCommand, defined, type Options, UsageError } from "../command.ts";
import type { CommandContext } from "../context.ts";
import {
  checkDrafterOptions,
  DraftPainter,
  describeDrafting,
  drafterOptions,
  withDrafter,
} from "../options/drafting.ts";
import {
  describeMemory,
  describeRates,
  encodeMessages,
  type Generation,
  generateText,
  rate,
} from "../options/generation.ts";
import { readStandardInput } from "../options/input.ts";
import { chooseModel, createStatusLine } from "../options/locate.ts";
import { modelOptions, withModel } from "../options/model-options.ts";
import { formatTokens } from "../terminal/token-table.ts";

const options = {
  ...modelOptions,
  ...drafterOptions,
  maxTokens: {
    kind: "integer",
    short: "n",
    value: "N",
    min: 1,
    help: "most tokens to generate; default 256, or what the context leaves",
  },
  greedy: { kind: "flag", help: "always the most probable token" },
  temperature: {
    kind: "number",
    short: "t",
    value: "T",
    min: 0,
    max: 100,
    help: "0 is greedy, 1 the model's own probabilities; default: the model's generation_config.json",
  },
  topK: {
    kind: "integer",
    value: "K",
    help: "draw among the K most probable tokens; 0: among all",
  },
  topP: {
    kind: "number",
    value: "P",
    min: 0,
    exclusiveMin: true,
    max: 1,
    help: "draw among the most probable tokens that together reach P",
  },
  minP: {
    kind: "number",
    value: "P",
    min: 0,
    max: 1,
    help: "draw among tokens at least P times as probable as the best",
  },
  repetitionPenalty: {
    kind: "number",
    value: "R",
    min: 0,
    exclusiveMin: true,
    max: 100,
    help: "above 1, tokens that have occurred become less probable",
  },
  seed: {
    kind: "integer",
    value: "N",
    help: "the same seed gives the same text; default: a fresh one",
  },
  stop: { kind: "list", value: "TEXT", help: "end before this text" },
  ignoreEos: { kind: "flag", help: "generate on past end-of-sequence tokens" },
  system: { kind: "text", value: "TEXT", help: "system message of the chat template" },
  raw: { kind: "flag", help: "give the prompt to the model as it is, without its chat template" },
  sequences: {
    kind: "integer",
    value: "N",
    min: 1,
    max: 256,
    default: 1,
    help: "continue the prompt N times, all at once",
  },
  prefillChunk: {
    kind: "integer",
    value: "TOKENS",
    min: 1,
    help: "most prompt tokens of one forward pass; default: chosen by time",
  },
  showDrafts: {
    kind: "flag",
    help: "colour tokens that were guessed ahead, by drafter; bold: more than three tokens ahead",
  },
  logprobs: { kind: "flag", help: "also give the probability of every generated token" },
  quiet: { kind: "flag", short: "q", help: "no line about rates and memory at the end" },
} as const satisfies Options;

export const command: Command = defineCommand({
  name: "run",
  summary: "generate text from a prompt; without one, chat",
  description:
    "Continues a prompt and prints the text as it comes. Chat models answer the prompt as a message, " +
    "unless --raw is given. With -, or without a prompt where standard input is not a terminal, the " +
    'prompt is read from standard input; without one on a terminal, a chat begins. The prompt "" is ' +
    "the beginning-of-sequence token alone.",
  positionals: [{ name: "prompt|-" }],
  options,
  examples: [
    {
      line: 'jeton run --model path/to/checkpoint "Once upon a time"',
      shows: "a story, with the sampling that the model's generation_config.json proposes",
    },
    {
      line: 'jeton run --model path/to/checkpoint --greedy --max-tokens 40 --json ""',
      shows: "ids, text, rates and memory, for programs",
    },
    { line: "jeton run --model owner/name", shows: "a chat with a model from the hub" },
  ],
  async run(context, values, [argument]) {
    const isChat = argument === undefined && context.stdin.isTTY === true;
    if (isChat && (values.json || values.sequences > 1)) {
      throw new UsageError("prompt-missing", "no prompt: --json and --sequences do not chat");
    }
    const generation: GenerateOptions = {
      ...defined({
        maxTokens: values.maxTokens,
        temperature: values.temperature,
        topK: values.topK,
        topP: values.topP,
        minP: values.minP,
        repetitionPenalty: values.repetitionPenalty,
        seed: values.seed,
        prefillChunk: values.prefillChunk,
      }),
      ...(values.greedy && { greedy: true }),
      ...(values.stop.length > 0 && { stop: values.stop }),
      ...(values.ignoreEos && { ignoreEos: true }),
    };
    if (values.greedy && (values.temperature ?? 0) !== 0) {
      throw new UsageError("option-misplaced", "--greedy and --temperature exclude each other", {
        option: "--temperature",
      });
    }
    checkDrafterOptions(values);
    // Before anything is read: a missing model is the first thing to say.
    chooseModel(values.model);
    const text = isChat ? undefined : await readPrompt(context, argument);
    const { sequences: slots, inexact } = values;
    return withModel(context, values, { slots, inexact }, (model) =>
      withDrafter(context, values, model, async (drafter) => {
        if (drafter) generation.drafter = drafter;
        const { hasChatTemplate } = await import("../../tokenizer/index.ts");
        const usesTemplate = !values.raw && hasChatTemplate(model.tokenizer);
        if (values.system !== undefined && !usesTemplate) {
          throw new UsageError(
            "system-unsupported",
            values.raw
              ? "--system needs the chat template, which --raw turns off"
              : `--system needs a chat template, and ${model.name} has none`,
          );
        }
        if (text === undefined) {
          const { chat } = await import("../terminal/chat.ts");
          return chat(context, model, {
            generation,
            usesTemplate,
            quiet: values.quiet,
            ...defined({ system: values.system }),
          });
        }
        // An empty message says nothing that a chat model could answer: its template stays out too.
        const isBare = text === "" && values.system === undefined;
        const prompt =
          usesTemplate && !isBare
            ? await encodeMessages(model, [
                ...(values.system === undefined
                  ? []
                  : [{ role: "system", content: values.system }]),
                { role: "user", content: text },
              ])
            : text;
        const run: Generation = { context, model, prompt, options: generation };
        if (values.sequences > 1) return runSeveral(run, values.sequences, values);
        return runOne(run, values);
      }),
    );
  },
});

interface Output {
  readonly json: boolean;
  readonly logprobs: boolean;
  readonly showDrafts: boolean;
  readonly quiet: boolean;
}

/** The argument, or standard input without its final line break. */
async function readPrompt(context: CommandContext, argument: string | undefined): Promise<string> {
  if (argument !== undefined && argument !== "-") return argument;
  return (await readStandardInput(context)).replace(/\r?\n$/, "");
}

async function runOne(
  run: Generation,
  { json, logprobs, showDrafts, quiet }: Output,
): Promise<void> {
  const { context, model } = run;
  const { stdout, stderr } = context;
  const line = createStatusLine(context);
  const tokens: GeneratedToken[] = [];
  const painter = showDrafts ? new DraftPainter(stdout) : undefined;
  const result = await generateText(run, {
    onPrefill: ({ done, total }) => {
      if (done < total) line.show(`reading the prompt: ${done} of ${total} tokens`);
    },
    onToken: async (token) => {
      line.clear();
      if (logprobs || showDrafts) tokens.push(token);
      if (!json) await stdout.write(painter?.paint(token) ?? token.text);
    },
  }).finally(() => line.clear());
  const memory = await model.memory();
  if (json) {
    const document = {
      ...describeResult(result, model, memory),
      ...(logprobs && describeTokens(tokens)),
      ...(showDrafts && {
        origins: tokens.map(({ id, text, origin }) => ({ id, text, ...origin })),
      }),
    };
    await stdout.write(`${JSON.stringify(document)}\n`);
    return;
  }
  await stdout.write(`${result.tail}\n`);
  if (logprobs) await stderr.write(`\n${formatTokens(tokens)}\n\n`);
  const { drafting } = result;
  if (painter) await stderr.write(`${painter.legend()}\n`);
  if (drafting && !quiet) await stderr.write(stderr.style.dim(`${describeDrafting(drafting)}\n`));
  if (!quiet) await stderr.write(stderr.style.dim(`${describeRates(result, memory)}\n`));
}

async function runSeveral(
  run: Generation,
  count: number,
  { json, logprobs, quiet }: Output,
): Promise<void> {
  const { context, model } = run;
  const { stdout, stderr } = context;
  const started = performance.now();
  // One seed for all: draws differ by the number of the sequence.
  const seed = run.options.seed ?? Math.floor(Math.random() * 2 ** 32);
  const all = await Promise.all(
    Array.from({ length: count }, async (_, sequence) => {
      const tokens: GeneratedToken[] = [];
      const result = await generateText(
        { ...run, options: { ...run.options, seed, sequence } },
        { onToken: (token) => void (logprobs && tokens.push(token)) },
      );
      return { result, tokens };
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  const memory = await model.memory();
  const total = all.reduce((sum, { result }) => sum + result.ids.length, 0);
  if (json) {
    // The first sequence stands where a single one would; rates of all together beside it.
    const { result, tokens } = all[0]!;
    const document = {
      ...describeResult(result, model, memory),
      ...describeTokens(tokens),
      totalTokens: total,
      totalSeconds: seconds,
      sequences: all.map((one) => ({
        text: one.result.text,
        ids: one.result.ids,
        tokens: one.result.ids.length,
        finishReason: one.result.finishReason,
        ...describeTokens(one.tokens),
      })),
    };
    await stdout.write(`${JSON.stringify(document)}\n`);
    return;
  }
  for (const [at, { result, tokens }] of all.entries()) {
    await stdout.write(`${stdout.style.bold(`[${at + 1}]`)} ${result.text}\n\n`);
    if (logprobs) await stderr.write(`${formatTokens(tokens)}\n\n`);
  }
  if (quiet) return;
  const rate = `${count} sequences, ${total} tokens in all at ${formatRate(total / seconds)} tokens a second`;
  await stderr.write(stderr.style.dim(`${rate}; ${describeMemory(memory)}\n`));
}

/** The document of `--json`, without what `--logprobs` adds. */
function describeResult(
  result: GenerateResult,
  model: LoadedModel,
  memory: ModelMemory,
): Record<string, unknown> {
  const { text, ids, promptTokens, reusedTokens, prefillSeconds, decodeSeconds } = result;
  return {
    text,
    ids,
    promptTokens,
    reusedTokens,
    tokens: ids.length,
    tokensPerSecond: rate(ids.length, decodeSeconds),
    promptTokensPerSecond: rate(promptTokens - reusedTokens, prefillSeconds),
    prefillSeconds,
    decodeSeconds,
    finishReason: result.finishReason,
    seed: result.seed,
    model: model.name,
    format: model.format,
    threads: model.threads,
    memory,
    ...(result.drafting && { drafting: result.drafting }),
  };
}

function describeTokens(tokens: readonly GeneratedToken[]): Record<string, unknown> {
  if (tokens.length === 0) return {};
  const logProbabilities = tokens.map(({ id, text, logProbability }) => ({
    id,
    text,
    logProbability,
  }));
  return { logProbabilities };
}
