/** The mixture of two texts, read off the merges of a tokenizer that was learned from it. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { visible } from "../lens/token-colours.ts";
import { CallState, DataTable, RangeField, TextField } from "./parts.tsx";
import { germanStory, story } from "./samples.ts";
import { useLiveTool } from "./use-tool.ts";

/** Merges that are listed. */
const shown = 24;

export function MixtureDemonstration(): JSX.Element {
  const [first, setFirst] = useState(story);
  const [second, setSecond] = useState(germanStory);
  const [percent, setPercent] = useState(70);
  const [merges, setMerges] = useState(60);
  const input = { first, second, share: percent / 100, merges };
  const call = useLiveTool("inferMixture", input);
  const { output } = call;
  const written = (share: number): string => `${(100 * share).toFixed(1)} %`;
  return (
    <>
      <div class="side-by-side">
        <TextField
          label="Sample of the first language"
          rows={6}
          value={first}
          onChange={setFirst}
        />
        <TextField
          label="Sample of the second language"
          rows={6}
          value={second}
          onChange={setSecond}
        />
      </div>
      <RangeField
        label="share of the first one, %"
        value={percent}
        min={5}
        max={95}
        step={5}
        onChange={setPercent}
      />
      <RangeField
        label="merges learned"
        value={merges}
        min={10}
        max={200}
        step={10}
        onChange={setMerges}
      />
      <CallState call={call} />
      {output && (
        <>
          <DataTable
            caption="Shares of the tokenizer's training text, in bytes"
            head={["shares", "first language", "second language"]}
            rows={[
              ["as mixed", written(output.mixed), written(1 - output.mixed)],
              ["inferred from the merges", written(output.inferred), written(1 - output.inferred)],
            ]}
          />
          <p class="note">
            The tokens of its first merges, which are all that is known of it besides the samples:{" "}
            <code>{output.merges.slice(0, shown).map(visible).join(" | ")}</code>
          </p>
        </>
      )}
      <p class="note">
        A tokenizer is learned from copies of both samples in these shares. Each of its merges was
        the commonest pair at its moment, which bounds the shares; a linear program finds those that
        break the fewest bounds. Real samples are not the training text itself, and shares are then
        less exact: the command measures how much.
      </p>
    </>
  );
}
