/** Families whose `config.json` has names of its own for what others share. */
import { type Fields, given, invalid } from "./config-fields.ts";

/** How a family names its fields. */
interface FieldNames {
  /** Its own names, each with the shared one. */
  readonly own: Readonly<Record<string, string>>;
  /** Shared names that its config class takes too; the other shared ones of `own` it does not read. */
  readonly shared: readonly string[];
  /** Further fields of other families that it does not read. */
  readonly unread: readonly string[];
}

const families: Readonly<Record<string, FieldNames>> = {
  // GPT2Config.attribute_map
  gpt2: {
    own: {
      n_embd: "hidden_size",
      n_head: "num_attention_heads",
      n_layer: "num_hidden_layers",
      n_positions: "max_position_embeddings",
      n_inner: "intermediate_size",
      activation_function: "hidden_act",
      layer_norm_epsilon: "rms_norm_eps",
    },
    shared: ["hidden_size", "num_attention_heads", "num_hidden_layers", "max_position_embeddings"],
    unread: ["head_dim", "num_key_value_heads"],
  },
  // GPTNeoConfig.attribute_map
  gpt_neo: {
    own: {
      num_heads: "num_attention_heads",
      num_layers: "num_hidden_layers",
      window_size: "sliding_window",
      activation_function: "hidden_act",
      layer_norm_epsilon: "rms_norm_eps",
    },
    shared: ["num_attention_heads", "num_hidden_layers"],
    unread: ["head_dim", "num_key_value_heads"],
  },
  // OlmoLayerNorm: the epsilon is a part of the code.
  olmo: { own: {}, shared: [], unread: ["rms_norm_eps"] },
  // GPTNeoXConfig.convert_rope_params_to_dict
  gpt_neox: {
    own: {
      layer_norm_eps: "rms_norm_eps",
      rotary_emb_base: "rope_theta",
      rotary_pct: "partial_rotary_factor",
    },
    shared: [],
    unread: ["head_dim", "num_key_value_heads"],
  },
};

/**
 * The fields of a file by the names that families share.
 *
 * @throws JetonError `model-config-invalid` where a field stands under both of its names with different values
 */
export function withSharedNames(family: string, config: Fields): Fields {
  const names = families[family];
  if (!names) return config;
  const fields: Record<string, unknown> = { ...config };
  for (const name of names.unread) delete fields[name];
  for (const [own, shared] of Object.entries(names.own)) {
    if (!names.shared.includes(shared)) delete fields[shared];
    const [value, other] = [config[own], fields[shared]];
    if (!given(value)) continue;
    if (given(other) && other !== value) {
      throw invalid(shared, other, `${JSON.stringify(value)}, as ${own} says`);
    }
    fields[shared] = value;
  }
  return family in usualWidths ? withWidth(family, fields) : fields;
}

/** Hidden sizes of families whose feed-forward is four times as wide where the file does not say. */
const usualWidths: Readonly<Record<string, number>> = { gpt2: 768, gpt_neo: 2048 };

function withWidth(family: string, fields: Fields): Fields {
  if (given(fields["intermediate_size"])) return fields;
  const width = fields["hidden_size"] ?? usualWidths[family];
  return { ...fields, intermediate_size: typeof width === "number" ? 4 * width : width };
}

/** The name under which a family's file has a shared field, for messages. */
export function ownName(family: string, shared: string): string {
  const own = Object.entries(families[family]?.own ?? {}).find(([, name]) => name === shared);
  return own?.[0] ?? shared;
}
