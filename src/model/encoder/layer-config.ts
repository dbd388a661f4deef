/** The layers of an encoder: windows, and rotations of queries and keys. */
import type { RopeConfig } from "../decoder/config.ts";
import {
  checkLayers,
  type Fields,
  given,
  invalid,
  isFields,
  positive,
} from "../decoder/config-fields.ts";
import type { EncoderConfig, EncoderLayerConfig } from "./config.ts";

/** What the layers of a family are, and their rotations. */
export function describeLayers(
  family: string,
  fields: Fields,
  headDim: number,
): Pick<EncoderConfig, "layers" | "ropes"> {
  // Each of ALBERT's layers is a group of inner ones.
  const inner = family === "albert" ? positive(fields, "inner_group_num", Number.isSafeInteger) : 1;
  const count = inner * positive(fields, "num_hidden_layers", Number.isSafeInteger);
  checkLayers(count);
  const ropes: RopeConfig[] = [];
  const rotation = (theta: number, rotaryDim: number): number => {
    const same = ropes.findIndex((rope) => rope.theta === theta && rope.rotaryDim === rotaryDim);
    if (same >= 0) return same;
    const max = positive(fields, "max_position_embeddings", Number.isSafeInteger);
    const positions = { maxPositionEmbeddings: max, originalMaxPositionEmbeddings: max };
    return ropes.push({ kind: "default", theta, rotaryDim, ...positions, scaling: {} }) - 1;
  };
  const layers = Array.from({ length: count }, (_, index): EncoderLayerConfig => {
    if (family === "modernbert") return modernLayer(fields, index, headDim, rotation);
    if (family !== "nomic_bert") return { window: undefined, rope: undefined, attentionNorm: true };
    const rotaryDim = 2 * Math.floor((headDim * nomicFraction(fields)) / 2);
    const theta = positive(fields, "rotary_emb_base", Number.isFinite);
    return { window: undefined, rope: rotation(theta, rotaryDim), attentionNorm: true };
  });
  return { layers, ropes };
}

function nomicFraction(fields: Fields): number {
  const fraction = positive(fields, "rotary_emb_fraction", Number.isFinite);
  for (const key of ["rotary_scaling_factor", "rotary_emb_scale_base"]) {
    if (given(fields[key])) throw invalid(key, fields[key], "null");
  }
  if (fields["rotary_emb_interleaved"] === true) {
    throw invalid("rotary_emb_interleaved", true, "false");
  }
  return fraction;
}

const modernKinds = ["full_attention", "sliding_attention"] as const;

/** The kind that a file names for a layer; undefined where it names none. */
function modernLayerKind(types: unknown, index: number): (typeof modernKinds)[number] | undefined {
  if (!given(types)) return undefined;
  const kind = Array.isArray(types) ? modernKinds.find((one) => one === types[index]) : undefined;
  if (kind) return kind;
  throw invalid("layer_types", types, `one of ${modernKinds.join(", ")} for each layer`);
}

/** Scaled rotations would be read as plain ones. */
function checkPlainRotation(parameters: unknown): void {
  if (!isFields(parameters)) return;
  const kind = parameters["rope_type"] ?? parameters["type"] ?? "default";
  if (kind !== "default") throw invalid("rope_type", kind, "default");
}

/** ModernBERT: every few layers see all, the others a window with a rotation of their own. */
function modernLayer(
  fields: Fields,
  index: number,
  headDim: number,
  rotation: (theta: number, rotaryDim: number) => number,
): EncoderLayerConfig {
  const every = positive(fields, "global_attn_every_n_layers", Number.isSafeInteger);
  const kind = modernLayerKind(fields["layer_types"], index) ?? modernKinds[index % every ? 1 : 0]!;
  const isGlobal = kind === "full_attention";
  const parameters = fields["rope_parameters"];
  const own = isFields(parameters) ? parameters[kind] : undefined;
  for (const scaling of [own, fields["rope_scaling"]]) checkPlainRotation(scaling);
  const theta =
    isFields(own) && given(own["rope_theta"])
      ? positive(own, "rope_theta", Number.isFinite)
      : isGlobal || !given(fields["local_rope_theta"])
        ? positive(fields, "global_rope_theta", Number.isFinite)
        : positive(fields, "local_rope_theta", Number.isFinite);
  return {
    // Half the stated width on each side, inclusive.
    window: isGlobal
      ? undefined
      : Math.floor(positive(fields, "local_attention", Number.isSafeInteger) / 2),
    rope: rotation(theta, headDim),
    attentionNorm: index > 0,
  };
}
