/** MrT5: which bytes of a text a trained gate deletes, and what the decoder writes from the rest. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { percent, visible } from "../lens/token-colours.ts";
import type { DeletedBytes } from "../worker/tool-types.ts";
import { CallState, DataTable, RangeField, TextField } from "./parts.tsx";
import { story } from "./samples.ts";
import { useLiveTool } from "./use-tool.ts";

/** Tints of the gate's values. */
const steps = 6;

export function DeletedBytesDemonstration(): JSX.Element {
  const [text, setText] = useState(story.split("\n").slice(0, 2).join("\n"));
  const [threshold, setThreshold] = useState(-15);
  const [soft, setSoft] = useState(false);
  const call = useLiveTool("deleteBytes", { text, threshold, soft });
  const { output } = call;
  return (
    <>
      <TextField label="Text" rows={3} value={text} onChange={setText} />
      <RangeField
        label="deleted at or below"
        value={threshold}
        min={-30}
        max={-1}
        onChange={setThreshold}
      />
      <label class="field check">
        <input
          type="checkbox"
          checked={soft}
          onChange={({ currentTarget }) => setSoft(currentTarget.checked)}
        />
        <span>softly, as in training: nothing is removed, gate values weaken attention</span>
      </label>
      <CallState call={call} />
      {output && output.length > 0 && <Pieces pieces={output} soft={soft} />}
      <p class="note">
        jeton-mrt5 was trained for a quarter of an hour to write a text without its vowels, on prose
        of Gibbon's history and on random letters in pieces of at most 48 bytes; longer lines are
        cut. It was told no byte that may go: its controller only aims at a share of 28 %. Behind
        the first of its two layers the gate gives every byte a value from 0 (keep) to −30 (delete).
        It has seen few digits and no letters beyond ASCII.
      </p>
    </>
  );
}

function Pieces({
  pieces,
  soft,
}: {
  readonly pieces: readonly DeletedBytes[];
  readonly soft: boolean;
}): JSX.Element {
  const bytes = pieces.flatMap((piece) => piece.bytes);
  const kept = bytes.filter((byte) => byte.kept).length;
  return (
    <>
      <p>
        {soft
          ? `All ${bytes.length} positions stay, and the later layers see them weakened.`
          : `The later layers and the decoder read ${kept} of ${bytes.length} positions, ${percent(1 - kept / bytes.length)} fewer.`}
      </p>
      <div class="gated">
        {pieces.map((piece, at) => (
          <p key={at} class="pieces">
            {piece.bytes.map((byte, place) => (
              <Byte key={place} {...byte} />
            ))}
          </p>
        ))}
      </div>
      <DataTable
        caption="What the decoder writes from each piece"
        head={["written", "kept", "of", "wanted"]}
        rows={pieces.map((piece) => {
          const wanted = withoutVowels(piece);
          return [
            <code>{visible(piece.written)}</code>,
            piece.bytes.filter((byte) => byte.kept).length,
            piece.bytes.length,
            piece.written === wanted ? "the same" : <code>{visible(wanted)}</code>,
          ];
        })}
      />
    </>
  );
}

function Byte({ text, kept, gate }: DeletedBytes["bytes"][number]): JSX.Element {
  const Tag = kept ? "span" : "del";
  const step = Math.min(steps - 1, Math.floor((steps * -gate) / 30));
  return (
    <Tag
      class={`byte gate-${step}`}
      title={`gate ${gate.toFixed(1)}, ${kept ? "kept" : "deleted"}`}
    >
      {visible(text)}
    </Tag>
  );
}

/** What the task asks for. */
function withoutVowels({ bytes }: DeletedBytes): string {
  return bytes
    .slice(0, -1)
    .map(({ text }) => text)
    .filter((text) => !/^[aeiou]$/i.test(text))
    .join("");
}
