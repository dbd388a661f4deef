/** Tokens of a language as averages of another's, learned from parallel lines. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { visible } from "../lens/token-colours.ts";
import { CallState, DataTable, TextField } from "./parts.tsx";
import { english, german } from "./samples.ts";
import { useLiveTool } from "./use-tool.ts";

/** Rows of the table. */
const shown = 24;

export function TranslationsDemonstration(): JSX.Element {
  const [source, setSource] = useState(english);
  const [target, setTarget] = useState(german);
  const call = useLiveTool("translateTokens", {
    source,
    target,
    vocabSize: 330,
  });
  const { output } = call;
  // Whole words say the most.
  const mapped = (output ?? [])
    .filter((token) => token.mapped)
    .sort((a, b) => b.token.length - a.token.length);
  const rows = mapped
    .slice(0, shown)
    .map(({ token, sources }) => [
      <code>{visible(token)}</code>,
      sources
        .map(({ token: from, weight }) => `${visible(from)} ${Math.round(100 * weight)} %`)
        .join(", "),
    ]);
  const half = Math.ceil(rows.length / 2);
  const head = ["token", "average of jeton-nano's tokens"];
  return (
    <>
      <div class="side-by-side">
        <TextField
          label="Sentences of the model's language"
          rows={8}
          value={source}
          onChange={setSource}
        />
        <TextField
          label="Their translations, line by line"
          rows={8}
          value={target}
          onChange={setTarget}
        />
      </div>
      <CallState call={call} />
      {output && (
        <>
          <p class="note">
            What the longest {rows.length} of {mapped.length} tokens are made of, of a tokenizer
            that was learned from the translations:
          </p>
          <div class="side-by-side">
            <DataTable caption="The longest tokens" head={head} rows={rows.slice(0, half)} />
            {rows.length > half && (
              <DataTable caption="The next ones" head={head} rows={rows.slice(half)} />
            )}
          </div>
        </>
      )}
    </>
  );
}
