/** The page's first engine, opened when a demonstration asks for it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { describeError, type Engine } from "../engine/engine.ts";
import { defaultEngine, engineLabel, openEngine } from "../engine/engines.ts";

export interface EngineTask {
  readonly running: boolean;
  readonly message: string | undefined;
  /** How far the model's download is, in words. */
  readonly progress: string | undefined;
  /** What answers, in words. */
  readonly label: string | undefined;
  /** Runs a task; one that runs is stopped. */
  start(body: (engine: Engine, signal: AbortSignal) => Promise<void>): void;
  stop(): void;
}

export function useEngine(): EngineTask {
  const [running, setRunning] = useState(false);
  const [message, setMessage] = useState<string>();
  const [progress, setProgress] = useState<string>();
  const [label, setLabel] = useState<string>();
  const current = useRef<AbortController>(undefined);
  useEffect(() => () => current.current?.abort(), []);
  const start: EngineTask["start"] = (body) => {
    current.current?.abort();
    const controller = new AbortController();
    current.current = controller;
    const isCurrent = (): boolean => current.current === controller;
    setRunning(true);
    setMessage(undefined);
    (async () => {
      const name = await defaultEngine();
      setLabel(engineLabel(name));
      const engine = await openEngine(name, ({ stage, done, total }) =>
        setProgress(`${stage} ${total > 0 ? Math.round((100 * done) / total) : 0} %`),
      );
      setProgress(undefined);
      controller.signal.throwIfAborted();
      await body(engine, controller.signal);
    })()
      .catch((error: unknown) => {
        if (!isCurrent() || controller.signal.aborted) return;
        setMessage(describeError(error));
      })
      .finally(() => isCurrent() && setRunning(false));
  };
  return { running, message, progress, label, start, stop: () => current.current?.abort() };
}
