/**
 * Options of every command of `jeton evaluate` that asks a model questions, beside `modelOptions`, and the asking
 * itself.
 */
import { createProgressMeter, formatDuration } from "../../core/progress.ts";
import type { EvaluatedModel, EvaluationReport } from "../../evaluate/index.ts";
import { defined, UsageError, type Values } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { type EvaluateDocument, type EvaluatePoliciesDocument, writeJson } from "../json-output.ts";
import { readContextPolicy, viewUnder } from "../options/context-policies.ts";
import { createStatusLine, locateTokenizer } from "../options/locate.ts";
import { refuseMisplaced } from "../options/misplaced.ts";
import { type modelOptions, withModel } from "../options/model-options.ts";

export const evaluationOptions = {
  endpoint: {
    kind: "text",
    value: "URL",
    help: "ask a model behind this OpenAI-compatible address instead, e.g. http://localhost:8080/v1; the key is read from JETON_ENDPOINT_KEY or OPENAI_API_KEY",
  },
  endpointModel: { kind: "text", value: "NAME", help: "with --endpoint, the model's name there" },
  completions: {
    kind: "flag",
    help: "with --endpoint, let the prompt be continued as it is, instead of asked as a chat message",
  },
  concurrency: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "with --endpoint, requests at the same time; default: 4",
  },
  maxTokens: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "with --endpoint, tokens of an answer, for models that think first; default: the characters a plain answer needs",
  },
  tokenizer: {
    kind: "text",
    value: "M",
    help: "with --endpoint, the model's tokenizer; with --context, prompts that are too long are skipped without being sent",
  },
  repeats: { kind: "integer", value: "N", min: 1, help: "questions of each cell; default: 5" },
  threshold: {
    kind: "number",
    value: "P",
    min: 0,
    exclusiveMin: true,
    max: 1,
    help: "accuracy at which the effective context ends; default: 0.75",
  },
  seed: { kind: "integer", value: "N", help: "seed of the questions; default: 0" },
  policies: {
    kind: "list",
    value: "POLICY",
    help: "measure a local model under this context policy (NAME or NAME:option=value,…), also beyond its trained context; several with ; between them, or the option again; all: every policy, at one budget",
  },
  budget: {
    kind: "integer",
    value: "TOKENS",
    min: 64,
    help: "with --policies all, tokens that each policy attends to, a multiple of 16; default: 256",
  },
  compressor: {
    kind: "text",
    value: "FILE",
    help: "with --policies, the model behind this compressor too: prompts in as many rows as --budget says",
  },
  answers: {
    kind: "text",
    value: "FILE",
    help: "keep every answer in this file; a run that finds it goes on where it ended. With --policies, one file for each: FILE.1, FILE.2, …",
  },
  svg: {
    kind: "text",
    value: "FILE",
    help: "render accuracies and contour to this SVG file; with --policies, one for each: FILE.1.svg, …",
  },
  quiet: { kind: "flag", short: "q", help: "no progress on standard error" },
} as const;

type EvaluationValues = Values<typeof evaluationOptions> & Values<typeof modelOptions>;

