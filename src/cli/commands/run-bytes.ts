/** `jeton run --bytes` and `--ensemble`: generation byte by byte. */
import { formatRate } from "../../core/progress.ts";
import type { ByteDistribution, GenerateBytesOptions } from "../../generate/index.ts";
import type { LoadedModel } from "../../model/types.ts";
import { defined, UsageError, type Values } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { type RunBytesDocument, writeJson } from "../json-output.ts";
import { withByteModel } from "../options/byte-model.ts";
import type { generationOptions } from "../options/generation-options.ts";
import { createStatusLine } from "../options/locate.ts";
import { refuseMisplaced } from "../options/misplaced.ts";
import type { modelOptions } from "../options/model-options.ts";
import { rate } from "../options/statistics.ts";

export const byteOptions = {
  bytes: {
    kind: "flag",
    help: "generate byte by byte with exact probabilities: the prompt may end anywhere",
  },
  ensemble: {
    kind: "text",
    value: "A,B",
    help: "generate byte by byte from the mean of several models, whose tokenizers may differ; instead of --model",
  },
  maxBytes: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "with --bytes or --ensemble: maximum number of bytes to generate; default 1024, or what the context leaves",
  },
  prefix: {
    kind: "text",
    value: "TEXT",
    help: "with --bytes or --ensemble: the generated text begins with this",
  },
} as const;

/** Values of the command line that generation by bytes reads. */
export type RunBytesValues = Values<typeof byteOptions> &
  Values<typeof generationOptions> &
  Values<typeof modelOptions> & {
    readonly quiet: boolean;
    readonly drafter: string;
    readonly draftModel: string | undefined;
    readonly inexact: boolean;
    readonly sequences: number;
    readonly heal: string | undefined;
    readonly logprobs: boolean;
    readonly showDrafts: boolean;
    readonly stats: boolean;
  };

/** Whether the command line asks for generation by bytes. */
export function asksForBytes({ bytes, ensemble }: Values<typeof byteOptions>): boolean {
  return bytes || ensemble !== undefined;
}

/** Throws `option-misplaced` for options that generation by bytes, or that by tokens, would ignore. */
export function checkByteOptions(values: RunBytesValues): void {
  if (!asksForBytes(values)) {
    refuseMisplaced(values, ["maxBytes", "prefix"], "needs --bytes");
    return;
  }
  const why = "means nothing where bytes are generated";
  refuseMisplaced(values, ["maxTokens"], `${why}: use --max-bytes`);
  refuseMisplaced(values, ["heal"], `${why}: bytes are exact`);
  // Their defaults ask for nothing here.
  const others = {
    drafter: values.drafter === "auto" || values.drafter === "none" ? undefined : values.drafter,
    sequences: values.sequences > 1 ? values.sequences : undefined,
  };
  refuseMisplaced(others, ["drafter", "sequences"], why);
  refuseMisplaced(
    values,
    ["repetitionPenalty", "prefillChunk", "draftModel", "inexact", "showDrafts", "stats"],
    why,
  );
  if (values.ensemble !== undefined) {
    refuseMisplaced(values, ["model"], "stands beside --ensemble, which names all models");
  }
}

/** The models of the command line. */
function memberNames({ ensemble, model }: RunBytesValues): (string | undefined)[] {
  if (ensemble === undefined) return [model];
  const names = ensemble.split(",").map((name) => name.trim());
  if (names.length >= 2 && names.every((name) => name !== "")) return names;
  throw new UsageError(
    "ensemble-invalid",
    `--ensemble is ${JSON.stringify(ensemble)}, expected two models or more, with commas between them`,
    { found: ensemble },
  );
}

/** What is read before the generated text: ids, then text. */
export interface BytePrompt {
  readonly before?: readonly number[];
  readonly text: string;
}

/** Opens the models of the command line, and calls `use` with their distribution. */
async function withByteDistribution<T>(
  context: CommandContext,
  values: RunBytesValues,
  use: (distribution: ByteDistribution, models: readonly LoadedModel[]) => Promise<T>,
): Promise<T> {
  const { createByteEnsemble, openByteDistribution } = await import("../../generate/index.ts");
  const names = memberNames(values);
  const open = async (models: readonly LoadedModel[]): Promise<T> => {
    const name = names[models.length];
    if (models.length < names.length) {
      return withByteModel(context, { ...values, model: name }, (model) =>
        open([...models, model]),
      );
    }
    const { signal } = context;
    const members: ByteDistribution[] = [];
    try {
      for (const model of models) members.push(await openByteDistribution(model, { signal }));
      const first = members[0]!;
      return await use(members.length === 1 ? first : createByteEnsemble(members), models);
    } finally {
      for (const member of members) await member.close();
    }
  };
  return open([]);
}

/** Generates and prints bytes. */
export async function runBytes(
  context: CommandContext,
  values: RunBytesValues,
  promptOf: (models: readonly LoadedModel[]) => Promise<BytePrompt>,
): Promise<void> {
  const { stdout, stderr, signal } = context;
  const { generateBytes } = await import("../../generate/index.ts");
  await withByteDistribution(context, values, async (distribution, models) => {
    const prompt = await promptOf(models);
    const line = createStatusLine(context);
    line.show("reading the prompt");
    const options: GenerateBytesOptions = {
      ...defined({
        maxBytes: values.maxBytes,
        temperature: values.temperature,
        topK: values.topK,
        topP: values.topP,
        minP: values.minP,
        seed: values.seed,
        forced: values.prefix,
        before: prompt.before,
      }),
      ...(values.greedy && { greedy: true }),
      ...(values.stop.length > 0 && { stop: values.stop }),
      ...(values.ignoreEos && { ignoreEos: true }),
      signal,
    };
    const logProbabilities: number[] = [];
    const generation = generateBytes(distribution, prompt.text, options);
    let next = await generation.next().finally(() => line.clear());
    while (next.done !== true) {
      const { text, logProbability } = next.value;
      if (values.logprobs) logProbabilities.push(logProbability);
      if (!values.json) await stdout.write(text);
      next = await generation.next();
    }
    const result = next.value;
    const { text, bytes, finishReason, seed, promptBytes, prefillSeconds, decodeSeconds } = result;
    if (values.json) {
      await writeJson<RunBytesDocument>(stdout, {
        text,
        bytes: [...bytes],
        promptBytes,
        bytesPerSecond: rate(bytes.length, decodeSeconds),
        prefillSeconds,
        decodeSeconds,
        logProbability: result.logProbability,
        finishReason,
        seed,
        models: models.map(({ name, format, threads }) => ({ model: name, format, threads })),
        ...(values.logprobs && { logProbabilities }),
      });
      return;
    }
    await stdout.write(`${result.tail}\n`);
    if (values.logprobs) {
      const bits = (-result.logProbability / Math.LN2 / Math.max(1, bytes.length)).toFixed(3);
      await stderr.write(`${bits} bits per byte\n`);
    }
    if (values.quiet) return;
    const speed = formatRate(bytes.length / decodeSeconds);
    await stderr.write(stderr.style.dim(`${bytes.length} bytes at ${speed} bytes a second\n`));
  });
}
