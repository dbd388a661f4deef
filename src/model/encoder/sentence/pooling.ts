/** From the states of a text's tokens to one vector: the poolings of sentence-transformers. */
import type { JsonObject, JsonValue } from "../../../checkpoint/json.ts";
import { JetonError } from "../../../core/index.ts";

/** A way to pool, as sentence-transformers names them. */
export type PoolingMode =
  | "cls"
  | "max"
  | "mean"
  | "mean_sqrt_len_tokens"
  | "weightedmean"
  | "lasttoken";

/** In the order in which joined poolings stand where each is a flag. */
export const poolingModes: readonly PoolingMode[] = [
  "cls",
  "max",
  "mean",
  "mean_sqrt_len_tokens",
  "weightedmean",
  "lasttoken",
];

/**
 * Checks the names of poolings and brings them into their fixed order.
 *
 * @throws JetonError `encoder-pooling-unknown`
 */
export function checkPoolings(names: readonly string[]): PoolingMode[] {
  const known = checkPoolingNames(names);
  return poolingModes.filter((mode) => known.includes(mode));
}

/** Checks the names of poolings, which keep their order. @throws JetonError `encoder-pooling-unknown` */
export function checkPoolingNames(names: readonly string[]): PoolingMode[] {
  for (const name of names) {
    if ((poolingModes as readonly string[]).includes(name)) continue;
    throw new JetonError(
      `there is no pooling ${JSON.stringify(name)}, expected ${poolingModes.join(", ")}`,
      { code: "encoder-pooling-unknown", details: { name, known: poolingModes } },
    );
  }
  if (names.length === 0) {
    throw new JetonError(`no pooling was named, expected one of ${poolingModes.join(", ")}`, {
      code: "encoder-pooling-unknown",
      details: { known: poolingModes },
    });
  }
  return names as PoolingMode[];
}

/** Which tokens of a text a pooling reads. */
export interface PooledTokens {
  /** Tokens of the text, padding apart. */
  readonly length: number;
  /** Tokens at the beginning that count for nothing: a prompt's. */
  readonly skipped: number;
}

/**
 * Weights by which a pooling adds up the states of tokens; all of them 0 for `max`, which adds nothing
 * up. `weightedmean` counts places from the beginning of the prompt, also where that is skipped.
 *
 * @param target `[time]`, zeros
 */
export function writePoolingWeights(
  mode: PoolingMode,
  { length, skipped }: PooledTokens,
  target: Float32Array,
): void {
  const count = length - skipped;
  switch (mode) {
    case "cls":
      // The first token that counts: behind a prompt that does not.
      target[skipped] = 1;
      return;
    case "max":
      return;
    case "lasttoken":
      target[length - 1] = 1;
      return;
    case "mean":
      target.fill(1 / Math.max(count, 1e-9), skipped, length);
      return;
    case "mean_sqrt_len_tokens":
      target.fill(1 / Math.sqrt(Math.max(count, 1e-9)), skipped, length);
      return;
    case "weightedmean": {
      const total = (length * (length + 1) - skipped * (skipped + 1)) / 2;
      for (let place = skipped; place < length; place++) target[place] = (place + 1) / total;
    }
  }
}

/** `pooling_mode_…` flags in their fixed order, or the list that newer files write, in its own. */
export function pooledModes(config: JsonObject): PoolingMode[] {
  const listed: JsonValue | undefined = config["pooling_mode"];
  if (typeof listed === "string") return checkPoolings(listed.split("+"));
  if (Array.isArray(listed)) return checkPoolingNames(listed.map(String));
  const flags: Readonly<Record<string, PoolingMode>> = {
    pooling_mode_cls_token: "cls",
    pooling_mode_max_tokens: "max",
    pooling_mode_mean_tokens: "mean",
    pooling_mode_mean_sqrt_len_tokens: "mean_sqrt_len_tokens",
    pooling_mode_weightedmean_tokens: "weightedmean",
    pooling_mode_lasttoken: "lasttoken",
  };
  const modes = Object.entries(flags).filter(([flag]) => config[flag] === true);
  return modes.length > 0 ? checkPoolings(modes.map(([, mode]) => mode)) : ["mean"];
}
