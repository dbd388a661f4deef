import { JetonError } from "../../core/index.ts";

/** Releases a sequence in its worker. A closed model holds no sequences any more: that is no error. */
export async function releaseHandle(
  service: { release(handle: number): Promise<unknown> },
  handle: number,
): Promise<void> {
  try {
    await service.release(handle);
  } catch (error) {
    if (!(JetonError.isInstance(error) && error.code === "service-closed")) throw error;
  }
}
