/** What stands beside exported weights: the completed configuration and the model card. */

import { basename } from "node:path";
import type { ModelConfig } from "../../checkpoint/index.ts";
import { formatCount } from "../../core/index.ts";
import type { Architecture } from "../architectures.ts";
import { describeCorpusName } from "../data/corpus-files.ts";
import type { TokenStore } from "../data/token-store.ts";
import type { TrainedLanguageModel, TrainLanguageModelOptions } from "../language-model-options.ts";
import type { Settings } from "./run-settings.ts";

const architectures: Readonly<Record<string, string>> = {
  llama: "LlamaForCausalLM",
  mistral: "MistralForCausalLM",
  qwen2: "Qwen2ForCausalLM",
  qwen3: "Qwen3ForCausalLM",
  smollm3: "SmolLM3ForCausalLM",
  phi3: "Phi3ForCausalLM",
  olmo: "OlmoForCausalLM",
  olmo2: "Olmo2ForCausalLM",
  olmo3: "Olmo3ForCausalLM",
  gpt2: "GPT2LMHeadModel",
  gpt_neo: "GPTNeoForCausalLM",
  gpt_neox: "GPTNeoXForCausalLM",
  granite: "GraniteForCausalLM",
  gemma: "GemmaForCausalLM",
  gemma2: "Gemma2ForCausalLM",
  gemma3_text: "Gemma3ForCausalLM",
};

/** Other tools ask for the name of a class, and for the tying of embeddings to be said. */
export function completeConfig(
  file: ModelConfig,
  architecture: Pick<Architecture, "family" | "className" | "tieWordEmbeddings">,
): ModelConfig {
  const className = architecture.className ?? architectures[architecture.family];
  return {
    ...(className !== undefined && { architectures: [className] }),
    ...file,
    tie_word_embeddings: architecture.tieWordEmbeddings,
  } as ModelConfig;
}

interface Use {
  readonly kind: string;
  readonly language: "sh" | "ts";
  readonly use: string;
}

const decoder: Use = {
  kind: "A decoder-only language model",
  language: "sh",
  use: 'jeton run --model <this folder> "Once upon a time"',
};

const encoder: Use = {
  kind: "An encoder",
  language: "sh",
  use: 'jeton fill --model <this folder> "The [MASK] is dead."',
};

/** What a model is and how it is used, by what its loss is a mean over. */
const uses: Readonly<Record<Architecture["lossUnit"], Use>> = {
  token: decoder,
  byte: decoder,
  "masked token": encoder,
  "hidden byte": {
    kind: "An encoder-decoder over bytes",
    language: "sh",
    use: 'jeton run --model <this folder> "The king"',
  },
  "masked word": {
    kind: "An encoder over words",
    language: "ts",
    use: 'await loadByte2Word("<this folder>"); // jeton/model',
  },
};

/** Title of a run: its folder's name unless it has one. */
export function runName(options: Pick<TrainLanguageModelOptions, "name" | "folder">): string {
  return options.name ?? basename(options.folder);
}

export function modelCard(
  result: TrainedLanguageModel,
  {
    options,
    settings,
    stores,
    architecture,
  }: {
    readonly options: TrainLanguageModelOptions;
    readonly settings: Settings;
    readonly stores: readonly TokenStore[];
    readonly architecture: Pick<Architecture, "lossUnit">;
  },
): string {
  const data = stores.map(({ tokens, documents, bytes }, index) => {
    const files = options.corpora[index]!.files.map(describeCorpusName).join(", ");
    return `- ${files}: ${documents} ${documents === 1 ? "document" : "documents"}, ${bytes} bytes, ${tokens} tokens`;
  });
  const { heldOutLoss, heldOutBitsPerByte } = result;
  const { averageDecay, frozen } = settings;
  const origin = [
    ...(options.initialWeights === undefined
      ? []
      : [`- began with the weights of ${describeCorpusName(options.initialWeights)}`]),
    ...(frozen.length === 0 ? [] : [`- left as they were: \`${frozen.join("`, `")}\``]),
    ...(averageDecay === undefined
      ? []
      : [`- these are exponential moving averages of the weights, decay ${averageDecay}`]),
  ];
  const { lossUnit: unit } = architecture;
  const { kind, language, use } = uses[unit];
  const held =
    heldOutLoss === undefined
      ? []
      : [
          `- loss on held-out text (${options.heldOut!.files.map(describeCorpusName).join(", ")}): ${heldOutLoss.toFixed(4)} nats a ${unit}${heldOutBitsPerByte === undefined ? "" : `, ${heldOutBitsPerByte.toFixed(4)} bits per byte`}`,
        ];
  return [
    `# ${runName(options)}`,
    "",
    `${kind} (${settings.config.model_type}) of ${formatCount(result.parameters)} parameters, trained with jeton.`,
    "",
    "## Data",
    "",
    ...data,
    "",
    "## Training",
    "",
    `- ${result.steps} steps of ${settings.batch} sequences of ${settings.sequenceLength} tokens, ${formatCount(result.tokens)} tokens in all, seed ${settings.seed}`,
    `- schedule: \`${JSON.stringify(settings.schedule)}\``,
    `- optimizer: \`${JSON.stringify(settings.optimizer)}\``,
    ...origin,
    `- loss over the last steps: ${result.loss.toFixed(4)} nats a ${unit}`,
    ...held,
    "",
    "## Use",
    "",
    `\`\`\`${language}`,
    use,
    "```",
    "",
  ].join("\n");
}
