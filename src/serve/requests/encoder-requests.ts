/**
 * Bodies of `POST /v1/embeddings` (OpenAI's) and `POST /v1/rerank` (as TEI, vLLM and llama.cpp share it).
 */
import { z } from "zod";
import {
  type CheckedRequest,
  checkBody,
  type Equal,
  type Expect,
  renameField,
} from "./request-schema.ts";
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

/** A checked body of `POST /v1/rerank`. */
export interface RerankRequest {
  query: string;
  documents: (string | { text: string })[];
  model?: string | null | undefined;
  top_n?: number | null | undefined;
  return_documents?: boolean | null | undefined;
}

type _EmbeddingsMatches = Expect<Equal<z.infer<typeof embeddingsSchema>, EmbeddingsRequest>>;
type _RerankMatches = Expect<Equal<z.infer<typeof rerankSchema>, RerankRequest>>;

/** Checks a body of `POST /v1/embeddings`. @throws ApiError 400 that names the parameter. */
export function readEmbeddingsRequest(body: unknown): CheckedRequest<EmbeddingsRequest> {
  return checkBody("embeddings", embeddingsSchema, body);
}

/** Checks a body of `POST /v1/rerank`; `texts` is TEI's name of `documents`. @throws ApiError 400. */
export function readRerankRequest(body: unknown): CheckedRequest<RerankRequest> {
  return checkBody("rerank", rerankSchema, renameField(body, "documents", ["texts"]));
}
