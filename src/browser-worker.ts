/**
 * The script of a Web Worker in which a model lives: a module worker that imports this and nothing else.
 *
 * @example
 * // model-worker.ts
 * import "jeton/browser-worker";
 *
 * @example
 * // the page
 * const worker = new Worker(new URL("./model-worker.ts", import.meta.url), { type: "module" });
 * const model = await fetchModel("/models/nano", { worker });
 *
 * @module browser-worker
 */
import { createPageDecoder } from "./model/worker/page-decoder.ts";
import { servePage } from "./tensor/index.ts";

servePage(createPageDecoder);
