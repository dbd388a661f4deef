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
  | "relu-squared"
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
  relu2: "relu-squared",
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

/** Classes of torch by the last part of their name. */
const torchClasses: Readonly<Record<string, Activation>> = {
  Identity: "identity",
  Tanh: "tanh",
  ReLU: "relu",
  GELU: "gelu",
  SiLU: "silu",
  Sigmoid: "sigmoid",
};

/** Last parts of torch's names of classes that `torchActivationOf` knows. */
export const torchActivationNames: readonly string[] = Object.keys(torchClasses);

/** The activation of a class of torch, as `torch.nn.modules.activation.Tanh`; undefined for an unknown name. */
export function torchActivationOf(name: unknown): Activation | undefined {
  const last = typeof name === "string" ? name.split(".").at(-1)! : "";
  return Object.hasOwn(torchClasses, last) ? torchClasses[last] : activationOf(last.toLowerCase());
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
    case "relu-squared": {
      const positive = relu(x);
      return multiply(positive, positive);
    }
    case "tanh":
      return tanh(x);
    case "sigmoid":
      return sigmoid(x);
    case "identity":
      return x;
  }
}
