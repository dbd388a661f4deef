/**
 * `POST /tokenize` and `POST /detokenize`: text ⇄ ids as the model sees them.
 */
import { readJson, type ServeContext, type ServeRequest } from "./context.ts";
import { readDetokenizeRequest, readTokenizeRequest } from "./schemas.ts";

/** Answers `{ ids, tokens, offsets, count }`; offsets are `[start, end)` in UTF-16 code units. */
export async function answerTokenize(
  { model }: ServeContext,
  request: ServeRequest,
): Promise<Response> {
  const body = readTokenizeRequest(await readJson(request));
  const { ids, tokens, offsets } = model.tokenizer.encode(body.text, {
    addSpecialTokens: body.add_special_tokens ?? true,
  });
  return request.json({ ids: [...ids], tokens, offsets, count: ids.length });
}

/** Answers `{ text }`; special tokens are left out unless `skip_special_tokens` is false. */
export async function answerDetokenize(
  { model }: ServeContext,
  request: ServeRequest,
): Promise<Response> {
  const body = readDetokenizeRequest(await readJson(request));
  const text = model.tokenizer.decode(body.ids, {
    skipSpecialTokens: body.skip_special_tokens ?? true,
  });
  return request.json({ text });
}
