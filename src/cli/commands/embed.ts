/** `jeton embed`: texts to vectors. */
import { formatTable } from "../../core/table.ts";
import type { EmbedSparseOptions } from "../../model/encoder/sentence/embed-sparse.ts";
import type { PoolingMode } from "../../model/encoder/sentence/pooling.ts";
import { poolingModes } from "../../model/encoder/sentence/pooling.ts";
import type { LoadedEncoder } from "../../model/encoder/types.ts";
import { type Command, defineCommand, defined, UsageError } from "../command.ts";
import type { CommandContext } from "../context.ts";
import {
  type EmbedDocument,
  type EmbedSparseDocument,
  type EmbedTokensDocument,
  writeJson,
} from "../json-output.ts";
import { encoderOptions, readTexts, withEncoder } from "../options/encoder-options.ts";
import { bundledEncoderName } from "../options/locate.ts";
import { refuseMisplaced } from "../options/misplaced.ts";

export const command: Command = defineCommand({
  name: "embed",
  summary: "vectors of texts, or of their tokens",
  description:
    "Computes one vector for each text with an encoder, by default the bundled one: a folder of sentence-transformers with its " +
    "pooling, modules and prompts, or any BERT-like checkpoint. Without texts, or with -, each line of " +
    "standard input is a text. Prints how alike the texts are (cosine); --json prints the vectors.",
  positionals: [{ name: "text|-", repeatable: true }],
  options: {
    ...encoderOptions,
    pooling: {
      kind: "list",
      value: "MODE",
      help: `${poolingModes.join(", ")}; several are joined; default: the model's own, otherwise mean`,
    },
    normalize: { kind: "flag", help: "give vectors the length 1" },
    prompt: { kind: "text", value: "TEXT", help: "put this before each text" },
    promptName: {
      kind: "text",
      value: "NAME",
      help: "put this prompt of the model before each text",
    },
    dimensions: {
      kind: "integer",
      value: "N",
      min: 1,
      help: "keep the first N numbers (Matryoshka models)",
    },
    maxTokens: {
      kind: "integer",
      short: "n",
      value: "N",
      min: 3,
      help: "cut texts to N tokens; default: what the model takes",
    },
    tokens: { kind: "flag", help: "vectors of tokens, with their places in the text" },
    role: {
      kind: "text",
      value: "ROLE",
      choices: ["query", "document"],
      help: "what the texts are: chooses the model's prompt and length; with --tokens how a late-interaction model (ColBERT) reads them, there by default as documents",
    },
  },
  examples: [
    {
      line: 'jeton embed --model path/to/encoder "The king is dead." "Long live the king!"',
      shows: "how alike the two sentences are",
    },
    {
      line: "jeton embed --model path/to/encoder --normalize --json --file texts.txt",
      shows: "one vector for each line of a file, as JSON",
    },
  ],
  async run(context, values, positionals) {
    if (values.tokens) {
      refuseMisplaced(
        values,
        ["pooling", "normalize", "prompt", "promptName", "dimensions", "maxTokens"],
        "means nothing for --tokens",
      );
    }
    if (values.prompt !== undefined && values.promptName !== undefined) {
      throw new UsageError("option-conflict", "give --prompt or --prompt-name, not both");
    }
    const texts = await readTexts(context, positionals, values.file);
    const { model: name = bundledEncoderName } = values;
    return withEncoder(context, { ...values, model: name }, async (model) => {
      if (values.tokens) return embedTexts(context, model, texts, values.role, values.json);
      if (model.sentence.sparse && values.pooling.length === 0) {
        refuseMisplaced(values, ["normalize", "dimensions"], "means nothing for a sparse model");
        const { prompt, promptName, role, maxTokens: maxLength } = values;
        const options = defined({ prompt, promptName, role, maxLength });
        return embedTerms(context, model, texts, { ...options, json: values.json });
      }
      const { embedCounted } = await import("../../model/encoder/index.ts");
      const { vectors, tokens } = await embedCounted(model, texts, {
        ...defined({
          prompt: values.prompt,
          promptName: values.promptName,
          role: values.role,
          dimensions: values.dimensions,
          maxLength: values.maxTokens,
        }),
        ...(values.pooling.length > 0 && { pooling: values.pooling as readonly PoolingMode[] }),
        normalize: values.normalize,
        signal: context.signal,
      });
      if (values.json) {
        await writeJson<EmbedDocument>(context.stdout, {
          model: model.name,
          format: model.format,
          threads: model.threads,
          tokens,
          size: vectors[0]!.length,
          embeddings: vectors.map((vector) => [...vector]),
        });
        return;
      }
      await context.stdout.write(`${describeVectors(texts, vectors)}\n`);
    });
  },
});

