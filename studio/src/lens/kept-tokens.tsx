/** What a context policy kept: of the prompt's text, and of the cache by layer. */
import type { EndEvent, LensToken } from "jeton/lens";
import type { JSX } from "preact";
import "../styles/cache.css";

/** What a generation tells of its policy. */
export type Kept = NonNullable<EndEvent["context"]>;

/** A layer by its number, or all together. */
export type KeptLayer = number | "any";

/** Places that a layer attends to, or any of them; undefined where all are. */
export function keptPlaces(
  { chosen, attended }: Kept,
  layer: KeptLayer,
): readonly number[] | undefined {
  if (chosen) return chosen;
  if (!attended) return undefined;
  if (layer !== "any") return attended.layers[layer] ?? [];
  return [...new Set(attended.layers.flat())].sort((a, b) => a - b);
}

/** Neighbours that are kept, or left out, together. */
export interface KeptRun {
  readonly start: number;
  readonly end: number;
  readonly kept: boolean;
}

/** Cuts `length` places into runs. */
export function keptRuns(places: readonly number[] | undefined, length: number): KeptRun[] {
  if (!places) return length > 0 ? [{ start: 0, end: length, kept: true }] : [];
  const kept = new Set(places);
  const runs: KeptRun[] = [];
  for (let start = 0; start < length; ) {
    const isKept = kept.has(start);
    let end = start + 1;
    while (end < length && kept.has(end) === isKept) end++;
    runs.push({ start, end, kept: isKept });
    start = end;
  }
  return runs;
}

/** A prompt with its kept tokens marked. */
export function KeptText({
  tokens,
  context,
  layer,
}: {
  readonly tokens: readonly LensToken[];
  readonly context: Kept | undefined;
  readonly layer: KeptLayer;
}): JSX.Element {
  const textOf = ({ text, special }: LensToken, at: number): JSX.Element | string =>
    special ? (
      <span key={at} class="special">
        {text}
      </span>
    ) : (
      text
    );
  if (!context) return <>{tokens.map(textOf)}</>;
  const places = keptPlaces(context, layer);
  return (
    <>
      {keptRuns(places, tokens.length).map(({ start, end, kept }) => {
        const shown = tokens.slice(start, end).map(textOf);
        if (!places) return shown;
        return kept ? (
          <mark key={start} class="kept">
            {shown}
          </mark>
        ) : (
          <span key={start} class="left-out">
            {shown}
          </span>
        );
      })}
    </>
  );
}

export interface CacheViewProps {
  readonly context: Kept;
  /** Tokens of the prompt. */
  readonly promptTokens: number;
  readonly layer: KeptLayer;
  readonly onChoose: (layer: KeptLayer) => void;
}

/** The key-value cache by layer: which of its rows are attended to. */
export function CacheView(props: CacheViewProps): JSX.Element {
  const { context, promptTokens } = props;
  const { policy, chosen, attended } = context;
  if (chosen) {
    return (
      <figure class="cache">
        <Strip places={chosen} length={promptTokens} />
        <figcaption>
          {policy} reads {chosen.length} of the prompt's {promptTokens} tokens; every layer attends
          to all that are read.
        </figcaption>
      </figure>
    );
  }
  if (!attended) {
    return <p class="note">{policy}: every layer attends to all tokens.</p>;
  }
  return <LayerStrips {...props} attended={attended} />;
}

function LayerStrips({
  context: { policy },
  attended: { layers, tokens },
  layer,
  onChoose,
}: CacheViewProps & { readonly attended: NonNullable<Kept["attended"]> }): JSX.Element {
  const union = new Set(layers.flat());
  return (
    <figure class="cache">
      <div role="group" aria-label="Layers of the cache">
        {[...layers.entries()].map(([at, places]) => (
          <button
            key={at}
            type="button"
            aria-pressed={layer === at}
            onClick={() => onChoose(layer === at ? "any" : at)}
          >
            <span class="label">layer {at}</span>
            <Strip places={places} length={tokens} />
            <span class="number">
              {places.length}
              <span class="hidden"> of {tokens} tokens</span>
            </span>
          </button>
        ))}
      </div>
      <figcaption>
        {policy}: rows of the KV cache that the first generated token attends to, of {tokens}; all
        layers together {union.size}. The text marks{" "}
        {layer === "any" ? "what any layer attends to" : `what layer ${layer} attends to`}; a layer
        can be chosen.
      </figcaption>
    </figure>
  );
}

/** Places on a line from the first token to the last. */
function Strip({
  places,
  length,
}: {
  readonly places: readonly number[];
  readonly length: number;
}): JSX.Element {
  const path = keptRuns(places, length)
    .filter(({ kept }) => kept)
    .map(({ start, end }) => `M${start} 0H${end}V1H${start}Z`)
    .join("");
  return (
    <svg viewBox={`0 0 ${length} 1`} preserveAspectRatio="none" aria-hidden="true">
      <path d={path} />
    </svg>
  );
}
