/** Loading of any kind of model by a command: a status line meanwhile, warnings, and closing in every case. */
import { createProgressMeter, formatDuration } from "../../core/progress.ts";
import type { LoadModelOptions } from "../../model/types.ts";
import type { CommandContext } from "../context.ts";
import { createStatusLine } from "./locate.ts";

const stages = { download: "downloading", pack: "packing weights", load: "loading" } as const;

/** What a loader is told by the command. */
export type LoadReports = Required<Pick<LoadModelOptions, "signal" | "onProgress" | "onWarning">>;

/** Loads a model, calls `use` with it, and closes it in every case. */
export async function loadAndUse<Model extends { close(): Promise<void> }, T>(
  context: CommandContext,
  load: (reports: LoadReports) => Promise<Model>,
  use: (model: Model) => Promise<T>,
): Promise<T> {
  const line = createStatusLine(context);
  const meter = createProgressMeter();
  let model: Model;
  try {
    model = await load({
      signal: context.signal,
      onProgress: ({ stage, done, total }) => {
        const percent = total > 1 ? ` ${Math.floor((done / total) * 100)} %` : "";
        const { secondsLeft } = meter.update(done, total);
        const left =
          stage === "pack" && secondsLeft !== undefined
            ? `, ${formatDuration(secondsLeft)} left`
            : "";
        line.show(`${stages[stage]}${percent}${left}`);
      },
      onWarning: ({ message }) => {
        line.clear();
        void context.stderr.write(`jeton: warning: ${message}\n`);
      },
    });
  } finally {
    line.clear();
  }
  try {
    context.signal.throwIfAborted();
    return await use(model);
  } finally {
    await model.close();
  }
}
