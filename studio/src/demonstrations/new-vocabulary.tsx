/** Rows of tokens that the model has never seen, predicted by hypernetworks, and what the model makes of a text in them. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { visible } from "../lens/token-colours.ts";
import type { TransferredVocabulary, TransferVocabularyInput } from "../worker/tool-types.ts";
import { CallState, DataTable, RangeField, TextField } from "./parts.tsx";
import { minutes, story } from "./samples.ts";
import { useLiveTool } from "./use-tool.ts";

const kinds = [
  ["byte-level-bpe", "byte-level BPE"],
  ["unigram", "Unigram"],
] as const;

export function NewVocabularyDemonstration(): JSX.Element {
  const [corpus, setCorpus] = useState(`${minutes.replaceAll("\n---\n", "\n")}\n${story}`);
  const [text, setText] = useState(
    "The harbour master thanked the keeper of the lighthouse, who had counted the ships every evening of the winter, and the council granted her oil for a second lamp.",
  );
  const [kind, setKind] = useState<TransferVocabularyInput["kind"]>("byte-level-bpe");
  const [vocabSize, setVocabSize] = useState(600);
  const [isAsked, setAsked] = useState(false);
  return (
    <>
      <div class="side-by-side">
        <TextField
          label="What the new tokenizer is learned from: its words become tokens"
          rows={7}
          value={corpus}
          onChange={setCorpus}
        />
        <TextField
          label="What the model reads in its tokens"
          rows={7}
          value={text}
          onChange={setText}
        />
      </div>
      <label class="field">
        <span class="label">Kind of the tokenizer</span>
        <select
          value={kind}
          onChange={({ currentTarget }) =>
            setKind(currentTarget.value as TransferVocabularyInput["kind"])
          }
        >
          {kinds.map(([name, label]) => (
            <option key={name} value={name}>
              {label}
            </option>
          ))}
        </select>
      </label>
      <RangeField
        label="types of its vocabulary"
        value={vocabSize}
        min={300}
        max={1200}
        step={50}
        onChange={setVocabSize}
      />
      {isAsked ? (
        <Transfer input={{ corpus, kind, vocabSize, text }} />
      ) : (
        <div class="actions">
          <button type="button" class="primary" onClick={() => setAsked(true)}>
            Learn it and read
          </button>
          <span class="note">by jeton-nano and two hypernetworks in this browser, 13 MB</span>
        </div>
      )}
      <p class="note">
        Compare the lines of the new tokenizer with each other: it was learned from words that you
        gave it, so it may even need fewer bits than the model's own. Both hypernetworks are small
        and were trained for ten minutes each, the paper's for days. The fair rival is means of rows
        that were trained on the same text, which are too large for this page: they beat both of
        these for byte-level BPE, and only a Unigram is read better with the predicted rows. In our
        record below, of larger ones, the published form loses to them for three of four tokenizers.
      </p>
    </>
  );
}

function Transfer({ input }: { readonly input: TransferVocabularyInput }): JSX.Element {
  const call = useLiveTool("transferVocabulary", input);
  return (
    <>
      <CallState call={call} />
      {call.output && <Transferred output={call.output} />}
    </>
  );
}

function Transferred({
  output: { types, shared, newTokens, readings },
}: {
  readonly output: TransferredVocabulary;
}): JSX.Element {
  const methods = Object.keys(newTokens[0]?.nearest ?? {}).slice(0, 3);
  const list = (tokens: readonly string[]): JSX.Element => (
    <code>{tokens.map(visible).join(" ")}</code>
  );
  return (
    <>
      <DataTable
        caption={`The text in the model's own tokens and in those of the new tokenizer, of whose ${types} types the model has ${shared}, with no training of the model`}
        head={["rows of the tokens", "tokens", "bits a byte"]}
        rows={readings.map(({ name, tokens, bitsPerByte }) => [
          name,
          tokens,
          bitsPerByte.toFixed(2),
        ])}
      />
      {newTokens.length > 0 && (
        <DataTable
          caption="New tokens of the text, and the model's tokens whose embeddings lie nearest to theirs"
          head={["new token", "the model spells it", ...methods]}
          rows={newTokens.map(({ token, spelling, nearest }) => [
            <code>{visible(token)}</code>,
            list(spelling),
            ...methods.map((name) => list(nearest[name]!)),
          ])}
        />
      )}
    </>
  );
}
