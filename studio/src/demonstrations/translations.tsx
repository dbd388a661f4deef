/** Tokens of a language as averages of another's, learned from parallel lines. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { visible } from "../lens/token-colours.ts";
import { CallState, DataTable, TextField } from "./parts.tsx";
import { english, german } from "./samples.ts";
import { useLiveTool } from "./use-tool.ts";

export function TranslationsDemonstration(): JSX.Element {
  const [source, setSource] = useState(english);
  const [target, setTarget] = useState(german);
  const { output, running, message } = useLiveTool("translateTokens", {
    source,
    target,
    vocabSize: 330,
  });
  const mapped = output?.filter((token) => token.mapped) ?? [];
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
      <CallState running={running} message={message} />
      {output && (
        <DataTable
          caption={`${mapped.length} tokens of a tokenizer that was learned from the translations, and what each is made of`}
          head={["token", "average of jeton-nano's tokens"]}
          rows={mapped
            .slice(0, 24)
            .map(({ token, sources }) => [
              <code>{visible(token)}</code>,
              sources
                .map(({ token: from, weight }) => `${visible(from)} ${Math.round(100 * weight)} %`)
                .join(", "),
            ])}
        />
      )}
    </>
  );
}
