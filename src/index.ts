/**
 * jeton: language models, token by token.
 *
 * The front door: open a model, generate, score, tokenize. Everything else is in the modules, e.g.
 * `jeton/tokenizer`, `jeton/generate`.
 *
 * @example
 * import { generate, loadModel } from "jeton";
 *
 * const model = await loadModel("path/to/checkpoint");
 * for await (const token of generate(model, "Once upon a time")) process.stdout.write(token.text);
 * await model.close();
 *
 * @module jeton
 */
export { type Checkpoint, openCheckpoint, resolveModel } from "./checkpoint/index.ts";
export { JetonError, type JetonErrorOptions } from "./core/index.ts";
export {
  complete,
  type GeneratedToken,
  type GenerateOptions,
  type GenerateResult,
  generate,
  type Prompt,
  type ScoreOptions,
  type ScoreResult,
  score,
} from "./generate/index.ts";
export {
  type LoadedModel,
  type LoadModelOptions,
  loadModel,
  type WeightFormat,
} from "./model/index.ts";
export { type System, systems } from "./systems.ts";
export {
  type ChatMessage,
  hasChatTemplate,
  loadTokenizer,
  renderChat,
  type Tokenizer,
} from "./tokenizer/index.ts";
