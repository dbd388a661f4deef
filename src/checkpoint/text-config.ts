/**
 * The configuration of a checkpoint as a value, apart from the file that it is read from: browsers
 * need the one without the other.
 */
import { isJsonObject, type JsonObject } from "./json.ts";

/** `config.json` of a checkpoint: the fields that every family shares, and all others as they are. */
export interface ModelConfig extends JsonObject {
  /** Class names, e.g. `["LlamaForCausalLM"]`. */
  architectures?: string[];
  /** Family, e.g. `"llama"`. */
  model_type?: string;
}

/** Names under which models of several modalities keep the configuration of their text model. */
export const textConfigKeys = ["text_config", "language_config", "llm_config"] as const;

/**
 * The configuration of the text model: models of several modalities nest it in `text_config`, whose
 * fields then hold before those around it. A configuration without one is returned as it is.
 */
export function textConfig(config: ModelConfig): ModelConfig {
  for (const key of textConfigKeys) {
    const nested = config[key];
    if (!isJsonObject(nested)) continue;
    const { [key]: _, ...outer } = config;
    return { ...outer, ...nested } as ModelConfig;
  }
  return config;
}
