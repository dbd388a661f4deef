/** The model of `jeton studio`, over HTTP. */
import type { LensAnswers, LensRequest, ModelEvent } from "jeton/lens";
import { type Engine, EngineError } from "./engine.ts";

/** Connects to the server that the page came from. @throws EngineError */
export async function openServerEngine(signal?: AbortSignal): Promise<Engine> {
  for await (const event of ask({ kind: "describe" }, signal)) {
    return { model: event as ModelEvent, place: "server", ask: ask as Engine["ask"] };
  }
  throw new EngineError("The server says nothing of its model.", "no-answer");
}

async function* ask(
  request: LensRequest,
  signal?: AbortSignal,
): AsyncGenerator<LensAnswers[LensRequest["kind"]], void, void> {
  const stop = new AbortController();
  const given = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  try {
    const response = await send(request, given);
    for await (const line of linesOf(response.body!)) {
      const event = JSON.parse(line) as { kind: string; error?: { message: string; code: string } };
      if (event.kind === "error") throw new EngineError(event.error!.message, event.error!.code);
      yield event as unknown as LensAnswers[LensRequest["kind"]];
    }
  } finally {
    stop.abort();
  }
}

async function send(request: LensRequest, signal: AbortSignal): Promise<Response> {
  const response = await fetch("./studio/lens", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
    signal,
  }).catch((error: Error) => {
    if (signal.aborted) throw error;
    throw new EngineError(
      "The server does not answer: start it again with npx jeton studio.",
      "server-unreachable",
    );
  });
  if (response.ok) return response;
  const answer = (await response.json().catch(() => undefined)) as
    | { error?: { message: string; code: string } }
    | undefined;
  throw new EngineError(
    answer?.error?.message ?? `The server answered with status ${response.status}.`,
    answer?.error?.code ?? "server-failed",
  );
}

async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, void> {
  const reader = body
    .pipeThrough(new TextDecoderStream() as never)
    .getReader() as ReadableStreamDefaultReader<string>;
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop()!;
      for (const line of lines) if (line !== "") yield line;
    }
    if (rest !== "") yield rest;
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
