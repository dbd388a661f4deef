/** Reads and checks fields of a `config.json`. */
import { JetonError } from "../../core/index.ts";
import { type Activation, activationNames, activationOf } from "../layers/activation.ts";

/** Keys and values of a JSON object. */
export type Fields = Readonly<Record<string, unknown>>;

/** Whether a key has a value: explicit nulls mean "none". */
export function given(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** The error for a value of the wrong kind. */
export function invalid(name: string, value: unknown, expected: string): JetonError {
  return new JetonError(`config.json: ${name} is ${JSON.stringify(value)}, expected ${expected}`, {
    code: "model-config-invalid",
    details: { name, value, expected },
  });
}

/** @throws JetonError `model-config-invalid` where the value is no positive number that `check` takes */
export function positive(fields: Fields, name: string, check: (value: unknown) => boolean): number {
  const value = fields[name];
  if (typeof value !== "number" || !check(value) || value <= 0) {
    throw invalid(name, value, "a positive number");
  }
  // Sizes beyond this cannot belong to a real checkpoint and would only exhaust memory.
  if (value > 2 ** 31) throw invalid(name, value, "a number below 2^31");
  return value;
}

/**
 * A field that is true or false; what it is where the file has none, or null.
 *
 * @throws JetonError `model-config-invalid` for other values, which would read as false
 */
export function flag(fields: Fields, name: string, absent = false): boolean {
  const value = fields[name];
  if (!given(value)) return absent;
  if (typeof value !== "boolean") throw invalid(name, value, "true or false");
  return value;
}

/** No model has more layers; describing those of a hostile file would only exhaust memory. */
const maxLayers = 10_000;

/** @throws JetonError `model-config-invalid` for more layers than any model has */
export function checkLayers(count: number): void {
  if (count > maxLayers) throw invalid("num_hidden_layers", count, `at most ${maxLayers}`);
}

/** The activation that a key names. @throws JetonError `model-config-invalid` */
export function readActivation(key: string, name: unknown): Activation {
  const activation = activationOf(name);
  if (activation) return activation;
  throw invalid(key, name, `one of ${activationNames.join(", ")}`);
}

/** Whether a value is a JSON object. */
export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
