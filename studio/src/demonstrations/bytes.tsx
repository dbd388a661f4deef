/** The next byte after a text that may end inside a token. */
import type { BytesEvent } from "jeton/lens";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { askOne } from "../engine/engine.ts";
import { percent, visible } from "../lens/token-colours.ts";
import { EngineActions } from "./engine-actions.tsx";
import { DataTable, TextField } from "./parts.tsx";
import { useEngine } from "./use-engine.ts";

export function BytesDemonstration(): JSX.Element {
  const [text, setText] = useState("The Roman emp");
  const [event, setEvent] = useState<BytesEvent>();
  const task = useEngine();
  const start = (): void =>
    task.start(async (engine, signal) =>
      setEvent(await askOne(engine, { kind: "bytes", text, outcomes: 8 }, signal)),
    );
  return (
    <>
      <TextField label="Text; let it end inside a word" rows={2} value={text} onChange={setText} />
      <EngineActions task={task} label="What comes next" onStart={start} />
      {event && <Outcomes event={event} />}
    </>
  );
}

/** A byte as a character where it is one. */
function nameOfByte(byte: number): string {
  if (byte < 0) return "end of the text";
  return byte > 32 && byte < 127
    ? String.fromCharCode(byte)
    : byte === 32
      ? "space"
      : `byte ${byte}`;
}

function Outcomes({ event }: { readonly event: BytesEvent }): JSX.Element {
  const { outcomes, coverings, byTokens, passes } = event;
  return (
    <>
      <div class="side-by-side">
        <DataTable
          caption="Next byte, exactly"
          head={["byte", "probability"]}
          rows={outcomes.map(({ byte, probability }) => [
            <code>{nameOfByte(byte)}</code>,
            percent(probability),
          ])}
        />
        <DataTable
          caption="Next token after the text's own encoding"
          head={["token", "probability"]}
          rows={byTokens.map(({ text, logProbability }) => [
            <code>{visible(text)}</code>,
            percent(Math.exp(logProbability)),
          ])}
        />
      </div>
      <DataTable
        caption={`Coverings: token sequences that spell the text's end and perhaps go on; computed in ${passes} forward ${passes === 1 ? "pass" : "passes"}`}
        head={["tokens", "beyond the text", "share"]}
        rows={coverings.map(({ tokens, rest, probability }) => [
          <code>{tokens.map(visible).join(" | ")}</code>,
          <code>{visible(rest)}</code>,
          percent(probability),
        ])}
      />
    </>
  );
}
