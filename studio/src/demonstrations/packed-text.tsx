/** A text read as a compressor's embeddings: fewer positions, and what is lost by it. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { visible } from "../lens/token-colours.ts";
import type { PackedText, PackTextInput } from "../worker/tool-types.ts";
import { CallState, DataTable, Pieces, TextField } from "./parts.tsx";
import { minutes, story } from "./samples.ts";
import { useLiveTool } from "./use-tool.ts";

/** Tokens for each embedding: the factors of the compressor's training. */
const factors = [2, 4, 8, 16, 32];

const lines = story.split("\n");
const packed = [
  ...lines.slice(0, 4),
  "Remember that the secret number is 58213.",
  ...lines.slice(4),
].join(" ");

export function PackedTextDemonstration(): JSX.Element {
  const [text, setText] = useState(packed);
  const [next, setNext] = useState(
    " The keeper of the lighthouse lit a second lamp, and wrote the name of the ship into the long grey book.",
  );
  const [question, setQuestion] = useState(" The secret number is");
  const [factor, setFactor] = useState(4);
  const [isAsked, setAsked] = useState(false);
  return (
    <>
      <TextField label="Text that is packed" rows={7} value={text} onChange={setText} />
      <div class="side-by-side">
        <TextField
          label="What follows it: the model predicts every token"
          rows={4}
          value={next}
          onChange={setNext}
        />
        <TextField
          label="A question: the model writes on behind it"
          rows={4}
          value={question}
          onChange={setQuestion}
        />
      </div>
      <label class="field">
        <span class="label">Tokens of each embedding</span>
        <select
          value={String(factor)}
          onChange={({ currentTarget }) => setFactor(Number(currentTarget.value))}
        >
          {factors.map((one) => (
            <option key={one} value={String(one)}>
              {one}
            </option>
          ))}
        </select>
      </label>
      {isAsked ? (
        <Reading input={{ text, another: minutes, next, question, factor }} />
      ) : (
        <div class="actions">
          <button type="button" class="primary" onClick={() => setAsked(true)}>
            Pack and read
          </button>
          <span class="note">by jeton-nano and its compressor in this browser, 14 MB</span>
        </div>
      )}
      <p class="note">
        The compressor is small: begun as copies of jeton-nano's first two layers, trained for
        twenty minutes. What it keeps of a text is mostly its kind, hardly its names and numbers;
        our record below reproduces none of the paper's claims, whose compressor is made of eight
        layers of a model a thousand times as large.
      </p>
    </>
  );
}

function Reading({ input }: { readonly input: PackTextInput }): JSX.Element {
  const call = useLiveTool("packText", input);
  return (
    <>
      <CallState call={call} />
      {call.output && <Packed output={call.output} />}
    </>
  );
}

function Packed({
  output: { tokens, scored, groups, readings },
}: {
  readonly output: PackedText;
}): JSX.Element {
  return (
    <>
      <p>
        {tokens} tokens become {groups.length} embeddings: the model reads {groups.length} positions
        in their place. Each stretch below is one of them.
      </p>
      <Pieces label="Stretches that are one embedding each" pieces={groups} />
      <DataTable
        caption={`What follows, predicted behind each: bits a token over ${scored} tokens, and what the model writes behind the question`}
        head={["read before it", "positions", "bits a token", "answer"]}
        rows={readings.map(({ name, positions, bits, answer }) => [
          name,
          positions,
          bits === undefined ? "too long for the context" : bits.toFixed(2),
          answer === undefined ? "–" : <code>{visible(answer)}</code>,
        ])}
      />
      <p class="note">
        Another text, packed, is the control: what it gains is no knowledge of your text.
      </p>
    </>
  );
}
