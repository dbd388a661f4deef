/** The chosen token: how probable it was, what else might have stood there, how it came about. */
import type { LensAlternative, LensToken } from "jeton/lens";
import type { JSX, Ref } from "preact";
import { percent, visible } from "./token-colours.ts";

export interface TokenPanelProps {
  readonly token: LensToken | undefined;
  /** Whether there is a token that can be chosen. */
  readonly offersTokens: boolean;
  /** Absent where the text cannot be continued from an alternative. */
  readonly onBranch?: (id: number) => void;
  readonly panel: Ref<HTMLElement>;
}

export function TokenPanel({ token, offersTokens, onBranch, panel }: TokenPanelProps): JSX.Element {
  if (!token) {
    return (
      <section class="token-panel empty" ref={panel} aria-label="Chosen token">
        {offersTokens && (
          <p class="note">
            Point at a token, tap it, or use the arrow keys in the text: its alternatives appear
            here.
          </p>
        )}
      </section>
    );
  }
  const { text, id, logProbability, entropy, origin, alternatives = [] } = token;
  return (
    <section class="token-panel" ref={panel} aria-label="Chosen token">
      <h2>
        <code class="chosen">{visible(text)}</code> <span class="label">id {id}</span>
      </h2>
      <dl class="figures">
        {logProbability !== undefined && (
          <>
            <Figure name="probability" value={percent(Math.exp(logProbability))} />
            <Figure name="surprise" value={`${bits(-logProbability)} bits`} />
          </>
        )}
        {entropy !== undefined && <Figure name="entropy" value={`${bits(entropy)} bits`} />}
        {origin && (
          <Figure
            name="came as"
            value={
              origin.kind === "accepted"
                ? `draft of ${origin.drafter}, depth ${origin.depth}`
                : "decoded"
            }
          />
        )}
      </dl>
      {alternatives.length > 0 && (
        <Alternatives chosen={id} alternatives={alternatives} onBranch={onBranch} />
      )}
    </section>
  );
}

const bits = (nats: number): string => Math.abs(nats / Math.LN2).toFixed(2);

function Figure({ name, value }: { readonly name: string; readonly value: string }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

interface AlternativesProps {
  readonly chosen: number;
  readonly alternatives: readonly LensAlternative[];
  readonly onBranch: ((id: number) => void) | undefined;
}

function Alternatives({ chosen, alternatives, onBranch }: AlternativesProps): JSX.Element {
  return (
    <ul class="alternatives">
      {alternatives.map(({ id, text, logProbability }) => {
        const probability = Math.exp(logProbability);
        const row = (
          <>
            <code>{visible(text)}</code>
            <meter min={0} max={1} value={probability} aria-hidden="true" />
            <span class="number">{percent(probability)}</span>
          </>
        );
        return (
          <li key={id} class={id === chosen ? "taken" : undefined}>
            {onBranch && id !== chosen ? (
              <button type="button" onClick={() => onBranch(id)}>
                <span class="hidden">Continue with </span>
                {row}
              </button>
            ) : (
              <span class="row">{row}</span>
            )}
          </li>
        );
      })}
    </ul>
  );
}
