/** The worker in which the bundled model lives and generates. */
import {
  createDraftModelDrafter,
  fetchModel,
  JetonError,
  type LoadedModel,
  locateWasm,
} from "jeton/browser";
import {
  createAdedDrafter,
  createAutoDrafter,
  createDyspecDrafter,
  createLookaheadDrafter,
  createPromptLookupDrafter,
  createTokenRecyclingDrafter,
  type Drafter,
  type DrafterChoice,
} from "jeton/generate";
import { createLensHost, type LensHost, runLens } from "jeton/lens";
import type { FromWorker, ToWorker, WorkerFailure } from "../engine/messages.ts";

const send = (message: FromWorker): void => postMessage(message);
const running = new Map<number, AbortController>();
let host: Promise<LensHost> | undefined;

addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  if (data.kind === "open") {
    host = open(data.base, data.format);
    host.then(describe, (error: unknown) => send({ kind: "open-failed", error: failureOf(error) }));
  } else if (data.kind === "stop") {
    running.get(data.id)?.abort(new JetonError("stopped", { code: "aborted" }));
  } else void answer(data.id, data.request);
});

async function describe(opened: LensHost): Promise<void> {
  for await (const model of runLens(opened, { kind: "describe" })) send({ kind: "open", model });
}

async function open(
  base: string,
  format: (ToWorker & { kind: "open" })["format"],
): Promise<LensHost> {
  locateWasm(new URL("onnxruntime/", base).href);
  const model = await fetchModel(new URL("models/jeton-nano/", base), {
    format,
    onProgress: (progress) => send({ kind: "progress", ...progress }),
  });
  return createLensHost({
    model,
    drafters: [
      "auto",
      "prompt-lookup",
      "token-recycling",
      "lookahead",
      "aded",
      "dyspec",
      "draft-model",
      "none",
    ],
    drafter: createDrafters(model, new URL("models/jeton-nano-draft/", base)),
  });
}

/** Drafters by name, each opened once; the draft model comes with the first that needs it. */
function createDrafters(
  model: LoadedModel,
  draftFolder: URL,
): (name: DrafterChoice) => Promise<Drafter | undefined> {
  const opened = new Map<DrafterChoice, Promise<Drafter>>();
  let draft: Promise<LoadedModel> | undefined;
  const draftModel = (): Promise<LoadedModel> => {
    draft ??= fetchModel(draftFolder, { threads: 1 });
    return draft;
  };
  const dyspec = async (): Promise<Drafter> =>
    createDyspecDrafter(model, { draft: await draftModel(), calibrate: true, children: "best" });
  const create = async (name: Exclude<DrafterChoice, "none">): Promise<Drafter> => {
    switch (name) {
      case "prompt-lookup":
        return createPromptLookupDrafter();
      case "token-recycling":
        return createTokenRecyclingDrafter(model);
      case "lookahead":
        return createLookaheadDrafter(model);
      case "aded":
        return createAdedDrafter(model);
      case "dyspec":
        return dyspec();
      case "draft-model":
        return createDraftModelDrafter(model, await draftModel(), { tokens: "best" });
      case "auto":
        return createAutoDrafter([
          createPromptLookupDrafter(),
          createLookaheadDrafter(model),
          createTokenRecyclingDrafter(model),
          await dyspec(),
        ]);
    }
  };
  return async (name) => {
    if (name === "none") return undefined;
    let drafter = opened.get(name);
    if (!drafter) {
      drafter = create(name);
      opened.set(name, drafter);
      drafter.catch(() => opened.delete(name));
    }
    return drafter;
  };
}

async function answer(id: number, request: (ToWorker & { kind: "ask" })["request"]): Promise<void> {
  const controller = new AbortController();
  running.set(id, controller);
  try {
    for await (const event of runLens(await host!, request, controller.signal)) {
      send({ kind: "event", id, event });
      // A message that says to stop arrives only between tasks.
      await nextTask();
    }
    send({ kind: "end", id });
  } catch (error) {
    send({ kind: "end", id, error: failureOf(error) });
  } finally {
    running.delete(id);
  }
}

const { port1, port2 } = new MessageChannel();
const tasks: (() => void)[] = [];
port1.onmessage = () => tasks.shift()?.();

/** Lets the worker's other messages in. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    tasks.push(resolve);
    port2.postMessage(undefined);
  });
}

function failureOf(error: unknown): WorkerFailure {
  if (JetonError.isInstance(error)) return { message: error.message, code: error.code };
  return { message: error instanceof Error ? error.message : String(error), code: "unexpected" };
}
