/** One text under vocabularies that are learned from a corpus in the page. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { CallState, DataTable, Pieces, RangeField, TextField } from "./parts.tsx";
import { story } from "./samples.ts";
import { useLiveTool } from "./use-tool.ts";

export function TokenizersDemonstration(): JSX.Element {
  const [corpus, setCorpus] = useState(story);
  const [text, setText] = useState("The keeper of the lighthouse counted the ships again.");
  const [vocabSize, setVocabSize] = useState(400);
  const call = useLiveTool("compareTokenizers", {
    corpus,
    vocabSize,
    text,
  });
  const { output } = call;
  return (
    <>
      <TextField
        label="Corpus that the vocabularies are learned from"
        rows={5}
        value={corpus}
        onChange={setCorpus}
      />
      <TextField label="Text to cut into tokens" rows={2} value={text} onChange={setText} />
      <RangeField
        label="types at most"
        value={vocabSize}
        min={280}
        max={800}
        step={10}
        onChange={setVocabSize}
      />
      <CallState call={call} />
      {output && (
        <>
          {output.map(({ name, pieces }) => (
            <div key={name} class="row-of">
              <h3>{name}</h3>
              <Pieces pieces={pieces} label={`Tokens of ${name}`} />
            </div>
          ))}
          <DataTable
            caption="Tokens of the text"
            head={["vocabulary", "types", "tokens", "characters a token"]}
            rows={output.map(({ name, types, pieces }) => [
              name,
              types,
              pieces.length,
              (text.length / Math.max(1, pieces.length)).toFixed(2),
            ])}
          />
        </>
      )}
    </>
  );
}
