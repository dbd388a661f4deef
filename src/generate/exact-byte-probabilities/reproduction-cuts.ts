/** Next bytes and words after prompts that are cut at every byte, by exact probabilities and by tokens. */
import { readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { createRandom } from "../../core/index.ts";
import type { LoadedModel } from "../../model/index.ts";
import type { RatioParts } from "../../reproduce/index.ts";
import { openModelRows } from "../bytes/token-rows.ts";
import { complete } from "../generate.ts";
import { resolveSampling } from "../sampling/options.ts";
import { createExactBytes } from "./exact-byte-probabilities.ts";
import { type Healing, healPrompt } from "./heal-prompt.ts";
import { tokenBaselines } from "./token-baselines.ts";

/** A problem of HumanEval infilling: text before the gap, and what fills it. */
export interface Problem {
  readonly prompt: string;
  readonly middle: string;
  readonly suffix: string;
}

/** Reads a file of the data folder. */
export async function readProblems(path: string): Promise<Problem[]> {
  const text = gunzipSync(await readFile(path)).toString("utf8");
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const row = JSON.parse(line) as Record<"prompt" | "suffix" | "canonical_solution", string>;
      return { prompt: row.prompt, middle: row.canonical_solution, suffix: row.suffix };
    });
}

/** How a cut is continued. `other`: exact, but of another cut of the same problem (the control). */
export const methods = ["exact", "healing", "plain", "other"] as const;
export type Method = (typeof methods)[number];

/** What was found at one cut. */
export interface Cut {
  /** Whether the encoding of the whole text has a token across the cut. */
  readonly isInside: boolean;
  /** For each method: whether the most probable byte is the true one, and its surprise in bits. */
  readonly byMethod: Readonly<Record<Method, { readonly isHit: boolean; readonly bits: number }>>;
}

/** A byte that a method finds impossible counts as so many bits. */
const maxBits = 20;

/** Measures the cuts of one problem, at most `limit` of its middle's bytes. */
export async function measureCuts(
  model: LoadedModel,
  { prompt, middle, suffix }: Problem,
  { limit, seed }: { readonly limit: number; readonly seed: number },
): Promise<Cut[]> {
  const places = placesOf(middle, limit, seed);
  const edges = tokenEdges(model, prompt + middle + suffix);
  const rows = await openModelRows(model);
  const encoder = new TextEncoder();
  try {
    const exact = createExactBytes(rows, model.tokenizer);
    const found: { at: number; logs: Record<Exclude<Method, "other">, Float64Array> }[] = [];
    for (const at of places) {
      const text = prompt + middle.slice(0, at);
      await exact.prefill(encoder.encode(text));
      const logs = await exact.logProbabilities();
      const { plain, healed } = await tokenBaselines(rows, model.tokenizer, text);
      found.push({ at, logs: { exact: logs, plain, healing: healed } });
    }
    return found.map(({ at, logs }, number) => {
      const byte = encoder.encode(middle.slice(at))[0]!;
      const other = found[(number + Math.ceil(found.length / 2)) % found.length]!.logs.exact;
      const judge = (row: Float64Array) => ({
        isHit: row.every((log, outcome) => outcome === byte || log < row[byte]!),
        bits: Math.min(maxBits, -row[byte]! / Math.LN2),
      });
      return {
        isInside: !edges.has(prompt.length + at),
        byMethod: {
          exact: judge(logs.exact),
          healing: judge(logs.healing),
          plain: judge(logs.plain),
          other: judge(other),
        },
      };
    });
  } finally {
    await rows.close();
  }
}

/** Share of hits in percent of a problem's cuts, and their mean surprise. */
export function partsOf(
  cuts: readonly Cut[],
  method: Method,
): { readonly hits: RatioParts; readonly bits: RatioParts } {
  const weight = cuts.length;
  const hits = cuts.filter(({ byMethod }) => byMethod[method].isHit).length;
  const bits = cuts.reduce((sum, { byMethod }) => sum + byMethod[method].bits, 0);
  return { hits: { sum: 100 * hits, weight }, bits: { sum: bits, weight } };
}

/** What is written greedily at a cut within a word, for each way of healing. */
export interface WordCut {
  readonly isInside: boolean;
  /** The rest of the word as it stands. */
  readonly word: string;
  readonly texts: Readonly<Record<Healing, string>>;
}

/** Whether a text begins with a whole word. */
export function beginsWithWord(text: string, word: string): boolean {
  return text.startsWith(word) && !/^\w/.test(text.slice(word.length));
}

/** Continues a problem's middle greedily at cuts within words. */
export async function measureWords(
  model: LoadedModel,
  { prompt, middle, suffix }: Problem,
  { limit, seed }: { readonly limit: number; readonly seed: number },
): Promise<WordCut[]> {
  const edges = tokenEdges(model, prompt + middle + suffix);
  const places = placesOf(middle, middle.length, seed)
    .filter((at) => /^\w/.test(middle.slice(at)))
    .slice(0, limit);
  const sampling = { ...resolveSampling(model, { greedy: true }), seed };
  const found: WordCut[] = [];
  for (const at of places) {
    const text = prompt + middle.slice(0, at);
    const write = async (healing: Healing): Promise<string> => {
      const { ids, rest } = await healPrompt(model, text, { healing, sampling });
      const result = await complete(model, ids, { greedy: true, maxTokens: 6 });
      return new TextDecoder().decode(rest) + result.text;
    };
    found.push({
      isInside: !edges.has(prompt.length + at),
      word: /^\w+/.exec(middle.slice(at) + suffix)![0],
      texts: {
        exact: await write("exact"),
        token: await write("token"),
        none: await write("none"),
      },
    });
  }
  return found;
}

/** Places of a text's characters, drawn by the seed where there are more than `limit`, ascending. */
function placesOf(text: string, limit: number, seed: number): number[] {
  const places = Array.from(text.slice(0, -1), (_, at) => at + 1);
  const kept = createRandom(seed, "cuts", text).shuffle(places).slice(0, limit);
  return kept.sort((a, b) => a - b);
}

/** Places of a text at which a token begins. */
function tokenEdges({ tokenizer }: LoadedModel, text: string): Set<number> {
  const { offsets } = tokenizer.encode(text, { addSpecialTokens: false, applyLimits: false });
  return new Set(offsets.map(([start]) => start));
}
