/** `jeton run`: generates text from a prompt, streaming; without a prompt on a terminal it is a chat. */
import type { PackedContext } from "../../context/index.ts";
import { drafterUnder } from "../../generate/speculative/drafter-names.ts";
import type { GenerateOptions, Prompt } from "../../generate/types.ts";
import type { ContextPolicy } from "../../model/policy/context-policy.ts";
import type { LoadedModel } from "../../model/types.ts";
import type { ChatMessage } from "../../tokenizer/index.ts";
import {
  type Command,
  defineCommand,
  defined,
  type Options,
  UsageError,
  type Values,
} from "../command.ts";
import type { CommandContext } from "../context.ts";
import {
  checkContextOptions,
  contextPolicyOptions,
  readContextPolicy,
  viewUnder,
} from "../options/context-policies.ts";
import { checkDrafterOptions, drafterOptions, withDrafter } from "../options/drafting.ts";
import { encodeMessages, severalOf } from "../options/generation.ts";
import { generationOptions, readGenerationOptions } from "../options/generation-options.ts";
import { heal, healingOptions, refuseHealing } from "../options/healing.ts";
import { readStandardInput } from "../options/input.ts";
import { chooseModel } from "../options/locate.ts";
import { refuseMisplaced } from "../options/misplaced.ts";
import { modelOptions, withCheckpoint, withFoundModel } from "../options/model-options.ts";
import { isOpened, openPrompt } from "../options/opening.ts";
import {
  checkPackedContexts,
  packedContextOptions,
  putBehind,
  readPackedContexts,
} from "../options/packed-contexts.ts";
import { statePromptMemory } from "../options/prompt-memory.ts";
import {
  asksForBytes,
  type BytePrompt,
  byteOptions,
  checkByteOptions,
  runBytes,
} from "./run-bytes.ts";
import { runOne, runSeveral } from "./run-output.ts";
import { checkSource, notGenerating, runSource } from "./run-source.ts";

const runOptions = {
  ...modelOptions,
  ...drafterOptions,
  ...generationOptions,
  ...contextPolicyOptions,
  ...packedContextOptions,
  showContext: {
    kind: "flag",
    help: "print which tokens the first generated one attends to, as text with the gaps marked",
  },
  contextLayers: { kind: "flag", help: "with --show-context, each layer by itself" },
  system: { kind: "text", value: "TEXT", help: "system message of the chat template" },
  raw: {
    kind: "flag",
    help: "pass the prompt to the model as it is, without the chat template or an opening",
  },
  ...healingOptions,
  ...byteOptions,
  sequences: {
    kind: "integer",
    value: "N",
    min: 1,
    max: 256,
    default: 1,
    help: "generate N continuations of the prompt at once",
  },
  showDrafts: {
    kind: "flag",
    help: "colour accepted draft tokens by drafter; bold: depth above 3",
  },
  logprobs: { kind: "flag", help: "also print the probability of each generated token" },
  stats: { kind: "flag", help: "print all statistics at the end, with those of the drafter" },
  quiet: { kind: "flag", short: "q", help: "do not print the line of statistics at the end" },
} as const satisfies Options;

export const command: Command = defineCommand({
  name: "run",
  summary: "generate text from a prompt; without one, chat",
  description:
    "Continues a prompt and prints the text while it is generated. A chat model answers the prompt as " +
    "a message, unless --raw is given. With -, or without a prompt if standard input is not a terminal, " +
    'the prompt is read from standard input; without one on a terminal, a chat begins. The prompt "" ' +
    "is the beginning-of-sequence token alone. The bundled model, which is no chat model, reads a short " +
    "prompt after a sentence of prose that is not printed. An encoder-decoder (T5, ByT5) reads the " +
    "prompt and writes another text from it.",
  positionals: [{ name: "prompt|-" }],
  options: runOptions,
  examples: [
    {
      line: 'jeton run --model path/to/checkpoint "Once upon a time"',
      shows: "a story, with the sampling settings of the model's generation_config.json",
    },
    {
      line: 'jeton run --model path/to/checkpoint --greedy --max-tokens 40 --json ""',
      shows: "ids, text, rates and memory, as JSON",
    },
    { line: "jeton run --model owner/name", shows: "a chat with a model from the hub" },
  ],
  async run(context, values, [argument]) {
    const isChat = argument === undefined && context.stdin.isTTY === true;
    if (isChat && (values.json || values.sequences > 1)) {
      throw new UsageError("prompt-missing", "no prompt: --json and --sequences do not chat");
    }
    const generation: GenerateOptions = readGenerationOptions(values);
    checkDrafterOptions(values);
    checkByteOptions(values);
    if (isChat) refuseHealing(values, "and a chat exclude each other");
    checkOutput(values, isChat);
    checkPackedContexts(values, isChat);
    const policy = await readContextPolicy(values.contextPolicy);
    checkContextOptions(values, policy);
    const packed = await readPackedContexts(values.packedContext);
    // A missing model is reported before standard input is read.
    if (asksForBytes(values)) {
      const own = ["contextPolicy", "packedContext"] as const;
      refuseMisplaced(values, own, "means nothing for --bytes and --ensemble");
      if (values.ensemble === undefined) chooseModel(values.model);
      if (isChat) throw new UsageError("prompt-missing", "no prompt: --bytes does not chat");
      const prompt = await readPrompt(context, argument);
      return runBytes(context, values, (models) => bytePrompt(models, prompt, values));
    }
    return withCheckpoint(context, values.model, async (found) => {
      const { modelKind } = await import("../../model/model-kind.ts");
      const kind = modelKind(found.checkpoint.config);
      if (kind === "encoder") throw notGenerating(found.name);
      if (kind === "seq2seq") {
        checkSource(values, isChat);
        const own = ["contextPolicy", "packedContext"] as const;
        refuseMisplaced(values, own, "means nothing for an encoder-decoder");
      }
      const text = isChat ? undefined : await readPrompt(context, argument);
      if (kind === "seq2seq") return runSource(context, found, text!, generation, values);
      const { sequences: slots, inexact } = values;
      return withFoundModel(context, found, values, { slots, inexact }, (model) =>
        runDecoder(context, model, text, { generation, policy, packed }, values),
      );
    });
  },
});

