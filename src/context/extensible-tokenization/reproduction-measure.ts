/** What a frozen model makes of texts before it: as embeddings, or as tokens. */
import { complete } from "../../generate/index.ts";
import type { LoadedModel } from "../../model/index.ts";
import type { ReproductionContext } from "../../reproduce/index.ts";
import type { Passage } from "../policies/reproduction-prose.ts";
import { passkeyPrompts } from "../policies/reproduction-recall.ts";
import type { Compressor } from "./compressor.ts";
import { openCompressor } from "./open-compressor.ts";
import { joinRows, readEmbeddings } from "./prompt-with-context.ts";
import { type DownScaling, membersOf } from "./reproduction-training.ts";
import { scoreBehind } from "./score-behind.ts";

/** Nats for all predicted tokens but the first, behind rows of embeddings. */
export async function lossBehind(
  model: LoadedModel,
  rows: Float32Array | undefined,
  { predicted }: Passage,
): Promise<number> {
  const scores = await scoreBehind(model, rows ? { embeddings: rows } : {}, predicted);
  return scores.reduce((sum, value) => sum - value, 0);
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
  const open = await openCompressor(model, compressor, { threads: 1, acceptOtherModel });
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
