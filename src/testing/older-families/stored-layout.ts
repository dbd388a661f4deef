/**
 * How checkpoints of the older families store what the reference decoder reads: their own names, and GPT-2's matrices
 * transposed (transformers' `Conv1D`). Written from `modeling_gpt2.py`, `modeling_gpt_neo.py` and `modeling_gpt_neox.py`.
 */
import { JetonError } from "../../core/index.ts";
import type { ReferenceTensor, ReferenceTensors } from "../reference-checkpoint.ts";

/** Parts of names, in the order in which they are replaced. */
type Replacements = readonly (readonly [reference: string, stored: string])[];

const names: Readonly<Record<string, Replacements>> = {
  gpt2: [
    ["model.embed_tokens.", "transformer.wte."],
    ["model.embed_positions.", "transformer.wpe."],
    ["model.norm.", "transformer.ln_f."],
    ["model.layers.", "transformer.h."],
    [".input_layernorm.", ".ln_1."],
    [".post_attention_layernorm.", ".ln_2."],
    [".self_attn.qkv_proj.", ".attn.c_attn."],
    [".self_attn.o_proj.", ".attn.c_proj."],
    [".mlp.up_proj.", ".mlp.c_fc."],
    [".mlp.down_proj.", ".mlp.c_proj."],
  ],
  gpt_neo: [
    ["model.embed_tokens.", "transformer.wte."],
    ["model.embed_positions.", "transformer.wpe."],
    ["model.norm.", "transformer.ln_f."],
    ["model.layers.", "transformer.h."],
    [".input_layernorm.", ".ln_1."],
    [".post_attention_layernorm.", ".ln_2."],
    [".self_attn.o_proj.", ".attn.attention.out_proj."],
    [".self_attn.", ".attn.attention."],
    [".mlp.up_proj.", ".mlp.c_fc."],
    [".mlp.down_proj.", ".mlp.c_proj."],
  ],
  gpt_neox: [
    ["model.embed_tokens.", "gpt_neox.embed_in."],
    ["model.norm.", "gpt_neox.final_layer_norm."],
    ["model.layers.", "gpt_neox.layers."],
    [".self_attn.qkv_proj.", ".attention.query_key_value."],
    [".self_attn.o_proj.", ".attention.dense."],
    [".mlp.up_proj.", ".mlp.dense_h_to_4h."],
    [".mlp.down_proj.", ".mlp.dense_4h_to_h."],
    ["lm_head.", "embed_out."],
  ],
};

/** Tensors as a checkpoint of the family stores them. */
export function toStoredLayout(family: string, tensors: ReferenceTensors): ReferenceTensors {
  const replacements = names[family];
  if (replacements === undefined) return tensors;
  const stored = new Map<string, ReferenceTensor>();
  for (const [name, tensor] of tensors) {
    const own = replacements.reduce((text, [from, to]) => text.replace(from, to), name);
    stored.set(own, isTurned(family, own) ? transpose(tensor) : tensor);
  }
  return stored;
}

/** Tensors of a checkpoint as the reference decoder reads them. */
export function fromStoredLayout(family: string, stored: ReferenceTensors): ReferenceTensors {
  const replacements = names[family];
  if (replacements === undefined) return stored;
  const tensors = new Map<string, ReferenceTensor>();
  for (const [name, tensor] of stored) {
    const own = replacements.reduce((text, [to, from]) => text.replace(from, to), name);
    tensors.set(own, isTurned(family, name) ? transpose(tensor) : tensor);
  }
  return tensors;
}

function isTurned(family: string, stored: string): boolean {
  return family === "gpt2" && /\.c_(attn|proj|fc)\.weight$/.test(stored);
}

function transpose({ shape, data }: ReferenceTensor): ReferenceTensor {
  const [rows, columns] = shape;
  if (rows === undefined || columns === undefined || shape.length !== 2) {
    throw new JetonError(`a tensor of shape [${shape}] has no transpose`, {
      code: "reference-tensor",
      details: { shape },
    });
  }
  const turned = new Float64Array(data.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      turned[column * rows + row] = data[row * columns + column]!;
    }
  }
  return { shape: [columns, rows], data: turned };
}
