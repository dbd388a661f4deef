/** The button that starts a demonstration with the model, and what is said meanwhile. */
import type { JSX } from "preact";
import { Problem } from "../parts/states.tsx";
import type { EngineTask } from "./use-engine.ts";

export interface EngineActionsProps {
  readonly task: EngineTask;
  readonly label: string;
  readonly onStart: () => void;
}

export function EngineActions({ task, label, onStart }: EngineActionsProps): JSX.Element {
  const { running, message, progress, label: engine } = task;
  return (
    <div class="actions">
      {running ? (
        <button type="button" class="primary" onClick={task.stop}>
          Stop
        </button>
      ) : (
        <button type="button" class="primary" onClick={onStart}>
          {label}
        </button>
      )}
      <span class="note" role="status">
        {running ? (progress ?? "Running …") : engine ? `by ${engine}` : ""}
      </span>
      <Problem message={message} />
    </div>
  );
}
