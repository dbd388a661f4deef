/** Search in one's own lines by token vectors, with the tokens that matched. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { SearchLinesOutput, SearchRanking } from "../worker/tool-types.ts";
import { CallState, DataTable, RangeField, TextField } from "./parts.tsx";
import { facts } from "./samples.ts";
import { useLiveTool } from "./use-tool.ts";

export function SearchDemonstration(): JSX.Element {
  const [query, setQuery] = useState("who looks after the ships");
  const [text, setText] = useState(facts);
  const [candidates, setCandidates] = useState(24);
  const input = { query, text, candidates };
  const call = useLiveTool("searchLines", input);
  const { output } = call;
  return (
    <>
      <TextField label="Query" rows={1} value={query} onChange={setQuery} />
      <TextField label="Records, one a line" rows={8} value={text} onChange={setText} />
      <RangeField
        label="tokens retrieved by each token of the query"
        value={candidates}
        min={1}
        max={100}
        onChange={setCandidates}
      />
      <CallState call={call} />
      {output && <Rankings output={output} />}
      <p class="note">
        The vectors are states of jeton-embed (5 MB), which was trained for whole texts and not, as
        XTR is, for tokens. A token of the query that retrieved nothing of a record adds a bound to
        its score: the last score that it did retrieve.
      </p>
    </>
  );
}

type SearchHit = SearchRanking["hits"][number];

function Rankings({ output }: { readonly output: SearchLinesOutput }): JSX.Element {
  const { queryTokens, rankings } = output;
  const best = rankings[0]?.hits[0];
  return (
    <>
      <div class="rankings">
        {rankings.map(({ ranker, hits }) => (
          <div key={ranker}>
            <h3>{ranker}</h3>
            {hits.length === 0 && <p class="note">finds nothing</p>}
            <ol>
              {hits.map((hit) => (
                <li key={hit.text}>
                  <MarkedHit hit={hit} /> <span class="note">{hit.score.toFixed(3)}</span>
                </li>
              ))}
            </ol>
          </div>
        ))}
      </div>
      {best && (
        <DataTable
          caption={`What each token of the query found in “${best.text}”`}
          head={["token of the query", "best token", "score"]}
          rows={best.matches.map(({ queryToken, span, score, imputed }) => [
            <code>{queryTokens[queryToken]}</code>,
            imputed || !span ? (
              "none retrieved: the bound"
            ) : (
              <code>{best.text.slice(...span)}</code>
            ),
            score.toFixed(3),
          ])}
        />
      )}
    </>
  );
}

/** A record with the parts marked that a token of the query retrieved. */
function MarkedHit({ hit: { text, matches } }: { readonly hit: SearchHit }): JSX.Element {
  const spans = matches.flatMap(({ span }) => (span ? [span] : [])).sort(([a], [b]) => a - b);
  const parts: (JSX.Element | string)[] = [];
  let end = 0;
  for (const [from, to] of spans) {
    if (from < end) continue;
    parts.push(text.slice(end, from), <mark key={from}>{text.slice(from, to)}</mark>);
    end = to;
  }
  return (
    <>
      {parts}
      {text.slice(end)}
    </>
  );
}
