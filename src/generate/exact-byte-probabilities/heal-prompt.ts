/**
 * Prompts that end inside a token, for generation by tokens: the prompt's last tokens are chosen anew, so
 * that the model sees an encoding as it was trained on.
 */
import { createRandom, JetonError } from "../../core/index.ts";
import type { LoadedModel } from "../../model/index.ts";
import { readByteContext } from "../bytes/read-byte-context.ts";
import { type ModelRowsOptions, openModelRows, type TokenRows } from "../bytes/token-rows.ts";
import { promptIds } from "../prompt.ts";
import { distributionById, isGreedy, pickToken, type Sampling } from "../sampling/sampler.ts";
import { encodePlain, tablesOf } from "./byte-tables.ts";
import { createExactBytes } from "./exact-byte-probabilities.ts";

/**
 * What is done about a prompt that may end inside a token. `"none"`: it is encoded as it is. `"token"`:
 * its last token is taken back, and the next one begins with that one's bytes (token healing). `"exact"`:
 * one of its coverings is drawn with its exact probability.
 */
export type Healing = "exact" | "token" | "none";

/** Names of the ways, for options. */
export const healings: readonly ["exact", "token", "none"] = ["exact", "token", "none"];

/**
 * What `jeton run` does where `--heal` is not given. Chosen by the reproduction's claims `default-healing` and
 * `default-healing-words`: exact healing writes more words right than the others and loses nothing.
 */
export const defaultHealing: Healing = "exact";

/** Options of `healPrompt`; the prompt is read as those of `generate` say. */
export interface HealOptions extends Pick<ModelRowsOptions, "prefillChunk" | "onPrefill"> {
  readonly healing: Healing;
  /** How the last token is chosen; a greedy one is the best with the most probable next byte. */
  readonly sampling: Sampling;
  /** Token ids before the prompt. Default: those that the tokenizer puts before a text. */
  readonly before?: readonly number[];
  readonly signal?: AbortSignal;
}

/** A prompt in tokens that may reach beyond its text. */
export interface HealedPrompt {
  /** Ids, those before the text included. */
  readonly ids: readonly number[];
  /** Bytes of the last token beyond the prompt: the beginning of the answer. */
  readonly rest: Uint8Array;
}

/** What healing did for several continuations of one prompt. */
export interface HealedPrompts {
  /** One for each way of sampling. */
  readonly prompts: readonly HealedPrompt[];
  /** Tokens of the prompt that the KV cache held before. */
  readonly reusedTokens: number;
}

/**
 * Chooses the tokens of a prompt. Special tokens that the text spells stay as they are: what is behind the last
 * of them is healed.
 *
 * @throws JetonError `byte-tokens-unsupported`, `byte-impossible`, `generate-context-exceeded`
 */
export async function healPrompt(
  model: LoadedModel,
  prompt: string,
  { sampling, ...options }: HealOptions,
): Promise<HealedPrompt> {
  const { prompts } = await healPrompts(model, prompt, { ...options, samplings: [sampling] });
  return prompts[0]!;
}

/** The same for several continuations: the coverings are found once, and each way of sampling draws its own. */
export async function healPrompts(
  model: LoadedModel,
  prompt: string,
  {
    samplings,
    ...options
  }: Omit<HealOptions, "sampling"> & { readonly samplings: readonly Sampling[] },
): Promise<HealedPrompts> {
  const { healing, signal, prefillChunk, onPrefill } = options;
  const { before, encoded, text } = splitPrompt(model, prompt, options.before);
  const whole = { ids: [...before, ...encoded], rest: new Uint8Array(0) };
  if (healing === "none" || text === "") {
    return { prompts: samplings.map(() => whole), reusedTokens: 0 };
  }
  const rows = await openModelRows(model, {
    prefix: whole.ids,
    ...(prefillChunk !== undefined && { prefillChunk }),
    ...(onPrefill && { onPrefill }),
    ...(signal && { signal }),
  });
  try {
    const find = healing === "token" ? findNextTokens : findCoverings;
    const candidates = await find(model, rows, { before, encoded, text, signal });
    const prompts = samplings.map((sampling) => {
      const found = isGreedy(sampling) ? candidates.greedy : candidates.all;
      return found.length === 0 ? whole : choose(found, sampling);
    });
    return { prompts, reusedTokens: rows.reused };
  } finally {
    await rows.close();
  }
}

/** Whether an error says that a prompt of this model cannot be healed, but can be read as it is. */
export function isHealingUnavailable(error: unknown): boolean {
  return JetonError.isInstance(error) && unavailable.has(error.code);
}

const unavailable: ReadonlySet<string> = new Set([
  "byte-tokens-unsupported",
  "byte-impossible",
  "byte-no-outcome",
  "generate-context-exceeded",
]);

/** A prompt behind its last special token. */
interface SplitPrompt {
  readonly before: readonly number[];
  /** Ids of `text`. */
  readonly encoded: readonly number[];
  readonly text: string;
}

