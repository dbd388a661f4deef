/** Surprise of each token in bits, with the entropy of its place. */
import type { LensToken } from "jeton/lens";
import type { JSX } from "preact";
import { curvePath } from "./curve-path.ts";

export interface SurpriseCurveProps {
  readonly tokens: readonly LensToken[];
  readonly chosen: number | undefined;
  readonly onChoose: (place: number) => void;
}

const height = 72;
const width = 720;
/** Bits at the top of the plot, at least. */
const minTop = 6;

export function SurpriseCurve({
  tokens,
  chosen,
  onChoose,
}: SurpriseCurveProps): JSX.Element | null {
  if (tokens.length < 2) return null;
  const surprise = tokens.map(({ logProbability }) => -(logProbability ?? 0) / Math.LN2);
  const entropy = tokens.map(({ entropy: nats }) => (nats ?? 0) / Math.LN2);
  const top = Math.max(minTop, ...surprise, ...entropy);
  const step = width / tokens.length;
  const scale = { width, height, top };
  const mean = surprise.reduce((sum, value) => sum + value, 0) / surprise.length;
  const choose = (event: PointerEvent): void => {
    const { left, width: shown } = (event.currentTarget as Element).getBoundingClientRect();
    const place = Math.floor(((event.clientX - left) / shown) * tokens.length);
    onChoose(Math.min(tokens.length - 1, Math.max(0, place)));
  };
  return (
    <figure class="curve">
      <svg
        viewBox={`0 0 ${width} ${height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Surprise of ${tokens.length} tokens: ${mean.toFixed(2)} bits on average, ${Math.max(...surprise).toFixed(1)} at most`}
        onPointerMove={choose}
        onPointerDown={choose}
      >
        {chosen !== undefined && chosen < tokens.length && (
          <rect class="cursor" x={chosen * step} y="0" width={Math.max(1, step)} height={height} />
        )}
        <path class="entropy" d={curvePath(scale, entropy)} />
        <path class="surprise" d={curvePath(scale, surprise)} />
      </svg>
      <figcaption>
        <span class="key surprise">surprise</span> and <span class="key entropy">entropy</span>,
        bits for each token; mean surprise {mean.toFixed(2)}, top of the plot {top.toFixed(0)}
      </figcaption>
    </figure>
  );
}
