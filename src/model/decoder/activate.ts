/** Activations of the feed-forward. */
import { gelu, geluTanh, relu, silu, type Tensor } from "../../tensor/index.ts";
import type { DecoderConfig } from "./config.ts";

/** The activation of this name, element by element. */
export function activate(name: DecoderConfig["activation"], x: Tensor): Tensor {
  switch (name) {
    case "silu":
      return silu(x);
    case "gelu":
      return gelu(x);
    case "gelu-tanh":
      return geluTanh(x);
    case "relu":
      return relu(x);
  }
}
