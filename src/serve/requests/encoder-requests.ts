/**
 * Bodies of `POST /v1/embeddings` (OpenAI's) and `POST /v1/rerank` (Jina's, as vLLM and llama.cpp share it, and TEI's).
 */
import { z } from "zod";
import { unsupportedParameter } from "../middleware/errors.ts";
import { type CheckedRequest, checkBody, type Equal, type Expect } from "./request-schema.ts";
import { tokenId } from "./sampling-fields.ts";

const embeddingsSchema = z.object({
  input: z.union(
    [
      z.string(),
      z.array(z.string()).min(1),
      z.array(tokenId).min(1),
      z.array(z.array(tokenId).min(1)).min(1),
    ],
    { error: "expected a text, token ids, or a list of at least one of either" },
  ),
  model: z.string().nullish(),
  encoding_format: z.enum(["float", "base64"]).nullish(),
  dimensions: z.number().int().min(1).nullish(),
  user: z.string().nullish(),
});

/** A checked body of `POST /v1/embeddings`. */
export interface EmbeddingsRequest {
  input: string | string[] | number[] | number[][];
  model?: string | null | undefined;
  encoding_format?: "float" | "base64" | null | undefined;
  dimensions?: number | null | undefined;
  user?: string | null | undefined;
}

const rerankSchema = z.object({
  query: z.string(),
  documents: z
    .array(
      z.union([z.string(), z.object({ text: z.string() })], {
        error: "expected a text, or an object with a text",
      }),
    )
    .min(1),
  model: z.string().nullish(),
  top_n: z.number().int().min(1).nullish(),
  return_documents: z.boolean().nullish(),
});

const isCut = "expected true: texts are always cut to what the model takes";
const teiRerankSchema = rerankSchema.omit({ documents: true, return_documents: true }).extend({
  texts: z.array(z.string()).min(1),
  return_text: z.boolean().nullish(),
  raw_scores: z.boolean().nullish(),
  truncate: z.literal(true, { error: isCut }).nullish(),
  truncation_direction: z
    .enum(["Right", "right"], { error: "expected Right: texts are cut at their end" })
    .nullish(),
});

/** A checked body of `POST /v1/rerank`. */
export interface RerankRequest {
  query: string;
  documents: (string | { text: string })[];
  model?: string | null | undefined;
  top_n?: number | null | undefined;
  return_documents?: boolean | null | undefined;
}

/** A checked body of `POST /v1/rerank` in the form of text-embeddings-inference, which has `texts`. */
export interface TeiRerankRequest {
  query: string;
  texts: string[];
  model?: string | null | undefined;
  top_n?: number | null | undefined;
  return_text?: boolean | null | undefined;
  raw_scores?: boolean | null | undefined;
  truncate?: true | null | undefined;
  truncation_direction?: "Right" | "right" | null | undefined;
}

type _EmbeddingsMatches = Expect<Equal<z.infer<typeof embeddingsSchema>, EmbeddingsRequest>>;
type _RerankMatches = Expect<Equal<z.infer<typeof rerankSchema>, RerankRequest>>;
type _TeiRerankMatches = Expect<Equal<z.infer<typeof teiRerankSchema>, TeiRerankRequest>>;

/** Checks a body of `POST /v1/embeddings`. @throws ApiError 400 that names the parameter. */
export function readEmbeddingsRequest(body: unknown): CheckedRequest<EmbeddingsRequest> {
  return checkBody("embeddings", embeddingsSchema, body);
}

/**
 * Checks a body of `POST /v1/rerank`. One with `texts` has TEI's form, in which unknown fields are refused: its
 * answer is a list and has no place for warnings.
 *
 * @throws ApiError 400
 */
export function readRerankRequest(
  body: unknown,
): CheckedRequest<RerankRequest> | CheckedRequest<TeiRerankRequest> {
  const isTei = typeof body === "object" && body !== null && "texts" in body;
  if (!isTei || "documents" in body) {
    return checkBody("rerank", rerankSchema, body, { documents: ["text"] });
  }
  const checked = checkBody("rerank", teiRerankSchema, body);
  const name = checked.warnings[0]?.param;
  if (typeof name !== "string") return checked;
  throw unsupportedParameter(name, `'${name}' is not a parameter of this endpoint with 'texts'.`);
}
