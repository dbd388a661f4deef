/** Texts to vectors: of the whole text, and of its tokens. */
import { JetonError, nextTask } from "../../../core/index.ts";
import { encodeEncoderText, type TextInput } from "../sentence/encode-text.ts";
import { type LateText, prepareLateText } from "../sentence/late-interaction.ts";
import { checkPoolings, type PoolingMode } from "../sentence/pooling.ts";
import { pipelineWidth } from "../sentence/sentence-modules.ts";
import type { LoadedEncoder } from "../types.ts";
import { checkTask } from "./check-task.ts";

/** Options of `embed`. */
export interface EmbedOptions {
  /**
   * How states of tokens become one vector; several are joined in the order of `poolingModes`. Default:
   * what the model's folder says, otherwise `mean`.
   */
  readonly pooling?: PoolingMode | readonly PoolingMode[];
  /** True: vectors of length 1. False: as the model's modules leave them. Default false. */
  readonly normalize?: boolean;
  /** What stands before each text. Default: the model's default prompt, if it has one. */
  readonly prompt?: string;
  /** Name of one of the model's prompts, e.g. `"query"`. */
  readonly promptName?: string;
  /**
   * What the texts are: it chooses the prompt, where neither of the above does, and how long texts may be, where the folder
   * says so. `"query"` takes the prompt of that name, `"document"` that named `document`, `passage` or `corpus`, as
   * the documentation of sentence-transformers says. Default: neither.
   */
  readonly role?: "query" | "document";
  /**
   * Only the first so many numbers of each vector, for models that were trained so (Matryoshka). With
   * `normalize` the shorter vector has length 1. Default: what the model's folder says, otherwise all.
   */
  readonly dimensions?: number;
  /** Texts are cut to this many tokens. Default and upper bound: what the model takes. */
  readonly maxLength?: number;
  readonly signal?: AbortSignal;
  /** Called as texts are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * One vector for each text, of a static model zeros where a text has no tokens. Texts are sorted by length and run in batches; the vectors come in the order
 * of the texts, and none depends on the others.
 *
 * @example
 * const [question, answer] = await embed(model, ["Where is the king?", "In his castle."], { normalize: true });
 *
 * @throws JetonError `model-not-loaded`, `encoder-text-invalid`, `encoder-pooling-unknown`, `encoder-pooling-count`,
 *   `encoder-head-missing` for a model that makes weights of the vocabulary, `encoder-prompt-unknown`, `encoder-dimensions`, `encoder-option-unknown`, `encoder-option-invalid`
 */
export async function embed(
  model: LoadedEncoder,
  texts: readonly string[],
  options: EmbedOptions = {},
): Promise<Float32Array[]> {
  return (await embedCounted(model, texts, options)).vectors;
}

/** Vectors of `embed`, and how many tokens the model read. */
export interface CountedEmbeddings {
  readonly vectors: Float32Array[];
  /** Tokens of all texts, special ones included. */
  readonly tokens: number;
}

/** `embed`, with the number of tokens. */
export async function embedCounted(
  model: LoadedEncoder,
  texts: readonly string[],
  options: EmbedOptions = {},
): Promise<CountedEmbeddings> {
  checkTask("embed", model, texts, options);
  const { pooling, normalize = false, signal, onProgress } = options;
  const poolings =
    pooling === undefined
      ? undefined
      : checkPoolings(typeof pooling === "string" ? [pooling] : pooling);
  if (poolings === undefined && model.sentence.sparse !== undefined) {
    throw new JetonError(
      `${model.name} makes weights of the vocabulary and no vectors: embedSparse gives them; a pooling that is named makes vectors`,
      { code: "encoder-head-missing", details: { output: "embedding" } },
    );
  }
  const prompt = choosePrompt(model, options);
  const size = pipelineWidth(model.sentence, model.config.hiddenSize, poolings?.length);
  checkDimensions(options.dimensions, size);
  const dimensions = options.dimensions ?? Math.min(size, model.sentence.dimensions ?? size);
  const skipped = model.sentence.includePrompt ? 0 : promptLength(model, prompt);
  const cut = { maxLength: options.maxLength, role: options.role };
  let [done, tokens] = [0, 0];
  const embedOne = async (text: string): Promise<Float32Array> => {
    const { length, ...input } = encodeText(model, prompt + text, cut);
    tokens += length;
    const results = await model.run(
      {
        ...input,
        outputs: ["embedding"],
        ...(poolings && { poolings }),
        skipped: Math.max(0, Math.min(skipped, length - 1)),
      },
      { signal },
    );
    onProgress?.(++done, texts.length);
    const vector = results.embedding!.data.slice(0, dimensions);
    return normalize ? toLengthOne(vector) : vector;
  };
  // A static model computes on this thread, and gains nothing by many texts at once.
  const vectors = model.config.static
    ? await oneByOne(texts, embedOne)
    : await Promise.all(texts.map(embedOne));
  return { vectors, tokens };
}

/** Milliseconds in which texts may follow each other in one task: then messages and aborts come in. */
const taskLimit = 8;

async function oneByOne<Item, Result>(
  items: readonly Item[],
  run: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let begun = performance.now();
  for (const item of items) {
    results.push(await run(item));
    if (performance.now() - begun < taskLimit) continue;
    await nextTask();
    begun = performance.now();
  }
  return results;
}

/** Ids and types of a text as the model reads it, cut to its length. */
export function encodeText(
  model: LoadedEncoder,
  text: string,
  {
    maxLength,
    pair,
    role,
    uncut = false,
  }: {
    readonly maxLength?: number | undefined;
    readonly pair?: string;
    readonly role?: EmbedOptions["role"];
    /** All of the text, however much the model reads at once. Default false. */
    readonly uncut?: boolean;
  } = {},
): TextInput {
  const { sentence, tokenizer, contextLength, config } = model;
  const ofRole = (role && sentence.roleLengths?.[role]) ?? sentence.maxLength;
  const limit = Math.min(ofRole, contextLength);
  if (maxLength !== undefined && !(Number.isSafeInteger(maxLength) && maxLength > 2)) {
    throw new JetonError(`maxLength is ${maxLength}, expected a number of tokens above 2`, {
      code: "encoder-option-invalid",
      details: { option: "maxLength", found: maxLength },
    });
  }
  const written = sentence.doLowerCase ? text.toLowerCase() : text;
  const second = pair !== undefined && sentence.doLowerCase ? pair.toLowerCase() : pair;
  const longest = uncut ? undefined : Math.min(maxLength ?? limit, limit);
  const options = { maxLength: longest, pair: second };
  return encodeEncoderText(tokenizer, config, written, options);
}

/** Names of prompts for a role, the first one that a model has. */
const promptNames = { query: ["query"], document: ["document", "passage", "corpus"] } as const;

/** What stands before a text: what is asked for, otherwise the model's default prompt, if it has one. */
export function choosePrompt(
  model: LoadedEncoder,
  { prompt, promptName, role }: Pick<EmbedOptions, "prompt" | "promptName" | "role">,
): string {
  if (prompt !== undefined) return prompt;
  const { prompts, defaultPrompt } = model.sentence;
  const ofRole = role && promptNames[role].find((one) => Object.hasOwn(prompts, one));
  const name = promptName ?? ofRole ?? defaultPrompt;
  if (name === undefined) return "";
  if (Object.hasOwn(prompts, name)) return prompts[name]!;
  const known = Object.keys(prompts);
  throw new JetonError(
    `${model.name} has no prompt ${JSON.stringify(name)}, ${known.length > 0 ? `only ${known.join(", ")}` : "nor any other"}`,
    { code: "encoder-prompt-unknown", details: { name, known } },
  );
}

/** Tokens that a prompt takes in front of a text: those of its template, without the one at its end. */
function promptLength(model: LoadedEncoder, prompt: string): number {
  if (prompt === "") return 0;
  const { ids, length } = encodeText(model, prompt);
  const last = ids[length - 1];
  return last !== undefined && model.tokenizer.isSpecial(last) ? length - 1 : length;
}

function checkDimensions(dimensions: number | undefined, size: number): void {
  if (dimensions === undefined) return;
  if (Number.isSafeInteger(dimensions) && dimensions >= 1 && dimensions <= size) return;
  throw new JetonError(`dimensions is ${dimensions}, expected 1 to ${size}`, {
    code: "encoder-dimensions",
    details: { found: dimensions, size },
  });
}

/** Divides a vector by its length, in place; zeros stay zeros. */
export function toLengthOne(vector: Float32Array): Float32Array {
  let squares = 0;
  for (const value of vector) squares += value * value;
  const length = Math.max(Math.sqrt(squares), 1e-12);
  for (let at = 0; at < vector.length; at++) vector[at] = vector[at]! / length;
  return vector;
}

/** Vectors of a text's tokens. */
export interface TokenVectors {
  /** `[tokens, width]` */
  readonly vectors: Float32Array;
  readonly width: number;
  readonly ids: Int32Array;
  /** `[start, end)` of each token in the text; `[0, 0]` for special tokens and filling. */
  readonly spans: readonly (readonly [number, number])[];
}

/** Options of `embedTokens`. */
export interface EmbedTokensOptions {
  /** How a late-interaction model prepares the texts. Default `"document"`. */
  readonly role?: "query" | "document";
  readonly signal?: AbortSignal;
}

/**
 * One vector for each token of each text, with its place in the text: from a late-interaction model (ColBERT) by its
 * projection, markers and skipped punctuation, and of length 1, but where a folder of sentence-transformers has no module
 * for that; from any other encoder the states of its last layer.
 */
export async function embedTokens(
  model: LoadedEncoder,
  texts: readonly string[],
  options: EmbedTokensOptions = {},
): Promise<TokenVectors[]> {
  return (await embedTokensCounted(model, texts, options)).found;
}

/** `embedTokens`, with the number of tokens that the model read; filling that it does not attend to is none. */
export async function embedTokensCounted(
  model: LoadedEncoder,
  texts: readonly string[],
  options: EmbedTokensOptions = {},
): Promise<{ found: TokenVectors[]; tokens: number }> {
  checkTask("embedTokens", model, texts, options);
  const { role = "document", signal } = options;
  const { lateInteraction } = model.sentence;
  const output = model.sentence.tokenModules ? "vectors" : "states";
  let tokens = 0;
  const found = await Promise.all(
    texts.map(async (text) => {
      const late = lateInteraction
        ? prepareLateText(model.tokenizer, lateInteraction, text, role)
        : everyToken(model, text);
      const { ids, types, attended } = late;
      tokens += attended.reduce((sum, read) => sum + read, 0);
      const results = await model.run({ ids, types, attended, outputs: [output] }, { signal });
      return keepTokens(late, results[output]!);
    }),
  );
  return { found, tokens };
}

function everyToken(model: LoadedEncoder, text: string): LateText {
  const { ids, types, offsets, attended } = encodeText(model, text);
  const all = attended ?? new Uint8Array(ids.length).fill(1);
  return { ids, types, offsets, attended: all, kept: all };
}

function keepTokens(
  { ids, kept, offsets }: LateText,
  { shape, data }: { readonly shape: readonly number[]; readonly data: Float32Array },
): TokenVectors {
  const width = shape.at(-1)!;
  const places = Array.from(ids.keys()).filter((place) => kept[place] === 1);
  const vectors = new Float32Array(places.length * width);
  for (const [row, place] of places.entries()) {
    vectors.set(data.subarray(place * width, (place + 1) * width), row * width);
  }
  return {
    vectors,
    width,
    ids: Int32Array.from(places, (place) => ids[place]!),
    spans: places.map((place) => offsets[place]!),
  };
}
