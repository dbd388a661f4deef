import { JetonError } from "../../core/index.ts";

/**
 * Releases a sequence in its worker. A closed model holds no sequences any more: that is no error.
 *
 * @param told what the worker is told of the sequence before
 */
export async function releaseHandle(
  service: { release(handle: number): Promise<unknown> },
  handle: number,
  told?: Promise<unknown>,
): Promise<void> {
  try {
    await Promise.all([told, service.release(handle)]);
  } catch (error) {
    if (!(JetonError.isInstance(error) && error.code === "service-closed")) throw error;
  }
}

/** What a call of a sequence that was released ends in. */
export function sequenceReleased(): JetonError {
  return new JetonError("the sequence was released", { code: "model-sequence-released" });
}
