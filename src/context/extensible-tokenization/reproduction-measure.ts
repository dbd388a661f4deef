/** What a frozen model makes of texts before it: as embeddings, as tokens, or not at all. */
import { readFile } from "node:fs/promises";
import { createRandom } from "../../core/index.ts";
import { complete } from "../../generate/index.ts";
import type { ContextPolicy, LoadedModel } from "../../model/index.ts";
import { gibbonParagraphs, heldOutChapters } from "../../reproduce/data/held-out-chapters.ts";
import type { ReproductionContext } from "../../reproduce/index.ts";
import { passkeyPrompts } from "../policies/reproduction-recall.ts";
import type { Compressor } from "./compressor.ts";
import { openCompressor } from "./open-compressor.ts";
import { joinRows, readEmbeddings } from "./prompt-with-context.ts";
import { type DownScaling, membersOf } from "./reproduction-training.ts";

/** A passage whose last tokens are predicted. */
export interface Passage {
  /** Everything before those. */
  readonly before: readonly number[];
  readonly predicted: readonly number[];
}

/** Tokens that are predicted of each passage; the first of them is given. */
export const predictedTokens = 128;

/** Passages of chapters that no model was trained on; what is predicted of them does not overlap. */
export async function heldOutPassages(
  context: Pick<ReproductionContext, "data">,
  { tokenizer }: Pick<LoadedModel, "tokenizer">,
  { before, count }: { readonly before: number; readonly count: number },
): Promise<Passage[]> {
  const chapters: Passage[][] = [];
  for (const chapter of heldOutChapters) {
    const text = await readFile(await context.data(`text/gibbon/${chapter}.txt`), "utf8");
    const ids = [...tokenizer.encodeIds(gibbonParagraphs(text).join("\n"), { applyLimits: false })];
    const own: Passage[] = [];
    for (let end = before; end + predictedTokens <= ids.length; end += 512) {
      const predicted = ids.slice(end, end + predictedTokens);
      own.push({ before: ids.slice(end - before, end), predicted });
    }
    chapters.push(own);
  }
  const passages = chapters.flat();
  return createRandom(0, "passages").shuffle(passages).slice(0, count);
}

/** Nats for all predicted tokens but the first, behind rows of embeddings. */
export async function lossBehind(
  model: LoadedModel,
  rows: Float32Array | undefined,
  { predicted }: Passage,
): Promise<number> {
  const sequence = await model.openSequence();
  try {
    if (rows && rows.length > 0) {
      const ids = new Array<number>(rows.length / model.config.hiddenSize).fill(-1);
      await sequence.step({ ids, embeddings: rows, results: "none" });
    }
    return await lossOf(sequence, predicted);
  } finally {
    await sequence.release();
  }
}

/** The same behind tokens, under a context policy where one is given. */
export async function lossBehindTokens(
  model: LoadedModel,
  before: readonly number[],
  { predicted }: Passage,
  policy?: ContextPolicy,
): Promise<number> {
  const view = policy ? model.withContextPolicy!(policy) : model;
  const promptLength = before.length + predicted.length;
  const sequence = await view.openSequence({ promptLength });
  try {
    if (before.length > 0) await sequence.step({ ids: before, results: "none" });
    return await lossOf(sequence, predicted);
  } finally {
    await sequence.release();
  }
}

async function lossOf(
  sequence: Awaited<ReturnType<LoadedModel["openSequence"]>>,
  predicted: readonly number[],
): Promise<number> {
  const { targetLogProbabilities } = await sequence.step({
    ids: predicted.slice(0, -1),
    results: "all",
    targets: predicted.slice(1),
  });
  let loss = 0;
  for (const value of targetLogProbabilities!) loss -= value;
  return loss;
}

/** Makes the rows that stand for texts. */
export interface RowMaker extends AsyncDisposable {
  /** @param ids whole windows */
  rows(ids: readonly number[], factor: number): Promise<Float32Array>;
}

/** Opens a compressor whose outputs are thinned out in one way. */
export async function openRowMaker(
  model: LoadedModel,
  compressor: Compressor,
  downScaling: DownScaling,
  acceptOtherModel = false,
): Promise<RowMaker> {
  const open = await openCompressor(model, compressor, { threads: 2, acceptOtherModel });
  const width = model.config.hiddenSize;
  return {
    async rows(ids, factor) {
      const { outputs } = await open.compress(ids);
      const members = membersOf(downScaling, ids.length, { factor, seed: 0 });
      return joinRows(
        members.map((own) => {
          const row = new Float32Array(width);
          for (const place of own) {
            for (let at = 0; at < width; at++)
              row[at]! += outputs[place * width + at]! / own.length;
          }
          return row;
        }),
      );
    },
    [Symbol.asyncDispose]: () => open[Symbol.asyncDispose](),
  };
}

/** 1 where the passkey was found, else 0, by question. */
export interface FoundPasskeys {
  readonly compressed: readonly number[];
  /** As many tokens as there are embeddings. */
  readonly truncated: readonly number[];
  readonly another: readonly number[];
  readonly whole: readonly number[];
}

const questionTokens = 96;
const compressedTokens = 768;

/** Asks for numbers that stand in the compressed part of a text, six windows before its last tokens. */
export async function findPasskeys(
  context: Pick<ReproductionContext, "data" | "seed" | "progress" | "signal">,
  model: LoadedModel,
  compressor: Compressor,
  count: number,
): Promise<FoundPasskeys> {
  // Somewhat longer than what is read of them, and the number is in none of the tokens beside that.
  const asked = { tokens: compressedTokens + questionTokens + 60, count, purpose: "compressed" };
  const prompts = await passkeyPrompts(context, model, { ...asked, margin: questionTokens + 70 });
  await using maker = await openRowMaker(model, compressor, "strided");
  const found = { compressed: [], truncated: [], another: [], whole: [] } as Record<
    keyof FoundPasskeys,
    number[]
  >;
  const textOf = (ids: readonly number[]): readonly number[] =>
    ids.slice(-questionTokens - compressedTokens, -questionTokens);
  for (const [at, { ids, answer }] of prompts.entries()) {
    context.signal.throwIfAborted();
    context.progress("passkeys", at, prompts.length);
    const question = ids.slice(-questionTokens);
    const table = await readEmbeddings(model, question);
    const asTokens = question.map((id) => table.get(id)!);
    const ask = async (name: keyof FoundPasskeys, promptEmbeddings?: Float32Array) => {
      const read =
        name === "whole"
          ? ids
          : name === "truncated"
            ? ids.slice(-questionTokens - compressedTokens / 2)
            : question;
      const options = { greedy: true, maxTokens: 12, signal: context.signal };
      const { text } = await complete(model, [...read], {
        ...options,
        ...(promptEmbeddings && { promptEmbeddings }),
      });
      found[name].push(/\d+/.exec(text)?.[0] === answer ? 1 : 0);
    };
    const behind = async (text: readonly number[]): Promise<Float32Array> =>
      joinRows([await maker.rows(text, 2), ...asTokens]);
    await ask("compressed", await behind(textOf(ids)));
    await ask("another", await behind(textOf(prompts[(at + 1) % prompts.length]!.ids)));
    await ask("truncated");
    await ask("whole");
  }
  return found;
}