/** Continues or answers a text; without one, chats. */
function runDecoder(
  context: CommandContext,
  loaded: LoadedModel,
  text: string | undefined,
  {
    generation: options,
    policy,
    packed,
  }: {
    readonly generation: GenerateOptions;
    readonly policy: ContextPolicy | undefined;
    readonly packed: readonly PackedContext[];
  },
  values: Values<typeof runOptions>,
): Promise<void> {
  const drafting = { ...values, drafter: drafterUnder(policy, values.drafter) };
  return withDrafter(context, drafting, loaded, async (drafter) => {
    const model = await viewUnder(loaded, policy);
    const generation = {
      ...options,
      ...(drafter && { drafter }),
      ...(values.showContext && { reportContext: true }),
    };
    const usesTemplate = await checkTemplate(model, values);
    if (text === undefined) {
      const { chat } = await import("../terminal/chat.ts");
      return chat(context, model, {
        generation,
        usesTemplate,
        raw: values.raw,
        quiet: values.quiet,
        stats: values.stats,
        ...defined({ system: values.system }),
      });
    }
    const prompt = usesTemplate
      ? await applyTemplate(model, text, values.system)
      : values.raw || packed.length > 0
        ? text
        : openPrompt(model, text);
    const behind = await putBehind(
      packed,
      model,
      { prompt, options: generation },
      values.packedFactor,
    );
    const { sequences } = values;
    const run = { context, model, ...behind, isOpened: isOpened(prompt) };
    // Healing reads the prompt already.
    await statePromptMemory(run, { isQuiet: values.json || values.quiet, sequences });
    const runs = await heal(severalOf(run, sequences), values.heal);
    return sequences > 1 ? runSeveral(runs, values) : runOne(runs[0]!, values);
  });
}

/** Refuses forms of output that a chat or a list of continuations has no place for. */
function checkOutput(values: Values<typeof runOptions>, isChat: boolean): void {
  if (isChat)
    refuseMisplaced(
      values,
      ["logprobs", "showDrafts", "showContext"],
      "needs a prompt: a chat shows none",
    );
  if (values.sequences > 1) {
    refuseMisplaced(
      values,
      ["showDrafts", "showContext", "stats"],
      "means nothing for --sequences",
    );
  }
}

/** What generation by bytes reads: a rendered template as ids, or the prompt's text. */
async function bytePrompt(
  models: readonly LoadedModel[],
  text: string,
  values: { readonly raw: boolean; readonly system: string | undefined },
): Promise<BytePrompt> {
  const model = models[0]!;
  if (models.length === 1 && (await checkTemplate(model, values))) {
    return {
      before: [...(await encodeMessages(model, messagesOf(text, values.system)))],
      text: "",
    };
  }
  if (values.system !== undefined) {
    throw new UsageError("system-unsupported", "--system means nothing for an ensemble");
  }
  return { text: values.raw || models.length > 1 ? text : openPrompt(model, text) };
}

/** The argument, or standard input without its final line break. */
async function readPrompt(context: CommandContext, argument: string | undefined): Promise<string> {
  if (argument !== undefined && argument !== "-") return argument;
  return (await readStandardInput(context)).replace(/\r?\n$/, "");
}

/** Whether prompts go through the chat template. Throws `system-unsupported`. */
async function checkTemplate(
  model: LoadedModel,
  { raw, system }: { readonly raw: boolean; readonly system: string | undefined },
): Promise<boolean> {
  const { hasChatTemplate } = await import("../../tokenizer/index.ts");
  const usesTemplate = !raw && hasChatTemplate(model.tokenizer);
  if (system !== undefined && !usesTemplate) {
    throw new UsageError(
      "system-unsupported",
      raw
        ? "--system needs the chat template, which --raw turns off"
        : `--system needs a chat template, and ${model.name} has none`,
    );
  }
  return usesTemplate;
}

/** The prompt as a message; an empty prompt without a system message is the BOS token alone. */
function applyTemplate(
  model: LoadedModel,
  text: string,
  system: string | undefined,
): Prompt | Promise<Prompt> {
  if (text === "" && system === undefined) return text;
  return encodeMessages(model, messagesOf(text, system));
}

function messagesOf(text: string, system: string | undefined): ChatMessage[] {
  return [
    ...(system === undefined ? [] : [{ role: "system", content: system }]),
    { role: "user", content: text },
  ];
}
