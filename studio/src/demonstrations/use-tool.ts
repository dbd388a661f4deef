/** A call of a tool as a component shows it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { callTool } from "../engine/tools.ts";
import type { ToolName, Tools } from "../worker/tool-types.ts";

export interface ToolCall<Name extends ToolName> {
  /** That of the last call which succeeded: it stays until the next one is there. */
  readonly output: Tools[Name][1] | undefined;
  /** Why the last call failed. */
  readonly message: string | undefined;
  readonly running: boolean;
  /** Ends a call that takes long; absent until it does. */
  readonly stop: (() => void) | undefined;
}

/** Milliseconds after which a call can be stopped, and one that is no longer wanted is. */
const patience = 1000;

/** Calls a tool at once, and again a moment after its input was last changed. */
export function useLiveTool<Name extends ToolName>(
  name: Name,
  input: Tools[Name][0],
  delay = 350,
): ToolCall<Name> {
  const [call, setCall] = useState<ToolCall<Name>>({
    output: undefined,
    message: undefined,
    running: false,
    stop: undefined,
  });
  const isFirst = useRef(true);
  const key = JSON.stringify(input);
  useEffect(() => {
    const wait = isFirst.current ? 0 : delay;
    isFirst.current = false;
    const controller = new AbortController();
    const stop = (): void => controller.abort();
    let isCurrent = true;
    let isLong = false;
    let patienceTimer: ReturnType<typeof setTimeout> | undefined;
    const change = (next: Partial<ToolCall<Name>>): void => {
      if (isCurrent) setCall((last) => ({ ...last, ...next }));
    };
    const done = (next: Partial<ToolCall<Name>>): void => {
      clearTimeout(patienceTimer);
      isLong = false;
      change({ ...next, running: false, stop: undefined });
    };
    const timer = setTimeout(() => {
      change({ running: true });
      patienceTimer = setTimeout(() => {
        isLong = true;
        change({ stop });
      }, patience);
      callTool(name, input, controller.signal).then(
        (output) => done({ output, message: undefined }),
        ({ message }: Error) =>
          done({
            message: controller.signal.aborted
              ? "Stopped. Change the input to compute again."
              : message,
          }),
      );
    }, wait);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
      clearTimeout(patienceTimer);
      // A short call ends by itself, and its worker keeps what it has opened.
      if (isLong) stop();
    };
  }, [key]);
  return call;
}
