/**
 * `POST /studio/lens`: requests of the page's lens, answered as JSON lines.
 */
import { parseContextPolicy } from "../../context/policies/named-policies.ts";
import type { DrafterChoice } from "../../generate/speculative/drafter-names.ts";
import { checkLensRequest, createLensHost, type LensHost, runLens } from "../../lens/index.ts";
import { logFailure, type ServeContext, type ServeRequest } from "../context.ts";
import { toApiError } from "../middleware/errors.ts";
import { readJson } from "../requests/json-body.ts";

/** Makes the lens of a server's model. */
export function createServerLens(
  context: Pick<ServeContext, "model" | "drafters">,
  drafters: readonly DrafterChoice[],
): LensHost {
  return createLensHost({
    model: context.model,
    drafters,
    drafter: (name) => context.drafters.find(name),
    contextPolicy: parseContextPolicy,
  });
}

/** Answers one event a line; a failure after the first is a line with `error`. */
export async function answerLens(
  context: ServeContext,
  host: LensHost,
  request: ServeRequest,
): Promise<Response> {
  const asked = checkLensRequest(await readJson(context, request));
  const state = request.get("request");
  const [place] = context.queue.enter(1, state.signal);
  const events = runLens(host, asked, state.signal);
  const close = async (): Promise<void> => {
    await events.return();
    place!.release();
  };
  const encoder = new TextEncoder();
  let first: IteratorResult<object, void>;
  try {
    await place!.granted;
    // A request that fails at once is answered with a status.
    first = await events.next();
  } catch (error) {
    await close();
    throw error;
  }
  let next: IteratorResult<object, void> | undefined = first;
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          next ??= await events.next();
          if (next.done) {
            await close();
            controller.close();
            return;
          }
          controller.enqueue(encoder.encode(`${JSON.stringify(next.value)}\n`));
          next = undefined;
        } catch (error) {
          await close();
          logFailure(context, state, error);
          const { body } = toApiError(error);
          controller.enqueue(encoder.encode(`${JSON.stringify({ kind: "error", error: body })}\n`));
          controller.close();
        }
      },
      cancel: close,
    },
    { highWaterMark: 0 },
  );
  return request.body(body, 200, {
    "content-type": "application/x-ndjson",
    "cache-control": "no-store",
  });
}
