/** The page's first engine, opened when a demonstration asks for it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { describeError, type Engine } from "../engine/engine.ts";
import { defaultEngine, type EngineName, engineLabel, openEngine } from "../engine/engines.ts";

export interface EngineTask {
  readonly running: boolean;
  readonly message: string | undefined;
  /** How far the model's download is, in words. */
  readonly progress: string | undefined;
  /** What answers, in words. */
  readonly label: string | undefined;
  /**
   * Runs a task; one that runs is stopped.
   *
   * @param choose picks an engine, given the server's where there is one; undefined is the server's.
   *   Default: the page's first engine
   */
  start(
    body: (engine: Engine, signal: AbortSignal) => Promise<void>,
    choose?: (server: Engine | undefined) => EngineName | undefined,
  ): void;
  stop(): void;
}

export function useEngine(): EngineTask {
  const [running, setRunning] = useState(false);
  const [message, setMessage] = useState<string>();
  const [progress, setProgress] = useState<string>();
  const [label, setLabel] = useState<string>();
  const current = useRef<AbortController>(undefined);
  useEffect(() => () => current.current?.abort(), []);
  const start: EngineTask["start"] = (body, choose) => {
    current.current?.abort();
    const controller = new AbortController();
    current.current = controller;
    const isCurrent = (): boolean => current.current === controller;
    setRunning(true);
    setMessage(undefined);
    (async () => {
      const open = async (name: EngineName): Promise<Engine> => {
        setLabel(engineLabel(name));
        const opened = await openEngine(name, ({ stage, done, total }) =>
          setProgress(`${stage} ${total > 0 ? Math.round((100 * done) / total) : 0} %`),
        );
        setProgress(undefined);
        return opened;
      };
      const name = await defaultEngine();
      const server = choose && name === "server" ? await open(name) : undefined;
      const engine = await open(choose?.(server) ?? name);
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
