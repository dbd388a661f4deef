/** Recorded claims: what should hold, the paper's figure, ours, the verdict. */
import type { JSX } from "preact";
import type { RecordedClaim } from "../data.ts";
import { WithCode, withPercent } from "../parts/with-code.tsx";

export function Claims({ claims }: { readonly claims: readonly RecordedClaim[] }): JSX.Element {
  return (
    <ol class="claims">
      {claims.map((claim) => (
        <Claim key={claim.id} claim={claim} />
      ))}
    </ol>
  );
}

const classes = {
  reproduced: "reproduced",
  partly: "partly",
  "not reproduced": "notReproduced",
} as const;

function Claim({ claim }: { readonly claim: RecordedClaim }): JSX.Element {
  const { text, verdict, measured, paper, baseline, interval, control } = claim;
  const figures = [
    ["measured", measured],
    ["paper", paper],
    ["beside", baseline],
    ["effect, 95 % interval", interval],
    ["control", control],
  ] as const;
  return (
    <li class="claim">
      <p class="text">
        <WithCode text={text} />
      </p>
      <p class="verdict">
        <b class={classes[verdict]}>{verdict}</b>
      </p>
      <dl>
        {figures.map(
          ([name, value]) =>
            value !== undefined && (
              <div key={name} class={name === "measured" ? "main" : undefined}>
                <dt>{name}</dt>
                <dd>{withPercent(value)}</dd>
              </div>
            ),
        )}
      </dl>
    </li>
  );
}
