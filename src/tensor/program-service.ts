/** The worker's side of a program: one session. */
import type { EmittedModel } from "./emit-model.ts";
import { openSession, type SessionOptions, type TensorValue } from "./runtime.ts";
import type { Service } from "./service.ts";

/** One session, by messages. */
export interface ProgramService extends Service {
  run(
    inputs: Readonly<Record<string, TensorValue>>,
    outputs: readonly string[],
  ): Promise<Record<string, TensorValue>>;
}

/** Opens the session of an emitted model (called in the worker). */
export async function createProgramService(start: {
  model: EmittedModel;
  options: SessionOptions;
}): Promise<ProgramService> {
  const session = await openSession(start.model, start.options);
  return {
    async run(inputs, outputs) {
      const feeds = Object.entries(inputs).map(
        ([name, { dtype, data, shape }]) => [name, session.bind(dtype, data, shape)] as const,
      );
      return await session.run(Object.fromEntries(feeds), outputs);
    },
    close: () => session.release(),
  };
}
