/**
 * `POST /tokenize` and `POST /detokenize`: text ⇄ ids as the model sees them.
 */

import { logWarnings, type ServeContext, type ServeRequest } from "../context.ts";
import { invalidValue } from "../middleware/errors.ts";
import { readJson } from "../requests/json-body.ts";
import { readDetokenizeRequest, readTokenizeRequest } from "../requests/tokenize-request.ts";

/** Answers `{ ids, tokens, offsets, count }`; offsets are `[start, end)` in UTF-16 code units. */
export async function answerTokenize(
  context: ServeContext,
  request: ServeRequest,
): Promise<Response> {
  const { body, warnings } = readTokenizeRequest(await readJson(context, request));
  logWarnings(context, request, warnings);
  const { ids, tokens, offsets } = context.model.tokenizer.encode(body.text, {
    addSpecialTokens: body.add_special_tokens ?? true,
    applyLimits: false,
  });
  return request.json({
    ids: [...ids],
    tokens,
    offsets,
    count: ids.length,
    ...(warnings.length > 0 && { warnings }),
  });
}

/** Answers `{ text }`; special tokens are left out unless `skip_special_tokens` is false. */
export async function answerDetokenize(
  context: ServeContext,
  request: ServeRequest,
): Promise<Response> {
  const { body, warnings } = readDetokenizeRequest(await readJson(context, request));
  logWarnings(context, request, warnings);
  const { tokenizer } = context.model;
  const unknown = body.ids.findIndex((id) => tokenizer.idToToken(id) === undefined);
  if (unknown >= 0) {
    throw invalidValue(`ids[${unknown}]`, `The tokenizer has no token ${body.ids[unknown]}.`);
  }
  const text = tokenizer.decode(body.ids, {
    skipSpecialTokens: body.skip_special_tokens ?? true,
  });
  return request.json({ text, ...(warnings.length > 0 && { warnings }) });
}
