/** A text as words and bytes, as models over words read it. */
import type { ComponentType, JSX } from "preact";
import { useState } from "preact/hooks";
import { CallState, Pieces, TextField } from "./parts.tsx";
import { useLiveTool } from "./use-tool.ts";

const rules = {
  unicode: "word boundaries of Unicode",
  whitespace: "white space",
  "four-bytes": "every four bytes",
} as const;

type Rule = keyof typeof rules;

/** The rule that each system's README names first. */
const presets = {
  "word-pooled": "whitespace",
  "hierarchical-transformer": "unicode",
  byte2word: "unicode",
} as const satisfies Record<string, Rule>;

export function wordsOf(system: keyof typeof presets): ComponentType {
  return () => <WordsDemonstration preset={presets[system]} />;
}

function WordsDemonstration({ preset }: { readonly preset: Rule }): JSX.Element {
  const [text, setText] = useState("A lighthouse-keeper’s log: 12 ships, 3 storms, ein Öltanker.");
  const [rule, setRule] = useState<Rule>(preset);
  const call = useLiveTool("splitWords", { text, rule }, 60);
  const { output } = call;
  return (
    <>
      <TextField label="Text" rows={2} value={text} onChange={setText} />
      <label class="field">
        <span class="label">Words end at</span>
        <select value={rule} onChange={({ currentTarget }) => setRule(currentTarget.value as Rule)}>
          {Object.entries(rules).map(([name, label]) => (
            <option key={name} value={name}>
              {label}
            </option>
          ))}
        </select>
      </label>
      <CallState call={call} />
      {output && (
        <>
          <Pieces pieces={output.words.map(({ text: word }) => word)} label="Words" />
          <p>
            {output.bytes} bytes in {output.words.length} words: the model over words takes{" "}
            {output.words.length} steps, where jeton-nano's tokenizer takes {output.tokens}.
          </p>
        </>
      )}
      <p class="note">
        This is how it cuts a text, without a vocabulary. Writing needs a trained checkpoint, and
        none comes with the package; the command below trains small ones and measures them.
      </p>
    </>
  );
}
