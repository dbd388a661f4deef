/**
 * The two spellings of nomic-bert: that of its authors, after GPT-2, and that of transformers since its classes are
 * there. A file may hold the keys of one and the tensors of the other.
 */
import { type Fields, given, invalid, isFields } from "../decoder/config-fields.ts";
import { encoderKeys } from "./family-defaults.ts";

/** What the configuration class of transformers 5.18.0 assumes where the authors' assume something else. */
const ownDefaults: Fields = { vocab_size: 30528, n_positions: 2048, n_inner: 3072 };

const keys = encoderKeys["nomic_bert"]!;

/** Keys in the authors' spelling. */
export function nomicFields(own: Fields): Fields {
  const isAuthors = ["n_embd", "n_layer", "n_head", "activation_function"].some(
    (key) => key in own,
  );
  const isOther = ["hidden_act", "rope_parameters", ...Object.keys(keys)].some((key) => key in own);
  if (isAuthors || !isOther) return own;
  const fields: Record<string, unknown> = { ...ownDefaults, ...own };
  for (const [name, authors] of Object.entries(keys)) {
    if (given(own[name])) fields[authors] = own[name];
  }
  const { rope_parameters: stated = {} } = own;
  const rope = isFields(stated) ? stated : {};
  const kind = rope["rope_type"] ?? "default";
  if (kind !== "default") throw invalid("rope_type", kind, "default");
  fields["rotary_emb_base"] = rope["rope_theta"] ?? own["rope_theta"] ?? 1000;
  // All of a head is rotated: the class reads no `partial_rotary_factor`.
  fields["rotary_emb_fraction"] = 1;
  fields["activation_function"] = { gated: own["hidden_act"] ?? "silu" };
  return fields;
}

const tensorNames: readonly (readonly [RegExp, string])[] = [
  [/^layers\./, "encoder.layers."],
  [/^(embeddings_layernorm|embeddings\.LayerNorm)\./, "emb_ln."],
  [/\.self_attn\.o_proj\./, ".attn.out_proj."],
  [/\.self_attn\.([qkv]_proj)\./, ".attn.$1."],
  [/\.mlp\.up_proj\./, ".mlp.fc11."],
  [/\.mlp\.gate_proj\./, ".mlp.fc12."],
  [/\.mlp\.down_proj\./, ".mlp.fc2."],
  [/\.post_attention_layernorm\./, ".norm1."],
  [/\.post_mlp_layernorm\./, ".norm2."],
  [/\.transform\.(layer_norm|layernorm)\./, ".transform.LayerNorm."],
];

/** A tensor's name in the authors' spelling; heads as BERT spells them. */
export function nomicTensorName(stored: string): string {
  return tensorNames.reduce((name, [pattern, own]) => name.replace(pattern, own), stored);
}
