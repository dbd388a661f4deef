/**
 * Prompts that end inside a token, for generation by tokens: the prompt's last tokens are chosen anew, so
 * that the model sees an encoding as it was trained on.
 */
import { JetonError } from "../../core/index.ts";
import type { LoadedModel } from "../../model/index.ts";
import { openModelRows, type TokenRow, type TokenRows } from "../bytes/token-rows.ts";
import { promptIds } from "../prompt.ts";
import { distributionById, isGreedy, type Sampling, sampleFrom } from "../sampling/sampler.ts";
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

/** Options of `healPrompt`. */
export interface HealOptions {
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

/**
 * Chooses the tokens of a prompt.
 *
 * @throws JetonError `byte-tokens-unsupported`, `byte-impossible`
 */
export async function healPrompt(
  model: LoadedModel,
  prompt: string,
  options: HealOptions,
): Promise<HealedPrompt> {
  const { healing, signal } = options;
  const before = options.before ?? promptIds(model, "");
  const encoded = [...encodePlain(model.tokenizer, prompt)];
  const prefix = [...before, ...encoded];
  if (healing === "none") return { ids: prefix, rest: new Uint8Array(0) };
  const rows = await openModelRows(model, { prefix, ...(signal && { signal }) });
  try {
    return healing === "token"
      ? await healLastToken(model, rows, encoded, { ...options, before })
      : await sampleCovering(model, rows, prompt, { ...options, before });
  } finally {
    await rows.close();
  }
}

type Choice = HealOptions & { readonly before: readonly number[] };

async function healLastToken(
  model: LoadedModel,
  rows: TokenRows,
  encoded: readonly number[],
  { sampling, before, signal }: Choice,
): Promise<HealedPrompt> {
  const ids = encoded.slice(0, -1);
  const last = encoded.at(-1);
  if (last === undefined) return { ids: before, rest: new Uint8Array(0) };
  const { trie, validity } = tablesOf(model.tokenizer, "utf8");
  const { bytesById } = validity.tokens;
  const spelt = bytesById[last];
  if (spelt === undefined) return { ids: [...before, ...ids, last], rest: new Uint8Array(0) };
  const node = trie.find(spelt)!;
  const base = [...before, ...ids];
  const [row] = await rows.evaluate({ base, ids: [], parents: [] }, signal ? { signal } : {});
  const candidates = trie.order.slice(node.low, node.high).sort();
  const chosen = choose(row!, candidates, sampling, base.length);
  return { ids: [...base, chosen], rest: bytesById[chosen]!.slice(spelt.length) };
}

/** A token among candidates, which are in ascending order. */
function choose(row: TokenRow, ids: Int32Array, sampling: Sampling, position: number): number {
  const logits = Float32Array.from(ids, (id) => row.logits[id]! - row.logSumExp);
  return sampleFrom(distributionById(logits, sampling, ids), sampling, position);
}

async function sampleCovering(
  model: LoadedModel,
  rows: TokenRows,
  prompt: string,
  { sampling, before, signal }: Choice,
): Promise<HealedPrompt> {
  const bytes = createExactBytes(rows, model.tokenizer);
  await bytes.prefill(new TextEncoder().encode(prompt), { before, ...(signal && { signal }) });
  let coverings = await bytes.coverings();
  if (isGreedy(sampling)) {
    const logs = await bytes.logProbabilities(signal ? { signal } : {});
    const best = logs.reduce((top, log, outcome) => (log > logs[top]! ? outcome : top), 0);
    // A covering without rest goes on by itself: it competes with its own probability.
    const next = coverings.filter(({ rest }) => rest.length === 0 || rest[0] === best);
    if (next.length > 0) coverings = next;
  }
  if (coverings.length === 0) {
    throw new JetonError("the prompt has no covering", { code: "byte-no-outcome" });
  }
  const largest = Math.max(...coverings.map(({ logProbability }) => logProbability));
  const logits = Float32Array.from(coverings, ({ logProbability }) => logProbability - largest);
  const position = before.length + bytes.length;
  const index = sampleFrom(distributionById(logits, sampling), sampling, position);
  const { ids, rest } = coverings[index]!;
  return { ids: [...bytes.certainIds, ...ids], rest };
}
