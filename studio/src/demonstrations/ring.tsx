/** Attention in a ring of ranks beside attention in one place, with the messages that it took. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { CallState, DataTable, RangeField } from "./parts.tsx";
import { useLiveTool } from "./use-tool.ts";

export function RingDemonstration(): JSX.Element {
  const [ranks, setRanks] = useState(4);
  const [blocks, setBlocks] = useState(8);
  const [causal, setCausal] = useState(true);
  // Causal attention cuts the sequence into two chunks for each rank.
  const tokens = 2 * ranks * blocks;
  const input = { ranks, tokens, causal };
  const call = useLiveTool("attendInRing", input, 60);
  const { output } = call;
  return (
    <>
      <RangeField label="ranks" value={ranks} min={1} max={8} onChange={setRanks} />
      <RangeField label="tokens a chunk" value={blocks} min={1} max={32} onChange={setBlocks} />
      <label class="field check">
        <input
          type="checkbox"
          checked={causal}
          onChange={({ currentTarget }) => setCausal(currentTarget.checked)}
        />
        <span>causal</span>
      </label>
      <CallState call={call} />
      {output && (
        <>
          <p>
            {tokens} tokens on {ranks} ranks took {output.messages.length} messages. The largest
            difference from attention in one place is <b>{output.difference.toExponential(1)}</b>.
          </p>
          <DataTable
            caption="Bytes by link and direction"
            head={["from", "to", "queries", "results"]}
            rows={linksOf(output.traffic)}
          />
        </>
      )}
    </>
  );
}

type Traffic = readonly {
  readonly from: number;
  readonly to: number;
  readonly kind: string;
  readonly bytes: number;
}[];

function linksOf(traffic: Traffic): number[][] {
  const links = new Map<string, number[]>();
  for (const { from, to, kind, bytes } of traffic) {
    const key = `${from} ${to}`;
    const row = links.get(key) ?? [from, to, 0, 0];
    row[kind === "query" ? 2 : 3]! += bytes;
    links.set(key, row);
  }
  return [...links.values()].sort((a, b) => a[0]! - b[0]! || a[1]! - b[1]!);
}
