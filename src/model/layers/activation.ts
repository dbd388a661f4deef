/** Activation functions of feed-forward layers, by the names that configurations use. */
import {
  gelu,
  geluTanh,
  multiply,
  relu,
  sigmoid,
  silu,
  siluGate,
  type Tensor,
  tanh,
} from "../../tensor/index.ts";

/** An activation that layers apply. */
export type Activation =
  | "silu"
  | "gelu"
  | "gelu-tanh"
  | "relu"
  | "tanh"
  | "sigmoid"
  | "quick-gelu"
  | "identity";

const names: Readonly<Record<string, Activation>> = {
  silu: "silu",
  swish: "silu",
  gelu: "gelu",
  gelu_python: "gelu",
  gelu_new: "gelu-tanh",
  gelu_fast: "gelu-tanh",
  gelu_pytorch_tanh: "gelu-tanh",
  gelu_accurate: "gelu-tanh",
  quick_gelu: "quick-gelu",
  relu: "relu",
  tanh: "tanh",
  sigmoid: "sigmoid",
  linear: "identity",
};

/** Names of activations that a `config.json` may use. */
export const activationNames: readonly string[] = Object.keys(names);

/** The activation that a configuration names; undefined for an unknown name. */
export function activationOf(name: unknown): Activation | undefined {
  return typeof name === "string" && Object.hasOwn(names, name) ? names[name] : undefined;
}

/** `x` times an activation of its gate. */
export function gateBy(gate: Tensor, x: Tensor, activation: Activation): Tensor {
  return activation === "silu" ? siluGate(gate, x) : multiply(activate(gate, activation), x);
}

/** Applies an activation. */
export function activate(x: Tensor, activation: Activation): Tensor {
  switch (activation) {
    case "silu":
      return silu(x);
    case "gelu":
      return gelu(x);
    case "gelu-tanh":
      return geluTanh(x);
    case "quick-gelu":
      return multiply(x, sigmoid(multiply(x, 1.702)));
    case "relu":
      return relu(x);
    case "tanh":
      return tanh(x);
    case "sigmoid":
      return sigmoid(x);
    case "identity":
      return x;
  }
}
