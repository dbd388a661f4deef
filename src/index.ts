/**
 * jeton: language models, token by token.
 *
 * The front door: open a model, generate, score, tokenize. Everything else is in the modules, e.g.
 * `jeton/tokenizer`, `jeton/generate`.
 *
 * @example
 * import { generate, loadModel } from "jeton";
 *
 * const model = await loadModel(); // the bundled model; or a folder, or owner/name on the hub
 * for await (const token of generate(model, "Once upon a time")) process.stdout.write(token.text);
 * await model.close();
 *
 * @module jeton
 */
export { type Checkpoint, openCheckpoint, resolveModel } from "./checkpoint/index.ts";
export { JetonError, type JetonErrorOptions } from "./core/index.ts";
export { complete, generate, loadModel, loadTokenizer } from "./front.ts";
export {
  type Conversation,
  type Drafter,
  type DrafterChoice,
  type GeneratedToken,
  type GenerateResult,
  type LogitsProcessor,
  type NamedGenerateOptions as GenerateOptions,
  type Prompt,
  type ScoreOptions,
  type ScoreResult,
  score,
} from "./generate/index.ts";
export type { LoadedModel, LoadModelOptions, WeightFormat } from "./model/index.ts";
export { type System, systems } from "./systems.ts";
export {
  type ChatMessage,
  hasChatTemplate,
  renderChat,
  type Tokenizer,
} from "./tokenizer/index.ts";
