/** Parts that demonstrations share. */
import type { ComponentChildren, JSX } from "preact";
import { visible } from "../lens/token-colours.ts";
import { Problem } from "../parts/states.tsx";
import type { ToolName } from "../worker/tool-types.ts";
import type { ToolCall } from "./use-tool.ts";

export interface TextFieldProps {
  readonly label: string;
  readonly value: string;
  readonly rows?: number;
  readonly onChange: (value: string) => void;
}

export function TextField({ label, value, rows = 3, onChange }: TextFieldProps): JSX.Element {
  return (
    <label class="field">
      <span class="label">{label}</span>
      <textarea
        rows={rows}
        value={value}
        onInput={({ currentTarget }) => onChange(currentTarget.value)}
      />
    </label>
  );
}

export interface RangeFieldProps {
  readonly label: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly step?: number;
  readonly onChange: (value: number) => void;
}

export function RangeField({
  label,
  value,
  min,
  max,
  step = 1,
  onChange,
}: RangeFieldProps): JSX.Element {
  return (
    <label class="field range">
      <span class="label">{label}</span>
      <input
        type="range"
        min={min}
        max={max}
        step={step}
        value={value}
        onInput={({ currentTarget }) => onChange(Number(currentTarget.value))}
      />
      <output>{value}</output>
    </label>
  );
}

/** A text cut into pieces, each in its own tint. */
export function Pieces({
  pieces,
  label,
}: {
  readonly pieces: readonly string[];
  readonly label: string;
}): JSX.Element {
  return (
    <p
      class="pieces"
      role="img"
      aria-label={`${label}: ${pieces.map((piece) => visible(piece)).join(" | ")}`}
    >
      {pieces.map((piece, at) => (
        <span key={at} class={`piece piece-${at % 4}`}>
          {piece === "" ? "·" : piece}
        </span>
      ))}
    </p>
  );
}

/** Says that a call of a tool runs, or why it failed. */
export function CallState({
  call: { running, message, stop },
}: {
  readonly call: Pick<ToolCall<ToolName>, "running" | "message" | "stop">;
}): JSX.Element {
  return (
    <>
      <Problem message={message} />
      <div class="call-state">
        <span class="note" role="status">
          {running ? "Computing …" : ""}
        </span>
        {stop && (
          <button type="button" onClick={stop}>
            Stop
          </button>
        )}
      </div>
    </>
  );
}

/** Characters of a word or two: they stay on one line, and so do numbers as in "13 of 47" and "1, 2, –". */
const short = 14;

const isShort = (cell: ComponentChildren): boolean =>
  typeof cell === "number" || (typeof cell === "string" && cell.length <= short);

/** A table that scrolls where it is wider than the screen. */
export function DataTable({
  caption,
  head,
  rows,
}: {
  readonly caption: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly ComponentChildren[])[];
}): JSX.Element {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls where the table is wider than the screen
    <div class="scroll" tabIndex={0} role="region" aria-label={caption}>
      <table class="data">
        <caption>
          <span>{caption}</span>
        </caption>
        <thead>
          <tr>
            {head.map((name, at) => (
              <th key={at} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(([first, ...cells], row) => (
            <tr key={row}>
              <th scope="row" class={isShort(first) ? "short" : undefined}>
                {first}
              </th>
              {cells.map((cell, at) => (
                <td key={at} class={isShort(cell) ? "short" : undefined}>
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
