/** A call of a tool as a component shows it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { callTool } from "../engine/tools.ts";
import type { ToolName, Tools } from "../worker/tool-types.ts";

export interface ToolCall<Name extends ToolName> {
  readonly output: Tools[Name][1] | undefined;
  readonly message: string | undefined;
  readonly running: boolean;
  run(input: Tools[Name][0]): void;
}

/** Calls a tool; the last call's output stays until the next one is there. */
export function useTool<Name extends ToolName>(name: Name): ToolCall<Name> {
  const [output, setOutput] = useState<Tools[Name][1]>();
  const [message, setMessage] = useState<string>();
  const [running, setRunning] = useState(false);
  const last = useRef(0);
  const run = (input: Tools[Name][0]): void => {
    const call = ++last.current;
    setRunning(true);
    callTool(name, input)
      .then(
        (found) => {
          if (call !== last.current) return;
          setOutput(() => found);
          setMessage(undefined);
        },
        (error: Error) => call === last.current && setMessage(error.message),
      )
      .finally(() => call === last.current && setRunning(false));
  };
  return { output, message, running, run };
}

/** Calls a tool again, a moment after its input was last changed, and at once at the beginning. */
export function useLiveTool<Name extends ToolName>(
  name: Name,
  input: Tools[Name][0],
  delay = 350,
): ToolCall<Name> {
  const call = useTool(name);
  const isFirst = useRef(true);
  const key = JSON.stringify(input);
  useEffect(() => {
    const wait = isFirst.current ? 0 : delay;
    isFirst.current = false;
    const timer = setTimeout(() => call.run(input), wait);
    return () => clearTimeout(timer);
  }, [key]);
  return call;
}
