/** The loss curve of a run as SVG. */
import type { LogEntry } from "./run-folder.ts";

const width = 720;
const height = 360;
const margin = { left: 56, right: 16, top: 28, bottom: 40 };

/**
 * Draws the losses of training and of held-out text over the steps.
 *
 * @param unit what the loss is a mean over. Default `"token"`
 */
export function renderLossCurve(
  entries: readonly LogEntry[],
  title: string,
  unit = "token",
): string {
  const training = average(entries.map(({ step, loss }) => ({ step, loss })));
  const heldOut = entries.flatMap(({ step, heldOutLoss }) =>
    heldOutLoss === undefined ? [] : [{ step, loss: heldOutLoss }],
  );
  const losses = [...training, ...heldOut].map(({ loss }) => loss);
  const smallest = losses.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const lowest = Math.floor(smallest * 2) / 2;
  const low = Number.isFinite(lowest) ? lowest : 0;
  const high = Math.max(low + 0.5, Math.ceil(losses.reduce((a, b) => Math.max(a, b), low) * 2) / 2);
  const last = Math.max(1, entries.at(-1)?.step ?? 1);
  const x = (step: number): number =>
    margin.left + (step / last) * (width - margin.left - margin.right);
  const y = (loss: number): number =>
    margin.top + ((high - loss) / (high - low)) * (height - margin.top - margin.bottom);
  const line = (points: readonly Point[], color: string): string =>
    points.length === 0
      ? ""
      : `<polyline fill="none" stroke="${color}" stroke-width="1.5" points="${points
          .map(({ step, loss }) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`)
          .join(" ")}"/>`;
  const ticks = Array.from({ length: 5 }, (_, index) => index / 4);
  const rows = ticks.map((share) => {
    const loss = low + share * (high - low);
    const at = y(loss).toFixed(1);
    return (
      `<line x1="${margin.left}" x2="${width - margin.right}" y1="${at}" y2="${at}" stroke="#ddd"/>` +
      `<text x="${margin.left - 8}" y="${at}" dy="4" text-anchor="end">${loss.toFixed(2)}</text>`
    );
  });
  const columns = ticks.map((share) => {
    const step = Math.round(share * last);
    return `<text x="${x(step).toFixed(1)}" y="${height - margin.bottom + 18}" text-anchor="middle">${step}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${margin.left}" y="18">${escapeText(title)}: loss in nats a ${unit} (blue training, orange held out)</text>`,
    ...rows,
    ...columns,
    line(training, "#2563eb"),
    line(heldOut, "#ea580c"),
    `<text x="${width / 2}" y="${height - 6}" text-anchor="middle">step</text>`,
    "</svg>\n",
  ].join("\n");
}

interface Point {
  readonly step: number;
  readonly loss: number;
}

/** At most 600 points: neighbours are averaged. */
function average(points: readonly Point[]): Point[] {
  const size = Math.ceil(points.length / 600) || 1;
  const means: Point[] = [];
  for (let start = 0; start < points.length; start += size) {
    const part = points.slice(start, start + size);
    const sum = part.reduce((total, { loss }) => total + loss, 0);
    means.push({ step: part.at(-1)!.step, loss: sum / part.length });
  }
  return means;
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
