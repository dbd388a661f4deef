/** The faces in which results are written, asked for before there are results. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

const faces: readonly string[] = [
  "600 1.05rem var(--serif)",
  "400 calc(0.83 * 1rem) var(--serif)",
  "400 calc(0.62 * 1rem) var(--sans)",
  "400 0.76rem var(--sans)",
  "700 0.76rem var(--sans)",
  "400 0.8rem var(--sans)",
  "400 0.82rem var(--sans)",
  "400 0.85rem var(--sans)",
  "600 0.85rem var(--sans)",
  "700 0.85rem var(--sans)",
  "400 0.9rem var(--sans)",
  "400 calc(0.7 * 1rem) var(--mono)",
  "400 calc(0.84 * 0.82rem) var(--mono)",
  "400 calc(0.84 * 0.85rem) var(--mono)",
  "400 calc(0.84 * 1rem) var(--mono)",
  "400 0.95rem var(--mono)",
  "600 calc(0.84 * 1.05rem) var(--mono)",
  "700 calc(0.84 * 0.82rem) var(--mono)",
];

/** Milliseconds after which the next face is asked for where the browser does not say when it is idle. */
const pause = 60;

/**
 * A few signs in each face, out of sight. Chromium on Linux asks another process for a face at its first use, and its
 * page stands still meanwhile: for a tenth of a second where a model keeps the cores busy. So each is used
 * while the page is idle, one at a time.
 */
export function Faces(): JSX.Element {
  const [count, setCount] = useState(0);
  useEffect(() => {
    if (count === faces.length) return;
    const next = (): void => setCount(count + 1);
    if (typeof requestIdleCallback === "function") {
      const idle = requestIdleCallback(next);
      return () => cancelIdleCallback(idle);
    }
    const timer = setTimeout(next, pause);
    return () => clearTimeout(timer);
  }, [count]);
  return (
    <div class="hidden" aria-hidden="true" style={{ visibility: "hidden" }}>
      {faces.slice(0, count).map((font) => (
        <span key={font} style={{ font }}>
          a1·␣⏎
        </span>
      ))}
    </div>
  );
}
