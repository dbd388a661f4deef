/** The worker in which the bundled model lives and generates. */
import { fetchModel, JetonError, type LoadedModel, locateWasm } from "jeton/browser";
import { parseContextPolicy } from "jeton/context";
import { nextTask } from "jeton/core";
import {
  createDrafter,
  type Drafter,
  type DrafterChoice,
  drafterChoices,
  usesDraftModel,
} from "jeton/generate";
import { createLensHost, type LensHost, runLens } from "jeton/lens";
import type { FromWorker, ToWorker } from "../engine/messages.ts";
import { failureOf } from "./failure.ts";

const send = (message: FromWorker): void => postMessage(message);
const running = new Map<number, AbortController>();
let host: Promise<LensHost> | undefined;

addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  if (data.kind === "open") {
    host = open(data);
    host.then(describe, (error: unknown) => send({ kind: "open-failed", error: failureOf(error) }));
  } else if (data.kind === "stop") {
    running.get(data.id)?.abort(new JetonError("stopped", { code: "aborted" }));
  } else void answer(data.id, data.request);
});

async function describe(opened: LensHost): Promise<void> {
  for await (const model of runLens(opened, { kind: "describe" })) send({ kind: "open", model });
}

async function open(asked: ToWorker & { kind: "open" }): Promise<LensHost> {
  const { base, model: name, format, device } = asked;
  locateWasm(new URL("onnxruntime/", base).href);
  const model = await fetchModel(new URL(`models/${name}/`, base), {
    format,
    device,
    onProgress: (progress) => send({ kind: "progress", ...progress }),
  });
  return createLensHost({
    model,
    drafters: drafterChoices,
    drafter: createDrafters(model, new URL("models/jeton-nano-draft/", base)),
    contextPolicy: parseContextPolicy,
  });
}

/** Drafters by name, each opened once; the draft model comes with the first that needs it. */
function createDrafters(
  model: LoadedModel,
  draftFolder: URL,
): (name: DrafterChoice) => Promise<Drafter | undefined> {
  const opened = new Map<DrafterChoice, Promise<Drafter>>();
  let draft: Promise<LoadedModel> | undefined;
  const create = async (name: Exclude<DrafterChoice, "none">): Promise<Drafter> => {
    if (!usesDraftModel(name)) return createDrafter(name, model);
    draft ??= fetchModel(draftFolder, { threads: 1 });
    return createDrafter(name, model, await draft);
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
