/** Rankers of code on one's own snippets, with the words of the query marked. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { CallState, TextField } from "./parts.tsx";
import { snippets as sample } from "./samples.ts";
import { useLiveTool } from "./use-tool.ts";

export function CodeSearchDemonstration(): JSX.Element {
  const [query, setQuery] = useState("parse html");
  const [snippets, setSnippets] = useState(sample);
  const call = useLiveTool("rankCode", { query, snippets }, 60);
  const { output } = call;
  const texts = snippets.split(/^-{3,}\s*$/m).map((text) => text.trim());
  return (
    <>
      <TextField label="Query" rows={1} value={query} onChange={setQuery} />
      <TextField
        label="Snippets, apart by lines of ---"
        rows={9}
        value={snippets}
        onChange={setSnippets}
      />
      <CallState call={call} />
      {output && (
        <div class="rankings">
          {output.map(({ ranker, found, terms }) => (
            <div key={ranker}>
              <h3>{ranker}</h3>
              {found.length === 0 && <p class="note">finds nothing</p>}
              <ol>
                {found.slice(0, 3).map(({ snippet, score }) => (
                  <li key={snippet}>
                    <Marked text={texts[snippet] ?? ""} terms={terms} />{" "}
                    <span class="note">{score.toFixed(2)}</span>
                  </li>
                ))}
              </ol>
            </div>
          ))}
        </div>
      )}
    </>
  );
}

/** A snippet's beginning with the query's terms marked wherever they stand, also inside identifiers. */
function Marked({
  text,
  terms,
}: {
  readonly text: string;
  readonly terms: readonly string[];
}): JSX.Element {
  const short = text.slice(0, 110);
  if (terms.length === 0) return <code>{short}</code>;
  const pattern = new RegExp(
    `(${terms.map((term) => term.replace(/\W/g, "\\$&")).join("|")})`,
    "gi",
  );
  return (
    <code>
      {short.split(pattern).map((part, at) => (at % 2 === 1 ? <mark key={at}>{part}</mark> : part))}
    </code>
  );
}
