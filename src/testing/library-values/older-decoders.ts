/** Older decoders. */
import type { LibraryValues } from "./library-values.ts";

export const libraryOlderDecoders: readonly LibraryValues[] = [
  {
    what: "GPT-2: scores divided by the layer too, a width of its own, a head of its own, masks beside the weights",
    config: {
      model_type: "gpt2",
      vocab_size: 61,
      n_embd: 45,
      n_head: 5,
      n_layer: 3,
      n_positions: 32,
      n_inner: 50,
      activation_function: "gelu_new",
      layer_norm_epsilon: 0.001,
      scale_attn_by_inverse_layer_idx: true,
      reorder_and_upcast_attn: true,
      tie_word_embeddings: false,
    },
    masks: [
      ["transformer.h.0.attn.bias", [1, 1, 32, 32]],
      ["transformer.h.0.attn.masked_bias", [1]],
      ["transformer.h.1.attn.bias", [1, 1, 32, 32]],
    ],
    middle: [1.8273, 0.35549, -0.12296, -1.52408, -0.68856, 0.23553],
    last: [-0.08952, 1.29406, 1.56257, -1.09653, -0.09017, 0.19483],
    greedy: [54, 12, 54, 20, 52, 12, 31, 58],
  },
  {
    what: "GPT-2: scores as they are, tied, exact gelu",
    config: {
      model_type: "gpt2",
      vocab_size: 61,
      n_embd: 24,
      n_head: 3,
      n_layer: 2,
      n_positions: 28,
      activation_function: "gelu",
      scale_attn_weights: false,
    },
    middle: [-1.0289, 7.75681, -5.45717, 3.00689, 4.42785, 3.88892],
    last: [-2.40308, 5.19125, -3.98284, -0.90916, 1.01558, 7.22037],
    greedy: [57, 33, 37, 37],
  },
];
