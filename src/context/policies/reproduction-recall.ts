/** Passkeys in held-out prose for reproductions of context policies, and how often the bundled model finds them. */
import { readFile } from "node:fs/promises";
import { createRandom } from "../../core/index.ts";
import { complete } from "../../generate/index.ts";
import {
  type ContextPolicy,
  type LoadedModel,
  loadModel,
  type StepResult,
} from "../../model/index.ts";
import { gibbonParagraphs, heldOutChapters } from "../../reproduce/data/held-out-chapters.ts";
import { makeRecallTask } from "../../reproduce/data/recall-tasks.ts";
import { meanOf, type Plot, type ReproductionContext, type Sample } from "../../reproduce/index.ts";

/** What claims about passkeys have in common. */
export const compared = {
  unit: "% of questions",
  units: "questions",
  control: "as many random tokens in each layer",
  direction: "higher",
  effect: "difference",
} as const;

/** A claim, the policy that it is about, and the one that it is compared with, by its name or called otherwise. */
export type ComparedPair<Id extends string> = readonly [Id, string, string, string?];

/**
 * Reports how many passkeys policies found.
 *
 * @param control name of the policy that is the control. Default `"random tokens"`.
 */
export function reportPairs<Id extends string>(
  context: Pick<ReproductionContext<Id>, "report">,
  found: ReadonlyMap<string, readonly number[]>,
  pairs: readonly ComparedPair<Id>[],
  {
    control = "random tokens",
    ...details
  }: { readonly control?: string; readonly [name: string]: unknown },
): void {
  const sample = (name: string): Sample => meanOf(found.get(name)!.map((value) => 100 * value));
  for (const [id, method, baseline, baselineName = baseline] of pairs) {
    context.report(id, {
      measured: sample(method),
      baseline: sample(baseline),
      baselineName,
      control: sample(control),
      details,
    });
  }
}

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

/** What a step of the last token of a text gives, the tokens that it attended to and the policy's report included. */
export async function stepLast(view: LoadedModel, ids: readonly number[]): Promise<StepResult> {
  const promptLength = ids.length - 1;
  const sequence = await view.openSequence({ promptLength });
  try {
    await sequence.step({ ids: ids.slice(0, -1), results: "none" });
    return await sequence.step({ ids: ids.slice(-1), attended: true });
  } finally {
    await sequence.release();
  }
}

/** A quick run asks so many questions of one length, in tokens, somewhat beyond the trained window. */
export const quickQuestions = { tokens: 1280, count: 2 } as const;

/** Which lengths a full run measures, in tokens; a quick run has `quickQuestions`. */
export interface LengthsOptions {
  /** Shorter ones, for the plot. */
  readonly shorter: readonly number[];
  /** The length that claims are about. */
  readonly judged: number;
  /** Questions of each shorter length, and of the judged one. */
  readonly counts: readonly [number, number];
  /** Name of the policy that is the control. Default `"random tokens"`. */
  readonly control?: string;
  /** More details of each claim, from the questions of the judged length. */
  detail?(model: LoadedModel, prompts: readonly PasskeyPrompt[]): Promise<Record<string, unknown>>;
}

/**
 * Measures policies on the same questions with the bundled model, and reports the claims.
 *
 * @param policies a quick run measures those that the pairs and the control name
 */
export async function comparePolicies<Id extends string>(
  context: ReproductionContext<Id>,
  policies: Readonly<Record<string, ContextPolicy>>,
  { shorter, judged, counts, control = "random tokens", detail }: LengthsOptions,
  pairs: readonly ComparedPair<Id>[],
): Promise<Plot> {
  await using model = await loadModel(await context.model(), { format: "f32", threads: 1 });
  const last = context.quick ? quickQuestions : { tokens: judged, count: counts[1] };
  const before = context.quick ? [] : shorter.map((tokens) => ({ tokens, count: counts[0] }));
  const named = new Set([control, ...pairs.flatMap(([, own, other]) => [own, other])]);
  const found = new Map<string, readonly number[]>();
  const byLength: Record<string, [number, number][]> = {};
  let more: Record<string, unknown> = {};
  for (const { tokens, count } of [...before, last]) {
    const asked = { tokens, count, margin: 120, purpose: "measured" };
    const prompts = await passkeyPrompts(context, model, asked);
    for (const [name, policy] of Object.entries(policies)) {
      if (context.quick && !named.has(name)) continue;
      const own = await passkeyAccuracy(context, model, prompts, { name, policy, tokens });
      if (tokens === last.tokens) found.set(name, own);
      byLength[name] ??= [];
      byLength[name].push([tokens, share(own)]);
    }
    if (tokens === last.tokens) more = (await detail?.(model, prompts)) ?? {};
  }
  reportPairs(context, found, pairs, { control, tokens: last.tokens, byLength, ...more });
  const series = Object.entries(byLength).map(([name, points]) => ({
    name,
    points: points.map(([x, y]) => ({ x, y })),
  }));
  const x = { title: "tokens of the text", scale: "log" } as const;
  const y = { title: "found, %", zero: true };
  const title = "Passkeys found by length; the model was trained on 1,024 tokens";
  return { title, panels: [{ title: "", kind: "line", x, y, series }] };
}

/** The mean, rounded to a tenth, for details. */
export function share(found: readonly number[]): number {
  return Math.round((1000 * found.reduce((a, b) => a + b, 0)) / found.length) / 10;
}
