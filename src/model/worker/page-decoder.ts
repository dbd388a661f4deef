/** The decoder in a Web Worker: weights are packed there too. */
import { type Remote, type Service, startInPageWorker } from "../../tensor/index.ts";
import type { WeightFormat } from "../types.ts";
import { bindBytes, type StoredBytes } from "../weights/bind-bytes.ts";
import { createDecoderService, type DecoderService, type DecoderStart } from "./decoder-service.ts";

/** What the worker is given first. */
export interface PageDecoderStart extends StoredBytes {
  readonly groups: readonly (readonly string[])[];
  readonly format: WeightFormat;
  /** As of `bindBytes`. */
  readonly widens?: boolean;
}

/** Weights that have been packed, and the decoder over them once it has been started. */
export interface PageDecoder extends DecoderService {
  start(options: Omit<DecoderStart, "bindings">): Promise<void>;
}

/** Packs weights (called in the worker). */
export async function createPageDecoder(
  { tensors, bytes, groups, format, widens = false }: PageDecoderStart,
  onProgress: (done: number, total: number) => void,
): Promise<PageDecoder & Service> {
  const bindings = await bindBytes({ tensors, bytes }, groups, format, {
    widens,
    onProgress,
  });
  let decoder: DecoderService | undefined;
  return {
    async start(options) {
      decoder = await createDecoderService({ ...options, bindings });
    },
    open: (options) => decoder!.open(options),
    forward: (steps) => decoder!.forward(steps),
    accept: (handle, rows) => decoder!.accept(handle, rows),
    truncate: (handle, length) => decoder!.truncate(handle, length),
    release: (handle) => decoder!.release(handle),
    memory: () => decoder!.memory(),
    rowTile: () => decoder!.rowTile(),
    close: () => decoder?.close(),
  };
}

/**
 * Moves weights into a worker and packs them there.
 *
 * @param worker one whose script is `jeton/browser-worker`; it belongs to the decoder from then on
 */
export function startPageDecoder(
  worker: Worker,
  start: PageDecoderStart,
  options: {
    readonly onProgress: (done: number, total: number) => void;
    readonly signal: AbortSignal | undefined;
  },
): Promise<Remote<PageDecoder>> {
  const buffers = Array.from(start.bytes.values(), ({ buffer }) => buffer).filter(
    (buffer) => buffer instanceof ArrayBuffer,
  );
  return startInPageWorker<PageDecoder>(worker, start, {
    ...options,
    transfer: [...new Set(buffers)],
  });
}