/**
 * @param given ids before the prompt, which then is ordinary text
 * @throws JetonError `byte-tokens-unsupported` where the text behind a special token has other ids than alone
 */
function splitPrompt(
  model: LoadedModel,
  prompt: string,
  given: readonly number[] | undefined,
): SplitPrompt {
  const { tokenizer } = model;
  if (given !== undefined) {
    return { before: given, encoded: [...encodePlain(tokenizer, prompt)], text: prompt };
  }
  const ids = promptIds(model, prompt);
  const { before, text: bytes } = readByteContext(tokenizer, ids);
  const encoded = ids.slice(before.length);
  const text = new TextDecoder().decode(bytes);
  const alone = encodePlain(tokenizer, text);
  if (alone.length === encoded.length && encoded.every((id, at) => id === alone[at])) {
    return { before, encoded, text };
  }
  throw new JetonError(
    `the text ${JSON.stringify(text.slice(-40))} has other tokens behind a special token than alone, expected the same`,
    {
      code: "byte-tokens-unsupported",
      details: { text, expected: encoded, found: Array.from(alone) },
    },
  );
}

/** A way to end the prompt's tokens. */
interface Candidate extends HealedPrompt {
  /** ln P, up to a constant that all share. */
  readonly logProbability: number;
}

/** What may be drawn, and what a greedy choice is among. */
interface Candidates {
  readonly all: readonly Candidate[];
  readonly greedy: readonly Candidate[];
}

type Search = SplitPrompt & { readonly signal: AbortSignal | undefined };

/** Tokens that begin with the bytes of the prompt's last one. */
async function findNextTokens(
  model: LoadedModel,
  rows: TokenRows,
  { before, encoded, signal }: Search,
): Promise<Candidates> {
  const { trie, validity } = tablesOf(model.tokenizer, "utf8");
  const { bytesById } = validity.tokens;
  const kept = [...before, ...encoded.slice(0, -1)];
  const spelt = bytesById[encoded.at(-1)!];
  const node = spelt && trie.find(spelt);
  if (spelt === undefined || node === undefined) return { all: [], greedy: [] };
  const base = kept.length > 0 ? kept : rows.beginning;
  const [row] = await rows.evaluate({ base, ids: [], parents: [] }, signal ? { signal } : {});
  const all = Array.from(
    trie.order.slice(node.low, node.high).sort(),
    (id): Candidate => ({
      ids: [...kept, id],
      rest: bytesById[id]!.slice(spelt.length),
      logProbability: row!.logits[id]! - row!.logSumExp,
    }),
  );
  return { all, greedy: all };
}

/** The coverings of the prompt. */
async function findCoverings(
  model: LoadedModel,
  rows: TokenRows,
  search: Search,
): Promise<Candidates> {
  try {
    return await readCoverings(model, rows, search, 1e-6);
  } catch (error) {
    // A model that finds every token improbable.
    if (!JetonError.isInstance(error) || error.code !== "byte-no-outcome") throw error;
    return readCoverings(model, rows, search, 0);
  }
}

/** @param minProbability tokens that are rarer after a sequence count as ones that may not follow */
async function readCoverings(
  model: LoadedModel,
  rows: TokenRows,
  { before, text, signal }: Search,
  minProbability: number,
): Promise<Candidates> {
  // What comes after the next byte is of no use here.
  const bytes = createExactBytes(rows, model.tokenizer, { maxAhead: 0, minProbability });
  const asked = signal ? { signal } : {};
  const read = new TextEncoder().encode(text);
  await bytes.prefill(read, { before, ...asked });
  // A short text of a tokenizer that puts nothing before it: its first token needs something to follow.
  const isBare = bytes.certainIds.length === 0;
  if (isBare) await bytes.prefill(read, asked);
  const start = isBare ? bytes.certainIds.slice(rows.beginning.length) : bytes.certainIds;
  const logs = await bytes.logProbabilities(asked);
  const best = logs.reduce((top, log, outcome) => (log > logs[top]! ? outcome : top), 0);
  const all = (await bytes.coverings()).map(
    ({ ids, rest, logProbability }): Candidate => ({
      ids: [...start, ...ids],
      rest,
      logProbability,
    }),
  );
  if (all.length === 0) {
    throw new JetonError("the prompt has no covering", { code: "byte-no-outcome" });
  }
  // A covering without rest goes on by itself: it competes with its own probability.
  const next = all.filter(({ rest }) => rest.length === 0 || rest[0] === best);
  return { all, greedy: next.length > 0 ? next : all };
}

/** Draws by the sequence's own random number, which no position of the text uses. */
function choose(candidates: readonly Candidate[], sampling: Sampling): HealedPrompt {
  const largest = Math.max(...candidates.map(({ logProbability }) => logProbability));
  const logits = Float32Array.from(candidates, ({ logProbability }) => logProbability - largest);
  const { seed, sequence } = sampling;
  const uniform = createRandom(seed, "covering", sequence).uniform();
  const { ids, rest } = candidates[pickToken(distributionById(logits, sampling), uniform)]!;
  return { ids, rest };
}
