/** Reads the fields of a `config.json` as the config classes of transformers take them. */
import { JetonError } from "../core/index.ts";
import type { ReferenceConfig } from "./reference-checkpoint.ts";
import type {
  ReferenceActivation,
  ReferenceLayerPlan,
  ReferenceRopePlan,
} from "./reference-plan.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Names of activations in `activations.py`: ACT2FN. */
const activations: Readonly<Record<string, ReferenceActivation>> = {
  silu: "silu",
  swish: "silu",
  gelu: "gelu",
  gelu_pytorch_tanh: "gelu-tanh",
  gelu_new: "gelu-tanh",
  relu: "relu",
};

export interface RopeDefaults {
  readonly theta: number;
  readonly rotaryDim: number;
  /** Default of `max_position_embeddings`. */
  readonly maxPositions: number;
  /** Default of the attribute `original_max_position_embeddings`, where the class has one. */
  readonly originalPositions?: number;
  /** The scaling where the file says nothing about the rotation. */
  readonly scaling?: Fields;
  /** Rope types under other names. */
  readonly renamed?: Readonly<Record<string, string>>;
}

export interface RopeDefaultsByType {
  readonly rotaryDim: number;
  readonly maxPositions: number;
  /** By layer type: the key of its theta beside the dictionaries, its default, and whether it is scaled. */
  readonly [layerType: `${string}_attention`]: {
    readonly key: string;
    readonly theta: number;
    readonly scaled: boolean;
  };
}

/** One config; every method takes what a key means where the file leaves it out. */
export class ConfigReader {
  readonly #fields: Fields;

  constructor(config: ReferenceConfig) {
    this.#fields = config;
  }

  /** @param whenNull what an explicit null means; default: it is an error */
  number(name: string, whenAbsent: number, whenNull?: number): number {
    const value = this.#fields[name];
    if (value === undefined) return whenAbsent;
    if (value === null && whenNull !== undefined) return whenNull;
    if (typeof value === "number") return value;
    throw wrong(name, value, "a number");
  }

  /** A number, or null for none. */
  optional(name: string, whenAbsent: number | null): number | null {
    const value = this.#fields[name];
    if (value === undefined) return whenAbsent;
    if (value === null) return null;
    return this.number(name, 0);
  }

  /** `optional` where a flag (default false) is set, otherwise none. */
  optionalIf(flag: string, name: string, whenAbsent: number | null): number | null {
    if (this.flag(flag, false)) return this.optional(name, whenAbsent);
    return null;
  }

  flag(name: string, whenAbsent: boolean): boolean {
    const value = this.#fields[name] ?? whenAbsent;
    if (typeof value === "boolean") return value;
    throw wrong(name, value, "true or false");
  }

  activation(
    name: string,
    whenAbsent: string,
    renamed: Readonly<Record<string, string>> = {},
  ): ReferenceActivation {
    const value = String(this.#fields[name] ?? whenAbsent);
    const activation = activations[renamed[value] ?? value];
    if (activation === undefined) throw wrong(name, value, Object.keys(activations).join(", "));
    return activation;
  }

  /** One plan for each layer; `name` is the field that counts them. */
  layers(
    whenAbsent: number,
    plan: (index: number) => ReferenceLayerPlan,
    name = "num_hidden_layers",
  ): readonly ReferenceLayerPlan[] {
    const length = this.number(name, whenAbsent);
    return Array.from({ length }, (_, index) => plan(index));
  }

  /** An entry of a list per layer. */
  list<T>(name: string, whenAbsent: (index: number) => T): (index: number) => T {
    const given = this.#fields[name];
    if (given === undefined || given === null) return whenAbsent;
    return (index) => {
      const value = (given as T[])[index];
      if (value === undefined) throw wrong(name, given, `an entry for layer ${index}`);
      return value;
    };
  }

  /** GPTNeoConfig.expand_attention_types_params: lists of names, each so many times. */
  repeated(name: string, whenAbsent: readonly (readonly [readonly string[], number])[]): string[] {
    const given = (this.#fields[name] ?? whenAbsent) as typeof whenAbsent;
    return given.flatMap(([names, times]) => Array.from({ length: times }, () => names).flat());
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined;
  }

  /** A list of numbers; none where it is left out. */
  numbers(name: string): readonly number[] {
    return (this.#fields[name] ?? []) as number[];
  }

  layerTypes(whenAbsent: (index: number) => string): (index: number) => string {
    return this.list("layer_types", whenAbsent);
  }

  /** A number of the rope dictionary, else of the config. */
  ropeNumber(name: string, whenAbsent: number): number {
    return Number(this.#ropeDictionary()[name] ?? this.#fields[name] ?? whenAbsent);
  }

  /** RotaryEmbeddingConfigMixin: convert_rope_params_to_dict, standardize_rope_params. */
  rope(defaults: RopeDefaults): ReferenceRopePlan {
    const said = this.#fields["rope_scaling"] ?? this.#fields["rope_parameters"];
    const isSaid = said !== undefined && said !== null;
    const dictionary = isSaid ? this.#ropeDictionary() : (defaults.scaling ?? {});
    return this.#ropePlan(dictionary, this.#fields["rope_theta"], defaults);
  }

  /** Gemma3TextConfig.convert_rope_params_to_dict: a dictionary for each layer type. */
  ropesByType(defaults: RopeDefaultsByType): (layerType: string) => ReferenceRopePlan {
    const { rotaryDim, maxPositions } = defaults;
    const given = fieldsOf(this.#fields["rope_parameters"]);
    const scaling = fieldsOf(this.#fields["rope_scaling"]);
    return (layerType) => {
      const { key, theta, scaled } = defaults[layerType as `${string}_attention`]!;
      const own = { ...fieldsOf(given[layerType]), ...(scaled && scaling) };
      return this.#ropePlan(own, this.#fields[key], { theta, rotaryDim, maxPositions });
    };
  }

  #ropeDictionary(): Fields {
    const scaling = fieldsOf(this.#fields["rope_scaling"]);
    if (Object.keys(scaling).length > 0) return scaling;
    return fieldsOf(this.#fields["rope_parameters"]);
  }

  #ropePlan(scaling: Fields, theta: unknown, defaults: RopeDefaults): ReferenceRopePlan {
    const maxPositionEmbeddings = this.number("max_position_embeddings", defaults.maxPositions);
    const type = String(scaling["rope_type"] ?? scaling["type"] ?? "default");
    const original =
      this.#fields["original_max_position_embeddings"] ??
      defaults.originalPositions ??
      scaling["original_max_position_embeddings"] ??
      maxPositionEmbeddings;
    return {
      type: defaults.renamed?.[type] ?? type,
      theta: Number(scaling["rope_theta"] ?? theta ?? defaults.theta),
      rotaryDim: defaults.rotaryDim,
      maxPositionEmbeddings,
      originalMaxPositionEmbeddings: Number(original),
      scaling,
    };
  }
}

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

function wrong(name: string, value: unknown, expected: string): JetonError {
  return new JetonError(`${name} is ${JSON.stringify(value)}, expected ${expected}`, {
    code: "reference-config",
    details: { name, value },
  });
}
