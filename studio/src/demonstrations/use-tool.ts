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
}

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
  });
  const isFirst = useRef(true);
  const key = JSON.stringify(input);
  useEffect(() => {
    const wait = isFirst.current ? 0 : delay;
    isFirst.current = false;
    let isCurrent = true;
    const change = (next: Partial<ToolCall<Name>>): void => {
      if (isCurrent) setCall((last) => ({ ...last, ...next }));
    };
    const timer = setTimeout(() => {
      change({ running: true });
      callTool(name, input).then(
        (output) => change({ output, message: undefined, running: false }),
        ({ message }: Error) => change({ message, running: false }),
      );
    }, wait);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [key]);
  return call;
}
