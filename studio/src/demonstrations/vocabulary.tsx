/** What two vocabularies are made of, and what they make of a text. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { CallState, DataTable, RangeField, TextField } from "./parts.tsx";
import { story } from "./samples.ts";
import { useLiveTool } from "./use-tool.ts";

export function VocabularyDemonstration(): JSX.Element {
  const [text, setText] = useState(story);
  const [vocabSize, setVocabSize] = useState(400);
  const call = useLiveTool("inspectVocabulary", { text, vocabSize });
  const { output } = call;
  const categories = output
    ? Object.keys(output[0]!.categories).filter((name) =>
        output.some((vocabulary) => vocabulary.categories[name]! > 0),
      )
    : [];
  return (
    <>
      <TextField label="Text" rows={5} value={text} onChange={setText} />
      <RangeField
        label="types learned at most"
        value={vocabSize}
        min={280}
        max={800}
        step={10}
        onChange={setVocabSize}
      />
      <CallState call={call} />
      {output && (
        <DataTable
          caption="Tokens by category, and measures on the text"
          head={["measure", ...output.map(({ name }) => name)]}
          rows={[
            ["types", ...output.map(({ size }) => size)],
            ...categories.map((name) => [
              name,
              ...output.map((vocabulary) => vocabulary.categories[name]!),
            ]),
            ["tokens a word", ...output.map(({ fertility }) => fertility.toFixed(2))],
            ["bytes a token", ...output.map(({ bytesPerToken }) => bytesPerToken.toFixed(2))],
            [
              "words of several tokens",
              ...output.map(({ continuedWords }) => `${Math.round(100 * continuedWords)} %`),
            ],
          ]}
        />
      )}
    </>
  );
}
