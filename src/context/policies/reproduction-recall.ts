/** Passkeys in held-out prose for reproductions of context policies, and how often the bundled model finds them. */
import { readFile } from "node:fs/promises";
import { createRandom } from "../../core/index.ts";
import { complete } from "../../generate/index.ts";
import type { ContextPolicy, LoadedModel } from "../../model/index.ts";
import { gibbonParagraphs, heldOutChapters } from "../../reproduce/data/held-out-chapters.ts";
import { makeRecallTask } from "../../reproduce/data/recall-tasks.ts";
import type { Plot, ReproductionContext } from "../../reproduce/index.ts";

/** A text that tells a number of five digits somewhere, and asks for it at its end. */
export interface PasskeyPrompt {
  readonly ids: readonly number[];
  readonly answer: string;
  /** Tokens between the number and the end of the prompt. */
  readonly distance: number;
}

/** Which prompts are made. */
export interface PasskeyOptions {
  /** Length of a prompt, met within a sentence or two. */
  readonly tokens: number;
  readonly count: number;
  /** The number stands at least this many tokens from both ends, so that no window holds it. */
  readonly margin: number;
  /** Names the stream of random numbers, e.g. `"calibration"`. */
  readonly purpose: string;
}

/** Prompts whose depth is uniform within the margins. */
export async function passkeyPrompts(
  context: Pick<ReproductionContext, "data" | "seed">,
  { tokenizer }: LoadedModel,
  { tokens, count, margin, purpose }: PasskeyOptions,
): Promise<PasskeyPrompt[]> {
  const filler = await heldOutSentences(context);
  const sample = filler.slice(0, 200).join(" ");
  const perToken = sample.length / tokenizer.encodeIds(sample).length;
  const random = createRandom(context.seed, "passkeys", purpose, tokens);
  const prompts: PasskeyPrompt[] = [];
  for (let at = 0; prompts.length < count; at++) {
    const length = Math.round((tokens - 30) * perToken);
    const task = makeRecallTask(random.fork(at), { kind: "passkey", words: [], filler, length });
    const { prompt, answer: told } = task.questions[0]!;
    const answer = told.trim();
    const ids = [...tokenizer.encodeIds(prompt, { applyLimits: false })];
    const before = tokenizer.encodeIds(prompt.slice(0, prompt.indexOf(answer)), {
      applyLimits: false,
    }).length;
    const distance = ids.length - before;
    if (before < margin || distance < margin) continue;
    prompts.push({ ids, answer, distance });
  }
  return prompts;
}

async function heldOutSentences({ data }: Pick<ReproductionContext, "data">): Promise<string[]> {
  const sentences: string[] = [];
  for (const chapter of heldOutChapters) {
    const text = await readFile(await data(`text/gibbon/${chapter}.txt`), "utf8");
    for (const paragraph of gibbonParagraphs(text)) {
      sentences.push(...paragraph.split(/(?<=[a-z]\.) (?=[A-Z])/));
    }
  }
  return sentences.filter((sentence) => sentence.length > 30 && sentence.length < 160);
}

/** 1 where the first number of the answer is the one, else 0, by prompt; remembered. */
export async function passkeyAccuracy(
  context: Pick<ReproductionContext, "remember" | "progress" | "signal">,
  model: LoadedModel,
  prompts: readonly PasskeyPrompt[],
  run: { readonly name: string; readonly policy: ContextPolicy; readonly tokens: number },
): Promise<number[]> {
  const { name, policy, tokens } = run;
  const title = `${name} at ${tokens} tokens`;
  const settings = { policy: policy.name, options: policy.options, tokens, count: prompts.length };
  return context.remember(title, settings, async () => {
    const found: number[] = [];
    for (const [at, { ids, answer }] of prompts.entries()) {
      context.signal.throwIfAborted();
      context.progress(title, at, prompts.length);
      const { text } = await complete(model, ids, {
        contextPolicy: policy,
        greedy: true,
        maxTokens: 12,
        signal: context.signal,
      });
      found.push(/\d+/.exec(text)?.[0] === answer ? 1 : 0);
    }
    return found;
  });
}

/** What several policies find, by length. */
export interface FoundByLength {
  /** At the length that is judged, by policy. */
  readonly judged: ReadonlyMap<string, readonly number[]>;
  /** Percent by policy: pairs of tokens and share. */
  readonly byLength: Readonly<Record<string, readonly (readonly [number, number])[]>>;
  readonly plot: Plot;
}

/** Which lengths are measured. */
export interface LengthsOptions {
  /** Tokens, and questions of each length. */
  readonly lengths: readonly { readonly tokens: number; readonly count: number }[];
  /** The length that claims are about. */
  readonly judged: number;
  /** See `PasskeyOptions.margin`. */
  readonly margin: number;
}

/** Measures policies on the same questions. */
export async function measureLengths(
  context: ReproductionContext,
  model: LoadedModel,
  policies: Readonly<Record<string, ContextPolicy>>,
  { lengths, judged, margin }: LengthsOptions,
): Promise<FoundByLength> {
  const found = new Map<string, readonly number[]>();
  const byLength: Record<string, [number, number][]> = {};
  for (const { tokens, count } of lengths) {
    const asked = { tokens, count, margin, purpose: "measured" };
    const prompts = await passkeyPrompts(context, model, asked);
    for (const [name, policy] of Object.entries(policies)) {
      const own = await passkeyAccuracy(context, model, prompts, { name, policy, tokens });
      if (tokens === judged) found.set(name, own);
      byLength[name] ??= [];
      byLength[name].push([tokens, share(own)]);
    }
  }
  const series = Object.entries(byLength).map(([name, points]) => ({
    name,
    points: points.map(([x, y]) => ({ x, y })),
  }));
  const x = { title: "tokens of the text", scale: "log" } as const;
  const y = { title: "found, %", zero: true };
  const title = "Passkeys found by length; the model was trained on 1,024 tokens";
  return {
    judged: found,
    byLength,
    plot: { title, panels: [{ title: "", kind: "line", x, y, series }] },
  };
}

/** Percent. */
export const percent = (found: readonly number[]): number[] => found.map((value) => 100 * value);

/** The mean, rounded to a tenth, for details. */
export function share(found: readonly number[]): number {
  return Math.round((1000 * found.reduce((a, b) => a + b, 0)) / found.length) / 10;
}
