/** What the page and the model's worker tell each other. */
import type { Device, WeightFormat } from "jeton/browser";
import type { LensAnswers, LensRequest, ModelEvent } from "jeton/lens";
import type { OpeningProgress } from "./engine.ts";

/** Page to worker. */
export type ToWorker =
  | {
      readonly kind: "open";
      /** Address of the page's folder, with a slash at its end. */
      readonly base: string;
      /** The model's folder among those that come with the page. */
      readonly model: string;
      readonly format: WeightFormat;
      readonly device: Device;
    }
  | { readonly kind: "ask"; readonly id: number; readonly request: LensRequest }
  | { readonly kind: "stop"; readonly id: number };

/** Worker to page. */
export type FromWorker =
  | ({ readonly kind: "progress" } & OpeningProgress)
  | { readonly kind: "open"; readonly model: ModelEvent }
  | { readonly kind: "open-failed"; readonly error: WorkerFailure }
  | {
      readonly kind: "event";
      readonly id: number;
      readonly event: LensAnswers[LensRequest["kind"]];
    }
  | { readonly kind: "end"; readonly id: number; readonly error?: WorkerFailure };

/** An error that crosses from a worker to the page. */
export interface WorkerFailure {
  readonly message: string;
  readonly code: string;
}
