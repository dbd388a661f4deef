/** What answers a lens: this machine's server, or a model in a worker of this browser. */
import type { LensAnswers, LensRequest, ModelEvent } from "jeton/lens";

/** Answers requests of a lens, several at once. */
export interface Engine {
  readonly model: ModelEvent;
  /** Where the model runs. */
  readonly place: "server" | "browser";
  /**
   * Events, one after another. Leaving the loop or aborting the signal stops what runs.
   *
   * @throws EngineError
   */
  ask<K extends LensRequest["kind"]>(
    request: Extract<LensRequest, { readonly kind: K }>,
    signal?: AbortSignal,
  ): AsyncIterable<LensAnswers[K]>;
}

/** A failure that a person can read. */
export class EngineError extends Error {
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.name = "EngineError";
    this.code = code;
  }
}

/** What a model is called: of a folder's path its last part. */
export function modelName({ name }: ModelEvent): string {
  return name.split(/[\\/]/).findLast((part) => part !== "") ?? name;
}

/** What a person reads of an error. */
export function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** How far the opening of a model is. */
export interface OpeningProgress {
  readonly stage: "download" | "pack" | "load";
  readonly done: number;
  readonly total: number;
}

/** Asks for one event. */
export async function askOne<K extends LensRequest["kind"]>(
  engine: Engine,
  request: Extract<LensRequest, { readonly kind: K }>,
  signal?: AbortSignal,
): Promise<LensAnswers[K]> {
  for await (const event of engine.ask<K>(request, signal)) return event;
  throw new EngineError("The model gave no answer.", "no-answer");
}
