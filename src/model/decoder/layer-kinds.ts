/** Which layers of a family attend within a window, and which rotate. */
import { type Fields, flag, invalid } from "./config-fields.ts";

/** Whether positions are rows of a table, and nothing is rotated. */
export function hasLearnedPositions(family: string): boolean {
  return family === "gpt2" || family === "gpt_neo";
}

/** Whether a layer rotates. SmolLM3 lists a 1 under `no_rope_layers` for one that does. */
export function rotatesLayer(family: string, fields: Fields, index: number): boolean {
  if (hasLearnedPositions(family)) return false;
  if (family !== "smollm3") return true;
  const listed = fields["no_rope_layers"];
  if (Array.isArray(listed)) return Boolean(listed[index]);
  return (index + 1) % Number(fields["no_rope_layer_interval"]) !== 0;
}

/** Attention of each layer: `layer_types` where the family reads it, else the family's own rule. */
export function layerKinds(family: string, fields: Fields, layers: number): ("full" | "sliding")[] {
  const window = fields["sliding_window"];
  const optsIn = ["qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "smollm3"].includes(family);
  const allowed =
    typeof window === "number" &&
    !family.startsWith("granite") &&
    !["llama", "olmo2", "olmoe", "openmoe", "gemma", "gpt2", "gpt_neox", "olmo"].includes(family) &&
    (!optsIn || flag(fields, "use_sliding_window"));
  const types = fields["layer_types"];
  const readsTypes =
    (optsIn && family !== "qwen3_moe") ||
    ["mistral", "gemma2", "gemma3_text", "gpt_oss", "olmo3"].includes(family);
  if (readsTypes && Array.isArray(types)) checkTypes(types, layers);
  const named = family === "gpt_neo" ? neoKinds(fields, layers) : [];
  const slides = (index: number): boolean => {
    if (readsTypes && Array.isArray(types)) return types[index] === "sliding_attention";
    switch (family) {
      case "mistral":
      case "mixtral":
      case "phi3":
      case "phimoe":
      case "qwen3_moe":
        return true;
      // Every second layer below the bound, unlike Qwen2.
      case "qwen2_moe":
        return index % 2 === 0 && index < Number(fields["max_window_layers"]);
      case "gpt_oss":
        return index % 2 === 0;
      case "qwen2":
      case "qwen3":
        return index >= Number(fields["max_window_layers"]);
      case "smollm3":
        return !rotatesLayer(family, fields, index);
      case "gemma2":
        return index % 2 === 0;
      case "olmo3":
        return (index + 1) % 4 !== 0;
      case "gpt_neo":
        return named[index] === "local";
      default: {
        const pattern = fields["_sliding_window_pattern"] ?? fields["sliding_window_pattern"];
        return (index + 1) % Number(pattern) !== 0;
      }
    }
  };
  // Kinds that also choose the rotation hold even where no window is set.
  const matters = allowed || family === "gemma3_text" || family === "olmo3";
  return Array.from({ length: layers }, (_, index) =>
    matters && slides(index) ? "sliding" : "full",
  );
}

/** GPT-Neo's `attention_types`: lists of kinds, each with how often it is repeated. */
function neoKinds(fields: Fields, layers: number): unknown[] {
  const types = fields["attention_types"] ?? [[["global", "local"], 12]];
  const expected = `[kinds, times] pairs for ${layers} layers, kinds "global" or "local"`;
  const isPair = (item: unknown): item is [unknown[], number] =>
    Array.isArray(item) && Array.isArray(item[0]) && Number.isSafeInteger(item[1]);
  if (!Array.isArray(types) || !types.every(isPair)) {
    throw invalid("attention_types", types, expected);
  }
  const named: unknown[] = [];
  for (const [kinds, times] of types) {
    for (let at = 0; at < times && named.length <= layers; at++) named.push(...kinds);
  }
  const isKnown = named.every((kind) => kind === "global" || kind === "local");
  if (named.length !== layers || !isKnown) throw invalid("attention_types", types, expected);
  return named;
}

/** Kinds of attention that `layer_types` may name. */
const typeNames: readonly unknown[] = ["full_attention", "sliding_attention"];

function checkTypes(types: readonly unknown[], layers: number): void {
  if (types.length < layers) {
    throw invalid("layer_types", types, `one entry for each of the ${layers} layers`);
  }
  const other = types.findIndex((type) => !typeNames.includes(type));
  if (other < 0) return;
  throw invalid(`layer_types[${other}]`, types[other], `one of ${typeNames.join(", ")}`);
}