async function embedTerms(
  context: CommandContext,
  model: LoadedEncoder,
  texts: readonly string[],
  { json, ...options }: EmbedSparseOptions & { readonly json: boolean },
): Promise<void> {
  const { embedSparse } = await import("../../model/encoder/index.ts");
  const found = await embedSparse(model, texts, { ...options, signal: context.signal });
  const token = (id: number): string => model.tokenizer.idToToken(id) ?? String(id);
  if (json) {
    await writeJson<EmbedSparseDocument>(context.stdout, {
      model: model.name,
      format: model.format,
      threads: model.threads,
      size: model.config.vocabSize,
      texts: found.map(({ ids, weights }) => ({
        terms: Array.from(ids, (id, at) => ({ id, token: token(id), weight: weights[at]! })),
      })),
    });
    return;
  }
  const rows = found.map(({ ids, weights }, text) => {
    const order = [...ids.keys()].sort((a, b) => weights[b]! - weights[a]!).slice(0, shownTerms);
    const terms = order.map((at) => `${token(ids[at]!)} ${weights[at]!.toFixed(2)}`);
    return [String(text + 1), String(ids.length), terms.join(", ")];
  });
  const columns = [
    { title: "text", align: "right" },
    { title: "tokens", align: "right" },
    { title: "largest weights" },
  ] as const;
  await context.stdout.write(`${formatTable([...columns], rows)}\n`);
}

/** Tokens of the vocabulary that a line shows. */
const shownTerms = 8;

async function embedTexts(
  context: CommandContext,
  model: LoadedEncoder,
  texts: readonly string[],
  role: "query" | "document" | undefined,
  json: boolean,
): Promise<void> {
  const { embedTokens } = await import("../../model/encoder/index.ts");
  const found = await embedTokens(model, texts, {
    ...defined({ role }),
    signal: context.signal,
  });
  if (json) {
    await writeJson<EmbedTokensDocument>(context.stdout, {
      model: model.name,
      format: model.format,
      threads: model.threads,
      size: found[0]!.width,
      texts: found.map(({ ids, spans, vectors, width }) => ({
        tokens: Array.from(ids, (id, row) => ({
          id,
          start: spans[row]![0],
          end: spans[row]![1],
          vector: [...vectors.subarray(row * width, (row + 1) * width)],
        })),
      })),
    });
    return;
  }
  const rows = found.flatMap(({ ids, spans, vectors, width }, text) =>
    Array.from(ids, (id, row) => [
      String(text + 1),
      model.tokenizer.idToToken(id) ?? String(id),
      `${spans[row]![0]}-${spans[row]![1]}`,
      firstNumbers(vectors.subarray(row * width, (row + 1) * width)),
    ]),
  );
  const columns = [
    { title: "text", align: "right" },
    { title: "token" },
    { title: "place" },
    { title: "vector" },
  ] as const;
  await context.stdout.write(`${formatTable([...columns], rows)}\n`);
}

/** Numbers of a vector that a line shows. */
const shownNumbers = 4;

function firstNumbers(vector: Float32Array): string {
  const shown = Array.from(vector.subarray(0, shownNumbers), (value) => value.toFixed(4));
  return vector.length > shownNumbers ? `${shown.join(" ")} … (${vector.length})` : shown.join(" ");
}

function describeVectors(texts: readonly string[], vectors: readonly Float32Array[]): string {
  const rows = texts.map((text, index) => [
    String(index + 1),
    text.length > 40 ? `${text.slice(0, 39)}…` : text,
    firstNumbers(vectors[index]!),
    ...vectors.slice(0, 8).map((other) => cosine(vectors[index]!, other).toFixed(3)),
  ]);
  const likeness = vectors
    .slice(0, 8)
    .map((_, index) => ({ title: `~${index + 1}`, align: "right" as const }));
  return formatTable(
    [{ title: "", align: "right" as const }, { title: "text" }, { title: "vector" }, ...likeness],
    rows,
  );
}

function cosine(a: Float32Array, b: Float32Array): number {
  let [product, squaresA, squaresB] = [0, 0, 0];
  for (const [at, value] of a.entries()) {
    product += value * b[at]!;
    squaresA += value * value;
    squaresB += b[at]! * b[at]!;
  }
  return product / Math.max(Math.sqrt(squaresA * squaresB), 1e-12);
}
