/** Chunkers scored by the stretch of a text that answers a question. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { CallState, DataTable, RangeField, TextField } from "./parts.tsx";
import { story } from "./samples.ts";
import { useLiveTool } from "./use-tool.ts";

export function ChunksDemonstration(): JSX.Element {
  const [text, setText] = useState(story.replaceAll("\n", " "));
  const [question, setQuestion] = useState("What did the keeper do when a ship came back?");
  const [answer, setAnswer] = useState(
    "When a ship came back, the keeper of the lighthouse lit a second lamp.",
  );
  const [k, setK] = useState(1);
  const input = { text, question, answer, k };
  const call = useLiveTool("evaluateChunks", input);
  const { output } = call;
  const share = (value: number): string => value.toFixed(3);
  return (
    <>
      <TextField label="Text" rows={6} value={text} onChange={setText} />
      <TextField label="Question" rows={1} value={question} onChange={setQuestion} />
      <TextField
        label="Answer: a stretch of the text, word for word"
        rows={2}
        value={answer}
        onChange={setAnswer}
      />
      <RangeField label="chunks retrieved" value={k} min={1} max={5} onChange={setK} />
      <CallState call={call} />
      {output && (
        <DataTable
          caption="Scores by characters; retrieved by BM25"
          head={["chunker", "chunks", "recall", "precision", "IoU", "Precision-Omega"]}
          rows={output.map((row) => [
            row.chunker,
            row.chunks,
            share(row.recall),
            share(row.precision),
            share(row.iou),
            share(row.precisionOmega),
          ])}
        />
      )}
    </>
  );
}
