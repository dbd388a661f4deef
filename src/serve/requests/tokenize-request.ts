/**
 * Bodies of `POST /tokenize` and `POST /detokenize`.
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

const tokenizeSchema = z.object({
  text: z.string(),
  add_special_tokens: z.boolean().nullish(),
});

/** A checked body of `POST /tokenize`. */
export interface TokenizeRequest {
  text: string;
  add_special_tokens?: boolean | null | undefined;
}

const detokenizeSchema = z.object({
  ids: z.array(tokenId),
  skip_special_tokens: z.boolean().nullish(),
});

/** A checked body of `POST /detokenize`. */
export interface DetokenizeRequest {
  ids: number[];
  skip_special_tokens?: boolean | null | undefined;
}

type _TokenizeMatches = Expect<Equal<z.infer<typeof tokenizeSchema>, TokenizeRequest>>;
type _DetokenizeMatches = Expect<Equal<z.infer<typeof detokenizeSchema>, DetokenizeRequest>>;

/** Checks a body of `POST /tokenize`. @throws ApiError 400 that names the parameter. */
export function readTokenizeRequest(body: unknown): CheckedRequest<TokenizeRequest> {
  return checkBody("tokenize", tokenizeSchema, renameField(body, "text", ["prompt", "content"]));
}

/** Checks a body of `POST /detokenize`. @throws ApiError 400 that names the parameter. */
export function readDetokenizeRequest(body: unknown): CheckedRequest<DetokenizeRequest> {
  return checkBody("detokenize", detokenizeSchema, renameField(body, "ids", ["tokens"]));
}
