/** Verdicts in words, with a bar that shows their shares. */
import type { JSX } from "preact";

interface Counts {
  readonly reproduced: number;
  readonly partly: number;
  readonly notReproduced: number;
}

const names = [
  ["reproduced", "reproduced"],
  ["partly", "partly"],
  ["notReproduced", "not reproduced"],
] as const;

export function Verdicts({ counts }: { readonly counts: Counts }): JSX.Element {
  const shown = names.filter(([key]) => counts[key] > 0);
  return (
    <p class="verdicts">
      <span class="bar" aria-hidden="true">
        {shown.map(([key]) => (
          <span key={key} class={key} style={{ flexGrow: counts[key] }} />
        ))}
      </span>
      <span>
        {shown.map(([key, word], at) => (
          <span key={key}>
            {at > 0 && ", "}
            <b class={key}>{counts[key]}</b> {word}
          </span>
        ))}
      </span>
    </p>
  );
}
