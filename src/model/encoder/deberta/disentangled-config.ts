/** DeBERTa's scores of positions, as its `config.json` describes them. */
import { type Fields, given, invalid } from "../../decoder/config-fields.ts";

/**
 * Scores of contents with positions, learned vectors for buckets of distances (He et al., 2021): a query with the vector
 * of the distance to a key, and a key with that of the distance from a query.
 */
export interface DisentangledConfig {
  /** Half the rows of the table of distances. */
  readonly span: number;
  /** Distances up to `span / 2` have a bucket each, farther ones share logarithmic ones; 0: each its own. */
  readonly buckets: number;
  /** Distances from here on share the last bucket. */
  readonly maxDistance: number;
  readonly contentToPosition: boolean;
  readonly positionToContent: boolean;
  /** The matrices of contents make the vectors of distances too. */
  readonly sharesKey: boolean;
  /** A norm of the table. */
  readonly norm: boolean;
}

/** Reads the keys; nothing where the configuration has no relative attention. */
export function describeDisentangled(
  fields: Fields,
  headDim: number,
): { readonly disentangled?: DisentangledConfig; readonly attentionScale: number } {
  refuse(fields, "legacy", [true]);
  const kinds = positionKinds(fields["pos_att_type"]);
  // The class divides by the parts that are named, also where it computes none but the first.
  const attentionScale = (headDim * (1 + kinds.length)) ** -0.5;
  if (fields["relative_attention"] !== true) return { attentionScale };
  const max = fields["max_position_embeddings"] as number;
  const stated = wholeNumber(fields, "max_relative_positions", -1);
  const maxDistance = stated < 1 ? max : stated;
  const buckets = Math.max(0, wholeNumber(fields, "position_buckets", -1));
  const norms = String(fields["norm_rel_ebd"] ?? "none")
    .toLowerCase()
    .split("|");
  return {
    attentionScale,
    disentangled: {
      span: buckets > 0 ? buckets : maxDistance,
      buckets,
      maxDistance,
      contentToPosition: kinds.includes("c2p"),
      positionToContent: kinds.includes("p2c"),
      sharesKey: fields["share_att_key"] === true,
      norm: norms.includes("layer_norm"),
    },
  };
}

/** A list, or names with `|` between them. */
function positionKinds(value: unknown): string[] {
  const names = typeof value === "string" ? value.split("|") : Array.isArray(value) ? value : [];
  const kinds = names
    .map((name) => String(name).trim().toLowerCase())
    .filter((name) => name !== "");
  for (const kind of kinds) {
    if (kind !== "c2p" && kind !== "p2c") throw invalid("pos_att_type", value, "c2p, p2c");
  }
  return [...new Set(kinds)];
}

function refuse(fields: Fields, key: string, allowed: readonly unknown[]): void {
  const value = fields[key];
  if (given(value) && !allowed.includes(value)) throw invalid(key, value, String(allowed[0]));
}

function wholeNumber(fields: Fields, key: string, otherwise: number): number {
  const value = fields[key];
  if (!given(value)) return otherwise;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= -1) return value;
  throw invalid(key, value, "a whole number from -1");
}
