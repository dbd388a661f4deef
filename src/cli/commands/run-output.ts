/** The output of `jeton run`: one continuation as a stream, several as a list, or one JSON document. */
import { formatRate } from "../../core/progress.ts";
import type { GeneratedToken, GenerateResult } from "../../generate/types.ts";
import type { LoadedModel, ModelMemory } from "../../model/types.ts";
import {
  type RunDocument,
  type RunSequencesDocument,
  type TokenProbabilities,
  writeJson,
} from "../json-output.ts";
import { describeKept } from "../options/context-policies.ts";
import { DraftPainter } from "../options/drafting.ts";
import { type Generation, generateText } from "../options/generation.ts";
import { createStatusLine } from "../options/locate.ts";
import { describeMemory, describeRates, describeStatistics, rate } from "../options/statistics.ts";
import { formatTokens } from "../terminal/token-table.ts";

/** Options of `jeton run` that choose its output. */
export interface RunOutputOptions {
  readonly json: boolean;
  readonly logprobs: boolean;
  readonly showDrafts: boolean;
  readonly quiet: boolean;
  /** All statistics instead of one line. */
  readonly stats: boolean;
  /** Which tokens were kept under a context policy, and whether each layer by itself. */
  readonly showContext: boolean;
  readonly contextLayers: boolean;
}

/** Generates one continuation and prints it while it arrives. */
export async function runOne(
  run: Generation,
  { json, logprobs, showDrafts, quiet, stats, ...kept }: RunOutputOptions,
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
    await writeJson<RunDocument>(stdout, {
      ...describeResult(result, model, memory),
      ...healedOf(run),
      ...(logprobs && describeTokens(tokens)),
      ...(showDrafts && {
        origins: tokens.map(({ id, text, origin }) => ({ id, text, ...origin })),
      }),
    });
    return;
  }
  await stdout.write(`${result.tail}\n`);
  if (logprobs) await stderr.write(`\n${formatTokens(tokens)}\n\n`);
  if (painter) await stderr.write(`${painter.legend()}\n`);
  if (kept.showContext) await writeKept(run, result, kept.contextLayers);
  if (quiet && !stats) return;
  // A text that the default length ended says so: it may look complete.
  const isCut = result.finishReason === "length" && run.options.maxTokens === undefined;
  const end = isCut ? `ended after ${result.ids.length} tokens (--max-tokens); ` : "";
  const describe = stats ? describeStatistics : describeRates;
  await stderr.write(
    stderr.style.dim(`${end}${describe({ result, memory, isOpened: run.isOpened === true })}\n`),
  );
}

/** Which tokens were kept, as text with gaps. */
async function writeKept(
  { context: { stderr }, model, prompt }: Generation,
  result: GenerateResult,
  perLayer: boolean,
): Promise<void> {
  const { promptIds } = await import("../../generate/index.ts");
  const ids = [...promptIds(model, prompt), result.ids[0] ?? result.endToken?.id ?? 0];
  const text = describeKept({ context: result.context!, ids, model, perLayer });
  await stderr.write(`\n${text}\n\n`);
}

/** Generates several continuations at once and prints them in order. */
export async function runSeveral(
  runs: readonly Generation[],
  { json, logprobs, quiet }: Pick<RunOutputOptions, "json" | "logprobs" | "quiet">,
): Promise<void> {
  const { context, model } = runs[0]!;
  const { stdout, stderr } = context;
  const started = performance.now();
  const all = await Promise.all(
    runs.map(async (run) => {
      const tokens: GeneratedToken[] = [];
      const onToken = (token: GeneratedToken) => void (logprobs && tokens.push(token));
      const result = await generateText(run, { onToken });
      return { result, tokens };
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  const memory = await model.memory();
  const total = all.reduce((sum, { result }) => sum + result.ids.length, 0);
  if (json) {
    const { result, tokens } = all[0]!;
    await writeJson<RunSequencesDocument>(stdout, {
      ...describeResult(result, model, memory),
      ...describeTokens(tokens),
      totalTokens: total,
      totalSeconds: seconds,
      ...healedOf(runs[0]!),
      sequences: all.map((one, at) => ({
        text: one.result.text,
        ...healedOf(runs[at]!),
        ids: one.result.ids,
        tokens: one.result.ids.length,
        finishReason: one.result.finishReason,
        ...describeTokens(one.tokens),
      })),
    });
    return;
  }
  for (const [at, { result, tokens }] of all.entries()) {
    await stdout.write(`${stdout.style.bold(`[${at + 1}]`)} ${result.text}\n\n`);
    if (logprobs) await stderr.write(`${formatTokens(tokens)}\n\n`);
  }
  if (quiet) return;
  const rates = `${runs.length} sequences, ${total} tokens in all at ${formatRate(total / seconds)} tokens a second`;
  await stderr.write(stderr.style.dim(`${rates}; ${describeMemory(memory)}\n`));
}

/** The text that the prompt's last token holds of the answer. */
function healedOf({ options: { begunText } }: Generation): { readonly healed?: string } {
  return begunText === undefined ? {} : { healed: begunText };
}

function describeResult(
  result: GenerateResult,
  model: LoadedModel,
  memory: ModelMemory,
): RunDocument {
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
    ...(result.context && { context: result.context }),
  };
}

function describeTokens(tokens: readonly GeneratedToken[]): TokenProbabilities {
  if (tokens.length === 0) return {};
  const logProbabilities = tokens.map(({ id, text, logProbability }) => ({
    id,
    text,
    logProbability,
  }));
  return { logProbabilities };
}
