/**
 * `POST /v1/embeddings` and `POST /v1/rerank`: vectors and relevance from the server's encoder. Texts of all
 * requests that wait share its forward passes.
 */
import { toLengthOne } from "../../model/encoder/tasks/embed.ts";
import { canRerank, embedCounted, type LoadedEncoder, rerankCounted } from "../../model/index.ts";
import { logWarnings, type ServeContext, type ServeRequest } from "../context.ts";
import { ApiError, invalidValue } from "../middleware/errors.ts";
import {
  type EmbeddingsRequest,
  readEmbeddingsRequest,
  readRerankRequest,
} from "../requests/encoder-requests.ts";
import { readJson } from "../requests/json-body.ts";

/** Answers in OpenAI's form. Vectors have length 1. */
export async function answerEmbeddings(
  context: ServeContext,
  request: ServeRequest,
): Promise<Response> {
  const { body, warnings } = readEmbeddingsRequest(await readJson(context, request));
  logWarnings(context, request, warnings);
  const { encoder, name } = encoderOf(context, body.model);
  const { signal } = request.get("request");
  const dimensions = body.dimensions ?? encoder.embeddingSize;
  if (dimensions > encoder.embeddingSize) {
    throw invalidValue(
      "dimensions",
      `The model gives ${encoder.embeddingSize} dimensions, ${dimensions} were asked for.`,
    );
  }
  const { vectors, tokens } = await embedInput(encoder, body.input, dimensions, signal);
  const isText = body.encoding_format === "base64";
  return request.json({
    object: "list",
    data: vectors.map((vector, index) => ({
      object: "embedding",
      index,
      embedding: isText ? toBase64(vector) : [...vector],
    })),
    model: name,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
    ...(warnings.length > 0 && { warnings }),
  });
}

async function embedInput(
  encoder: LoadedEncoder,
  input: EmbeddingsRequest["input"],
  dimensions: number,
  signal: AbortSignal,
): Promise<{ vectors: Float32Array[]; tokens: number }> {
  const list = typeof input === "string" || typeof input[0] === "number" ? [input] : input;
  if (typeof list[0] === "string") {
    const texts = list as string[];
    return embedCounted(encoder, texts, { normalize: true, dimensions, signal });
  }
  const ids = list as number[][];
  const wrong = ids.findIndex((text) => text.some((id) => id >= encoder.config.vocabSize));
  if (wrong >= 0) {
    throw invalidValue(
      `input[${wrong}]`,
      `The model has the tokens 0 to ${encoder.config.vocabSize - 1}.`,
    );
  }
  const vectors = await Promise.all(
    ids.map(async (text) => {
      const results = await encoder.run({ ids: text, outputs: ["embedding"] }, { signal });
      return toLengthOne(results.embedding!.data.slice(0, dimensions));
    }),
  );
  return { vectors, tokens: ids.reduce((sum, { length }) => sum + length, 0) };
}

/** The numbers in little-endian order. */
function toBase64(vector: Float32Array): string {
  const bytes = Buffer.alloc(4 * vector.length);
  for (const [at, value] of vector.entries()) bytes.writeFloatLE(value, 4 * at);
  return bytes.toString("base64");
}

/**
 * Answers `{ results: [{ index, relevance_score }], usage }`, the best first; a request with `texts` gets the list
 * `[{ index, score }]` of text-embeddings-inference.
 */
export async function answerRerank(
  context: ServeContext,
  request: ServeRequest,
): Promise<Response> {
  const { body, warnings } = readRerankRequest(await readJson(context, request));
  logWarnings(context, request, warnings);
  const { encoder, name } = encoderOf(context, body.model);
  if (!canRerank(encoder)) {
    throw new ApiError(
      `The model '${name}' is neither a cross encoder nor a late-interaction model and cannot rerank.`,
      {
        status: 400,
        code: "model_not_supported",
        param: "model",
      },
    );
  }
  const given = "texts" in body ? body.texts : body.documents;
  const documents = given.map((document) =>
    typeof document === "string" ? document : document.text,
  );
  const { ranked, tokens } = await rerankCounted(encoder, body.query, documents, {
    ...(typeof body.top_n === "number" && { topN: body.top_n }),
    signal: request.get("request").signal,
  });
  if ("texts" in body) {
    const list = ranked.map(({ index, score, logit }) => ({
      index,
      score: body.raw_scores ? logit : score,
      ...(body.return_text && { text: documents[index] }),
    }));
    return request.json(list);
  }
  return request.json({
    object: "list",
    model: name,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
    results: ranked.map(({ index, score }) => ({
      index,
      relevance_score: score,
      ...(body.return_documents && { document: { text: documents[index] } }),
    })),
    ...(warnings.length > 0 && { warnings }),
  });
}

/** The server's encoder. @throws ApiError 404 where there is none, or a request names another. */
function encoderOf(
  { encoder, modelName }: ServeContext,
  named: string | null | undefined,
): NonNullable<ServeContext["encoder"]> {
  if (encoder && (named === undefined || named === null || named === encoder.name)) return encoder;
  const has = encoder ? `this server's encoder is '${encoder.name}'` : "this server has no encoder";
  throw new ApiError(
    `The model '${(named ?? modelName).slice(0, 200)}' gives no vectors; ${has}.`,
    {
      status: 404,
      code: "model_not_found",
      param: "model",
    },
  );
}
