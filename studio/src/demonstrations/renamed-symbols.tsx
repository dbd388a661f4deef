/** A lexinvariant model beside an ordinary one: a text in a new alphabet, and the surprise of its symbols. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { curveHeight, curvePath } from "../lens/curve-path.ts";
import { stepCount } from "../lens/token-colours.ts";
import type { RenamedReading } from "../worker/tool-types.ts";
import { CallState, DataTable, RangeField, TextField } from "./parts.tsx";
import { refrain } from "./samples.ts";
import { useLiveTool } from "./use-tool.ts";

const height = 150;
const width = 720;
/** Symbols that a point of the curves is the mean of. */
const smoothed = 16;
/** Bits of a lucky draw among 27 symbols, a line of the plot. */
const uniform = Math.log2(27);

/** What is said of each reader. */
const labels = {
  lexinvariant: "lexinvariant, renamed letters",
  "ordinary, renamed": "ordinary model, renamed letters",
  "ordinary, own letters": "ordinary model, the letters it was trained on",
  counting: "pairs counted in the text so far",
} as const;

export function RenamedSymbolsDemonstration(): JSX.Element {
  const [text, setText] = useState(refrain);
  const [seed, setSeed] = useState(1);
  const call = useLiveTool("readRenamed", { text, seed });
  const { output } = call;
  return (
    <>
      <TextField label="Text" rows={5} value={text} onChange={setText} />
      <RangeField
        label="seed of the new alphabet"
        value={seed}
        min={1}
        max={50}
        onChange={setSeed}
      />
      <CallState call={call} />
      {output && <Reading reading={output} />}
      <p class="note">
        Both models are of one size (0.2 million parameters, two layers) and were trained alike for
        minutes, on Gibbon's history without marks and capitals and on windows in which pieces of it
        come again; they read 193 letters. The lexinvariant one has no row for any letter: each text
        gives every symbol a random vector. Looking up what followed a symbol is planted in both. So
        it cannot know English letters and learns within the text what follows what; another
        alphabet changes next to nothing. It does not recognize English behind the names: on prose
        without repetitions it is hardly better than counting.
      </p>
    </>
  );
}

function Reading({
  reading: { text, renamed, readers },
}: {
  readonly reading: RenamedReading;
}): JSX.Element {
  const own = readers.find(({ name }) => name === "lexinvariant")!.bits;
  return (
    <>
      <p class="pieces renamed" role="img" aria-label={`In the new alphabet: ${renamed}`}>
        {Array.from(renamed, (symbol, at) => {
          const bits = at === 0 ? undefined : own[at - 1]!;
          const title = `${text[at]} as ${symbol}${bits === undefined ? "" : `, ${bits.toFixed(1)} bits`}`;
          return (
            <span key={at} class={tintOf(bits)} title={title}>
              {symbol}
            </span>
          );
        })}
      </p>
      <Curves readers={readers} />
      <DataTable
        caption="Mean surprise of a symbol in bits, along the text"
        head={["read by", ...quartersOf(own.length).map(([from, to]) => `${from + 1} to ${to}`)]}
        rows={readers.map(({ name, bits }) => [
          labels[name],
          ...quartersOf(bits.length).map(([from, to]) => mean(bits.slice(from, to)).toFixed(2)),
        ])}
      />
    </>
  );
}

/** Tints as in the lens, one for each bit. */
function tintOf(bits: number | undefined): string | undefined {
  if (bits === undefined) return undefined;
  return `p${Math.min(stepCount - 1, bits < 0.5 ? 0 : 1 + Math.floor(bits))}`;
}

/** Four parts of a text, of which short ones have fewer. */
function quartersOf(length: number): (readonly [from: number, to: number])[] {
  const count = Math.min(4, Math.ceil(length / smoothed));
  return Array.from({ length: count }, (_, at) => [
    Math.round((at * length) / count),
    Math.round(((at + 1) * length) / count),
  ]);
}

function Curves({ readers }: Pick<RenamedReading, "readers">): JSX.Element {
  const curves = readers.map(({ name, bits }) => ({
    name,
    points: bits.map((_, at) => mean(bits.slice(Math.max(0, at + 1 - smoothed), at + 1))),
  }));
  const top = Math.max(uniform + 1, ...curves.flatMap(({ points }) => points));
  const scale = { width, height, top };
  const last = curves.map(({ name, points }) => `${labels[name]} ${points.at(-1)!.toFixed(1)}`);
  return (
    <figure class="curve readers">
      <svg
        viewBox={`0 0 ${width} ${height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Surprise along the text, in bits at its end: ${last.join(", ")}`}
      >
        <path class="uniform" d={`M0 ${curveHeight(scale, uniform)}H${width}`} />
        {curves.map(({ name, points }, at) => (
          <path key={name} class={`reader-${at}`} d={curvePath(scale, points)} />
        ))}
      </svg>
      <figcaption>
        {curves.map(({ name }, at) => (
          <span key={name} class={`key reader-${at}`}>
            {labels[name]}
          </span>
        ))}
        <span>
          bits of a symbol, mean of the last {smoothed}; the thin line is a draw among 27, the top{" "}
          {top.toFixed(0)}
        </span>
      </figcaption>
    </figure>
  );
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
