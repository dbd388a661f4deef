/** The three tasks that DupMAE's pre-training makes of a text. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { HiddenWords } from "../worker/tool-types.ts";
import { CallState, RangeField, TextField } from "./parts.tsx";
import { useLiveTool } from "./use-tool.ts";

export function HiddenWordsDemonstration(): JSX.Element {
  const [text, setText] = useState(
    "The keeper of the lighthouse counted the ships every evening, and wrote the name of every ship into a long grey book.",
  );
  const [masking, setMasking] = useState(30);
  const [hiding, setHiding] = useState(50);
  const [seed, setSeed] = useState(1);
  const [chosen, setChosen] = useState(4);
  const input = { text, masking: masking / 100, hiding: hiding / 100, seed };
  const call = useLiveTool("hideWords", input, 60);
  const { output } = call;
  const last = Math.max(1, output?.tokens.length ?? 1);
  return (
    <>
      <TextField label="Text" rows={3} value={text} onChange={setText} />
      <RangeField
        label="hidden from the encoder, %"
        value={masking}
        min={5}
        max={80}
        step={5}
        onChange={setMasking}
      />
      <RangeField
        label="hidden from the decoder, %"
        value={hiding}
        min={5}
        max={95}
        step={5}
        onChange={setHiding}
      />
      <RangeField label="seed" value={seed} min={1} max={20} onChange={setSeed} />
      <CallState call={call} />
      {output && output.tokens.length > 0 && (
        <>
          <EncoderTask hidden={output} />
          <RangeField
            label="token to rebuild"
            value={Math.min(chosen, last)}
            min={1}
            max={last}
            onChange={setChosen}
          />
          <DecoderTask hidden={output} token={Math.min(chosen, last) - 1} />
          <h3>The other states tell the words</h3>
          <p>
            {output.bag.length} different ones, in no order: <code>{output.bag.join(" ")}</code>
          </p>
        </>
      )}
      <p class="note">
        Masks as the training draws them for this text and seed, with jeton-embed's tokenizer; at
        most 256 tokens. What an encoder makes of them takes a training, and none trained so comes
        with the package; the command below trains small ones and measures them beside BM25.
      </p>
    </>
  );
}

function EncoderTask({ hidden }: { readonly hidden: HiddenWords }): JSX.Element {
  const { read, masked } = hidden;
  const asked = new Set(masked);
  return (
    <>
      <h3>The encoder tells {masked.length} tokens</h3>
      <p class="pieces" data-task="encoder">
        {read.map((token, at) => (
          <span key={at}>{asked.has(at) ? <mark>{token}</mark> : token} </span>
        ))}
      </p>
      <p class="note">
        Marked: the tokens to tell. Most are masked; one in ten is another token, and one in ten
        stays as it is.
      </p>
    </>
  );
}

function DecoderTask({
  hidden: { tokens, visible },
  token,
}: {
  readonly hidden: HiddenWords;
  readonly token: number;
}): JSX.Element {
  const seen = new Set(visible[token]);
  return (
    <>
      <h3>The decoder rebuilds “{tokens[token]}”</h3>
      <p class="pieces" data-task="decoder">
        {tokens.map((text, at) => (
          <span key={at}>
            {at === token ? <mark>?</mark> : seen.has(at) ? text : <s>{text}</s>}{" "}
          </span>
        ))}
      </p>
      <p class="note">
        From the text's one vector, its place and {seen.size} of {tokens.length} tokens; struck ones
        it does not see. Every token has a view of its own.
      </p>
    </>
  );
}
