/** Long documents of which only the first words are left, and whether questions still find them. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { CutDocuments } from "../worker/tool-types.ts";
import { CallState, DataTable, TextField } from "./parts.tsx";
import { minutes, minutesQuestions } from "./samples.ts";
import { useLiveTool } from "./use-tool.ts";

export function LongDocumentsDemonstration(): JSX.Element {
  const [documents, setDocuments] = useState(minutes);
  const [questions, setQuestions] = useState(minutesQuestions);
  const call = useLiveTool("cutDocuments", { documents, questions });
  const { output } = call;
  return (
    <>
      <TextField
        label="Documents, apart by lines of ---"
        rows={9}
        value={documents}
        onChange={setDocuments}
      />
      <TextField
        label="Questions, each behind the number of the document that answers it"
        rows={4}
        value={questions}
        onChange={setQuestions}
      />
      <CallState call={call} />
      {output && <Cuts rows={output} />}
      <p class="note">
        This is LoCo's question: what is lost when a model reads only the beginning of a document?
        One vector of jeton-embed stands for a document here, and it reads 256 tokens at most. No
        M2-BERT comes with the package; the command below trains small ones and measures them beside
        BM25.
      </p>
    </>
  );
}

function Cuts({ rows }: { readonly rows: readonly CutDocuments[] }): JSX.Element {
  const rankers = rows[0]?.rankings.map(({ ranker }) => ranker) ?? [];
  return (
    <DataTable
      caption="nDCG@10, and the place of each question's document"
      head={["words read", "of the text", ...rankers.flatMap((name) => [name, "places"])]}
      rows={rows.map(({ words, share, rankings }) => [
        words ?? "all",
        `${Math.round(100 * share)} %`,
        ...rankings.flatMap(({ ndcg, places }) => [
          ndcg.toFixed(3),
          places.map((place) => place ?? "–").join(", "),
        ]),
      ])}
    />
  );
}
