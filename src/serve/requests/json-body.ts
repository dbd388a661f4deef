/**
 * Reads the JSON body of a request.
 */
import type { Readable } from "node:stream";
import type { ServeContext, ServeRequest } from "../context.ts";
import { ApiError } from "../middleware/errors.ts";

/**
 * Reads a JSON body.
 *
 * @throws ApiError 415 for another content type, 413 for a body over the limit, 400 for anything but
 *   JSON
 */
export async function readJson(context: ServeContext, request: ServeRequest): Promise<unknown> {
  const type = request.req.header("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  if (!/^application\/(?:[\w.-]+\+)?json$/.test(type)) {
    throw new ApiError("The body must be JSON, with content-type: application/json.", {
      status: 415,
      code: "unsupported_media_type",
    });
  }
  const text = await readText(request, context.maxBodyBytes);
  try {
    return parseJsonBody(text);
  } catch {
    throw new ApiError("The body of the request is not valid JSON.", {
      status: 400,
      code: "invalid_json",
    });
  }
}

/**
 * `JSON.parse`, with one difference: a `seed` of the outermost object that a double cannot hold
 * exactly becomes a bigint.
 *
 * @throws SyntaxError
 */
export function parseJsonBody(text: string): unknown {
  const body: unknown = JSON.parse(text);
  if (typeof body !== "object" || body === null || !("seed" in body)) return body;
  if (typeof body.seed !== "number" || Number.isSafeInteger(body.seed)) return body;
  const written = findNumberText(text, "seed");
  return written !== undefined && /^-?\d+$/.test(written)
    ? { ...body, seed: BigInt(written) }
    : body;
}

/** The number at `name` in the outermost object of a valid JSON text, as written; the last one wins. */
function findNumberText(json: string, name: string): string | undefined {
  let depth = 0;
  let lastString = "";
  let key: string | undefined;
  let found: string | undefined;
  for (const [token] of json.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:,]|[-\d][\d.eE+-]*/g)) {
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (depth !== 1) continue;
    else if (token === ":") key = JSON.parse(lastString) as string;
    else if (token === ",") key = undefined;
    else if (token.startsWith('"')) lastString = token;
    else if (key === name) found = token;
  }
  return found;
}

async function readText(request: ServeRequest, limit: number): Promise<string> {
  const tooLong = (): ApiError =>
    new ApiError(`The body is longer than ${limit} bytes.`, {
      status: 413,
      code: "request_too_large",
    });
  // A body that announces its length is refused before any of it is read.
  if (Number(request.req.header("content-length") ?? 0) > limit) throw tooLong();
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Leaving the loop must not destroy the socket: the client still has to read the 413.
  const incoming: Readable = request.env.incoming;
  for await (const chunk of incoming.iterator({ destroyOnReturn: false })) {
    bytes += chunk.length;
    if (bytes > limit) throw tooLong();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
