/** What the tints of a text mean. */
import type { LensToken } from "jeton/lens";
import type { JSX } from "preact";
import type { Colouring } from "./lens-settings.ts";
import { drafterClass, stepCount } from "./token-colours.ts";

export interface ColourKeyProps {
  readonly tokens: readonly LensToken[];
  readonly colouring: Colouring;
}

export function ColourKey({ tokens, colouring }: ColourKeyProps): JSX.Element | null {
  if (tokens.length === 0) return null;
  if (colouring === "origin") return <DrafterKey tokens={tokens} />;
  const [first, last] =
    colouring === "probability" ? ["probable", "improbable"] : ["certain", "uncertain"];
  return (
    <p class="colour-key">
      {first}{" "}
      <span class="swatches" aria-hidden="true">
        {Array.from({ length: stepCount }, (_, step) => (
          <span key={step} class={`p${step}`} />
        ))}
      </span>{" "}
      {last}; a step is a bit of {colouring === "probability" ? "surprise" : "entropy"}
    </p>
  );
}

function DrafterKey({ tokens }: Pick<ColourKeyProps, "tokens">): JSX.Element {
  const drafters = new Set(
    tokens.flatMap(({ origin }) => (origin?.kind === "accepted" ? [origin.drafter] : [])),
  );
  if (drafters.size === 0) {
    return <p class="colour-key">No token of it was drafted: each is decoded.</p>;
  }
  return (
    <p class="colour-key">
      {[...drafters].map((drafter) => (
        <span key={drafter} class="key-of">
          {drafter}, depth 1{" "}
          <span class="swatches" aria-hidden="true">
            {[1, 2, 3, 4, 5, 6].map((depth) => (
              <span key={depth} class={drafterClass(drafter, depth)} />
            ))}
          </span>{" "}
          6 and more
        </span>
      ))}
      <span class="key-of">without a tint: decoded</span>
    </p>
  );
}
