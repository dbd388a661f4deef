/** The rotation of a layer, from `rope_scaling`, `rope_parameters` and the keys beside them. */

import type { RopeConfig } from "./config.ts";
import { type Fields, invalid, isFields, positive } from "./config-fields.ts";

/** Which of the layers a rotation is for. */
export type LayerKind = "full" | "sliding";

/**
 * The rotation of the layers of one kind.
 *
 * @throws JetonError `model-config-invalid`
 */
export function ropeConfig(
  family: string,
  fields: Fields,
  layer: LayerKind,
  headDim: number,
): RopeConfig {
  const { parameters, theta } = ropeParameters(family, fields, layer);
  if (typeof theta !== "number" || !(theta > 0)) {
    throw invalid("rope_theta", theta, "a positive number");
  }
  const kind = ropeKind(family, parameters);
  const maxPositionEmbeddings = positive(fields, "max_position_embeddings", Number.isSafeInteger);
  const original =
    fields["original_max_position_embeddings"] ?? parameters["original_max_position_embeddings"];
  return {
    kind,
    theta,
    rotaryDim: rotatedDimensions({ family, fields, parameters, kind, headDim }),
    maxPositionEmbeddings,
    originalMaxPositionEmbeddings: typeof original === "number" ? original : maxPositionEmbeddings,
    scaling: parameters,
  };
}

/**
 * The dictionary of a rotation and its theta: `rope_scaling` or `rope_parameters`. The latter may hold a
 * dictionary for each kind of layer, and in Gemma 3 and OLMo 3 does; there `rope_scaling` is the full layers'.
 */
function ropeParameters(
  family: string,
  fields: Fields,
  layer: LayerKind,
): { parameters: Fields; theta: unknown } {
  const scaling = isFields(fields["rope_scaling"]) ? fields["rope_scaling"] : {};
  const given = isFields(fields["rope_parameters"]) ? fields["rope_parameters"] : {};
  if (family === "gemma3_text") {
    const nested = given[`${layer}_attention`];
    const own: Fields = isFields(nested) ? nested : {};
    return layer === "full"
      ? {
          parameters: { ...own, ...scaling },
          theta: scaling["rope_theta"] ?? own["rope_theta"] ?? fields["rope_theta"],
        }
      : { parameters: own, theta: own["rope_theta"] ?? fields["rope_local_base_freq"] };
  }
  // OLMo 3 scales its full layers alone. The base beside the dictionaries is that of both, as when the models were made.
  if (family === "olmo3") {
    const nested = given[`${layer}_attention`];
    if (Object.keys(given).length > 0 && !isFields(nested)) {
      throw invalid("rope_parameters", given, `a dictionary ${layer}_attention`);
    }
    const parameters: Fields = {
      ...(isFields(nested) ? nested : {}),
      ...(layer === "full" ? scaling : {}),
    };
    return { parameters, theta: parameters["rope_theta"] ?? fields["rope_theta"] };
  }
  const dictionary = Object.keys(scaling).length > 0 ? scaling : given;
  const nested = dictionary[`${layer}_attention`];
  const parameters: Fields = isFields(nested) ? nested : dictionary;
  return { parameters, theta: parameters["rope_theta"] ?? fields["rope_theta"] };
}

/** Families whose rotation may leave a part of each head as it is. */
const partialFamilies: readonly string[] = ["phi3", "gpt_neox"];

function rotatedDimensions(of: {
  family: string;
  fields: Fields;
  parameters: Fields;
  kind: RopeConfig["kind"];
  headDim: number;
}): number {
  const { family, fields, parameters, kind, headDim } = of;
  const partial = Number(
    parameters["partial_rotary_factor"] ?? fields["partial_rotary_factor"] ?? 1,
  );
  const isPartial = partialFamilies.includes(family);
  if (partial !== 1 && !isPartial && kind !== "default") {
    throw invalid("partial_rotary_factor", partial, `1 beside the scaling "${kind}" of ${family}`);
  }
  const rotaryDim = isPartial ? Math.floor(headDim * partial) : headDim;
  if (kind === "dynamic" && rotaryDim === 2) {
    throw invalid("rope_scaling", kind, "a rotation of more than two dimensions to stretch");
  }
  if (rotaryDim >= 2 && rotaryDim <= headDim && rotaryDim % 2 === 0) return rotaryDim;
  const expected = "an even number of rotated dimensions";
  if (partial === 1) throw invalid("head_dim", headDim, expected);
  throw invalid("partial_rotary_factor", partial, `${expected} of ${headDim}`);
}

function ropeKind(family: string, parameters: Fields): RopeConfig["kind"] {
  const kind: unknown = parameters["rope_type"] ?? parameters["type"] ?? "default";
  switch (kind) {
    case "default":
    case "mrope": // Multi-axis rotation equals the plain one on text.
      return "default";
    case "su":
      return "longrope";
    case "yarn":
      return family === "phi3" ? "longrope" : "yarn";
    case "linear":
    case "dynamic":
    case "llama3":
    case "longrope":
      return kind satisfies RopeConfig["kind"];
    default:
      throw invalid("rope_scaling", kind, "linear, dynamic, llama3, yarn or longrope");
  }
}

/**
 * Dynamic scaling stretches the context at run time, so its limit is the stretched one. Files with YaRN
 * state either limit: YaRN is turned on by adding the factor alone to a published file, as Qwen's cards say.
 */
export function contextLength(fields: Fields, ropes: readonly RopeConfig[]): number {
  const positions = positive(fields, "max_position_embeddings", Number.isSafeInteger);
  const stretched = ropes.map(({ kind, originalMaxPositionEmbeddings, scaling }) => {
    const factor = Number(scaling["factor"] ?? 1);
    if (kind === "dynamic") return positions * factor;
    return kind === "yarn" ? originalMaxPositionEmbeddings * factor : positions;
  });
  return Math.floor(Math.max(positions, ...stretched));
}