/** What an evaluation is given besides its own options. */
export interface EvaluationRun {
  readonly answers?: string;
  readonly threshold?: number;
  readonly seed?: number;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

/** Opens the model that the options name, evaluates it, and prints the report, or one for each policy. */
export async function runEvaluation(
  context: CommandContext,
  values: EvaluationValues,
  evaluate: (model: EvaluatedModel, run: EvaluationRun) => Promise<EvaluationReport>,
): Promise<void> {
  const { threshold, seed } = values;
  const line = createStatusLine(context);
  const measure = async (model: EvaluatedModel, at?: number): Promise<EvaluationReport> => {
    const meter = createProgressMeter({ window: 60 });
    const answers = fileOf(values.answers, at);
    try {
      return await evaluate(model, {
        ...defined({ answers, threshold, seed }),
        signal: context.signal,
        onProgress: (done, total) => {
          if (values.quiet) return;
          const { secondsLeft } = meter.update(done, total);
          const left = secondsLeft === undefined ? "" : `, ${formatDuration(secondsLeft)} left`;
          const name = at === undefined ? "" : `${model.name}: `;
          line.show(`${name}question ${done} of ${total}${left}`);
        },
      });
    } finally {
      line.clear();
    }
  };
  const policies = values.policies.flatMap((text) => text.split(";")).filter((text) => text !== "");
  checkBudget(values, policies);
  const reports =
    policies.length === 0
      ? [await withEvaluatedModel(context, values, (model) => measure(model))]
      : await measureUnderPolicies(context, values, policies, measure);
  const { formatEvaluation, formatPolicies, renderContour } = await import(
    "../../evaluate/index.ts"
  );
  for (const [at, report] of reports.entries()) {
    const file = fileOf(values.svg, policies.length === 0 ? undefined : at, ".svg");
    if (file === undefined) continue;
    const { writeFileAtomically } = await import("../../checkpoint/index.ts");
    await writeFileAtomically(file, renderContour(report));
  }
  const { stdout } = context;
  if (policies.length === 0) {
    if (values.json) await writeJson<EvaluateDocument>(stdout, reports[0]!);
    else await stdout.write(`${formatEvaluation(reports[0]!)}\n`);
    return;
  }
  if (values.json) await writeJson<EvaluatePoliciesDocument>(stdout, { policies: reports });
  else await stdout.write(`${formatPolicies(reports)}\n`);
}

/** The file of a policy's own where there are several: `FILE.1`, `FILE.2`, … */
function fileOf(file: string | undefined, at: number | undefined, ending = ""): string | undefined {
  return file === undefined || at === undefined ? file : `${file}.${at + 1}${ending}`;
}

/** One report for each policy, all of one loaded model. */
async function measureUnderPolicies(
  context: CommandContext,
  values: EvaluationValues,
  texts: readonly string[],
  measure: (model: EvaluatedModel, at: number) => Promise<EvaluationReport>,
): Promise<EvaluationReport[]> {
  if (values.endpoint !== undefined) {
    refuseMisplaced(values, ["policies"], "is of a local model, not of --endpoint");
  }
  const { budget = defaultBudget } = values;
  const policies = await Promise.all(
    (await expandAll(texts, budget)).map(async (text) => ({
      text: text.trim(),
      policy: await readContextPolicy(text.trim(), "--policies"),
    })),
  );
  const { evaluateCompressed, evaluateLocally } = await import("../../evaluate/index.ts");
  return withModel(context, values, { slots: 1 }, async (model) => {
    const reports: EvaluationReport[] = [];
    for (const { text, policy } of policies) {
      const view = await viewUnder(model, policy);
      const name = `${model.name}, ${text}`;
      reports.push(await measure(evaluateLocally(view, { name }), reports.length));
    }
    if (values.compressor === undefined) return reports;
    const { openCompressor } = await import("../../context/index.ts");
    const compressor = await openCompressor(model, values.compressor);
    try {
      const name = `${model.name}, extensible:rows=${budget}`;
      const compressed = evaluateCompressed(model, compressor, { rows: budget, name });
      reports.push(await measure(compressed, reports.length));
    } finally {
      await compressor[Symbol.asyncDispose]();
    }
    return reports;
  });
}

const defaultBudget = 256;

/** The policies that are asked for; `all` stands for every one at the budget. */
async function expandAll(texts: readonly string[], budget: number): Promise<string[]> {
  if (!texts.some((text) => text.trim() === "all")) return [...texts];
  const { policiesOfBudget } = await import("../../context/index.ts");
  return texts.flatMap((text) => (text.trim() === "all" ? policiesOfBudget(budget) : [text]));
}

/** Throws `option-misplaced` for a budget or a compressor that nothing would read. */
function checkBudget(values: EvaluationValues, policies: readonly string[]): void {
  if (policies.length === 0) {
    refuseMisplaced(values, ["budget", "compressor"], "belongs to --policies");
    return;
  }
  const isRead = policies.some((text) => text.trim() === "all") || values.compressor !== undefined;
  if (!isRead) refuseMisplaced(values, ["budget"], "belongs to --policies all and --compressor");
}

async function withEvaluatedModel<T>(
  context: CommandContext,
  values: EvaluationValues,
  use: (model: EvaluatedModel) => Promise<T>,
): Promise<T> {
  const { evaluateEndpoint, evaluateLocally } = await import("../../evaluate/index.ts");
  const { endpoint, endpointModel, completions, concurrency, maxTokens, tokenizer } = values;
  if (endpoint === undefined) {
    refuseMisplaced(
      values,
      ["endpointModel", "completions", "concurrency", "maxTokens", "tokenizer"],
      "belongs to --endpoint",
    );
    return withModel(context, values, { slots: 1 }, (model) => use(evaluateLocally(model)));
  }
  refuseMisplaced(values, ["model", "format", "threads"], "is of a local model, not of --endpoint");
  if (endpointModel === undefined) {
    throw new UsageError("option-missing", "--endpoint needs --endpoint-model NAME", {
      expected: "--endpoint-model NAME",
    });
  }
  if ((tokenizer === undefined) !== (values.context === undefined)) {
    throw new UsageError(
      "option-missing",
      "with --endpoint, --tokenizer and --context come together: what is too long is counted in tokens",
    );
  }
  const { environment } = context;
  const loaded = tokenizer === undefined ? undefined : await openTokenizer(context, tokenizer);
  return use(
    evaluateEndpoint({
      url: endpoint,
      model: endpointModel,
      apiKey: environment["JETON_ENDPOINT_KEY"] ?? environment["OPENAI_API_KEY"],
      api: completions ? "completions" : "chat",
      ...defined({ concurrency, maxTokens, contextLength: values.context }),
      ...(loaded && { countTokens: (prompt: string) => loaded.encodeIds(prompt).length }),
    }),
  );
}

async function openTokenizer(context: CommandContext, name: string) {
  const { loadTokenizer } = await import("../../tokenizer/index.ts");
  return loadTokenizer(await locateTokenizer(context, name));
}

/**
 * A comma-separated list of numbers.
 *
 * @throws UsageError `option-value-invalid`
 */
export function parseNumbers(option: string, text: string | undefined): number[] | undefined {
  if (text === undefined) return undefined;
  const numbers = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  if (numbers.every((number) => Number.isFinite(number))) return numbers;
  throw new UsageError(
    "option-value-invalid",
    `${option} is ${JSON.stringify(text)}, expected numbers with commas between them`,
    { option, found: text, expected: "numbers with commas between them, e.g. 25,50,100" },
  );
}

/**
 * A comma-separated list of words out of a few.
 *
 * @throws UsageError `option-value-invalid`
 */
export function parseChoices<T extends string>(
  option: string,
  text: string | undefined,
  choices: readonly T[],
): T[] | undefined {
  if (text === undefined) return undefined;
  const words = text.split(",").map((word) => word.trim());
  const unknown = words.find((word) => !(choices as readonly string[]).includes(word));
  if (unknown === undefined) return words as T[];
  throw new UsageError(
    "option-value-invalid",
    `${option}: ${JSON.stringify(unknown)} is none of ${choices.join(", ")}`,
    { option, found: unknown, expected: choices },
  );
}
