/** Tokens of a batch that merge as far as one likes. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { CallState, Pieces, RangeField, TextField } from "./parts.tsx";
import { story } from "./samples.ts";
import { useLiveTool } from "./use-tool.ts";

export function MergesDemonstration(): JSX.Element {
  const [text, setText] = useState(story.split("\n").slice(0, 4).join("\n"));
  const [merges, setMerges] = useState(8);
  const texts = text.split("\n").filter((line) => line !== "");
  const call = useLiveTool("mergeTokens", { texts, merges }, 60);
  const { output } = call;
  const count = (sequences: readonly (readonly string[])[]): number =>
    sequences.reduce((sum, sequence) => sum + sequence.length, 0);
  return (
    <>
      <TextField label="Batch, a sequence a line" rows={5} value={text} onChange={setText} />
      <RangeField
        label="merges"
        value={merges}
        min={0}
        max={Math.max(1, output?.possible ?? 60)}
        onChange={setMerges}
      />
      <CallState call={call} />
      {output && (
        <>
          <p>
            {count(output.before)} tokens of jeton-nano become <b>{count(output.after)}</b>;{" "}
            {output.possible} merges lead to whole words.
          </p>
          {output.after.map((pieces, at) => (
            <Pieces key={at} pieces={pieces} label={`Sequence ${at + 1}`} />
          ))}
          <p class="note">
            The last merges:{" "}
            {output.merges
              .slice(-6)
              .map(({ text: merged, saved }) => `“${merged}” saved ${saved}`)
              .join(", ") || "none"}
            . A model reads merged tokens with rows that a hypernetwork, or the mean of their
            spelling, gives them; this shows the boundaries alone.
          </p>
        </>
      )}
    </>
  );
}
