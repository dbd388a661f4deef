/** Landmark attention: a pass key in a text that is longer than what a model was trained on, and the blocks it opens. */
import type { LensToken, ModelEvent } from "jeton/lens";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { modelName } from "../engine/engine.ts";
import { CacheView, type KeptLayer, keptPlaces } from "../lens/kept-tokens.tsx";
import { CopyBlock } from "../parts/copy-block.tsx";
import { type Continuation, continuePrompt } from "./continue-prompt.ts";
import { EngineActions } from "./engine-actions.tsx";
import { DataTable, RangeField, TextField } from "./parts.tsx";
import { passKeyText } from "./pass-key-text.ts";
import { useEngine } from "./use-engine.ts";

/** Tokens of an answer: five digits and what ends the sentence. */
const maxTokens = 8;

interface Answer extends Continuation {
  /** Blocks that each token and head retrieves. */
  readonly blocks: number;
}

interface Found {
  readonly model: ModelEvent;
  readonly answers: readonly Answer[];
}

export function LandmarksDemonstration(): JSX.Element {
  const [text, setText] = useState(passKeyText);
  const [question, setQuestion] = useState("What is the pass key? The pass key is");
  const [blocks, setBlocks] = useState(2);
  const [found, setFound] = useState<Found>();
  const [without, setWithout] = useState<string>();
  const task = useEngine();
  const start = (): void => {
    setFound(undefined);
    task.start(
      async (engine, signal) => {
        const prompt = `${text.trimEnd()} ${question.trim()}`;
        const answers: Answer[] = [];
        for (const of of [blocks, 0]) {
          const asked = { prompt, policy: `landmark:blocks=${of}`, maxTokens };
          answers.push({ blocks: of, ...(await continuePrompt(engine, asked, signal)) });
          setFound({ model: engine.model, answers: [...answers] });
        }
      },
      (server) => {
        if (server?.model.landmark) return undefined;
        setWithout(server ? modelName(server.model) : "jeton-nano");
        return "landmark";
      },
    );
  };
  return (
    <>
      <TextField label="Text" rows={9} value={text} onChange={setText} />
      <TextField label="Question" rows={1} value={question} onChange={setQuestion} />
      <RangeField
        label="blocks that a token retrieves"
        value={blocks}
        min={1}
        max={6}
        onChange={setBlocks}
      />
      <EngineActions task={task} label="Read and answer" onStart={start} />
      {found && <Answers found={found} />}
      {without !== undefined && (
        <>
          <p class="note">
            {without} was trained without landmarks, so jeton-landmark answers: two layers of 0.46
            million parameters, trained for minutes on windows of 180 tokens of Gibbon's history,
            half of them with a pass key told several times. Heads that copy what followed an
            earlier occurrence were planted in it. It knows sentences like the one in the text and
            little else. Your own model with landmarks is shown by:
          </p>
          <CopyBlock
            label="Command"
            text="npx jeton studio --model path/to/checkpoint-with-landmarks"
          />
        </>
      )}
    </>
  );
}

function Answers({ found: { model, answers } }: { readonly found: Found }): JSX.Element {
  // The last layer answers; in the first one all landmarks are alike.
  const [layer, setLayer] = useState<KeptLayer>(model.layers - 1);
  const { block, trainLength } = model.landmark!;
  const [{ prompt, end }] = answers as readonly [Answer];
  const rows = prompt.length + Math.floor(prompt.length / block);
  const shown = useRef<HTMLPreElement>(null);
  useEffect(() => {
    const box = shown.current!;
    const first = box.querySelector<HTMLElement>(".kept");
    if (first)
      box.scrollTop += first.getBoundingClientRect().top - box.getBoundingClientRect().top - 20;
  }, [prompt]);
  return (
    <>
      <DataTable
        caption="What the model answers"
        head={["each token and head", "answer"]}
        rows={answers.map((own) => [
          own.blocks === 0
            ? "retrieves nothing"
            : `retrieves ${own.blocks} ${own.blocks === 1 ? "block" : "blocks"}`,
          <code>{own.text}</code>,
        ])}
      />
      <p class="note">
        The text takes {rows} rows with its landmarks, one behind every {block} tokens; the model
        was trained on {trainLength}. Marked are the blocks that the answer's first token opens: the
        last layer finds the key, while to the first one all landmarks are alike.
      </p>
      <pre
        ref={shown}
        class="haystack"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls
        tabIndex={0}
        role="region"
        aria-label="Prompt with its opened blocks"
      >
        <Blocks
          tokens={prompt}
          places={end.context && keptPlaces(end.context, layer)}
          size={block}
        />
      </pre>
      {end.context && (
        <CacheView
          context={end.context}
          promptTokens={end.promptTokens}
          layer={layer}
          onChoose={setLayer}
        />
      )}
    </>
  );
}

/** A prompt in blocks, the opened ones marked. */
function Blocks({
  tokens,
  places,
  size,
}: {
  readonly tokens: readonly LensToken[];
  readonly places: readonly number[] | undefined;
  readonly size: number;
}): JSX.Element {
  const open = new Set(places?.map((place) => Math.floor(place / size)));
  const count = Math.ceil(tokens.length / size);
  return (
    <>
      {Array.from({ length: count }, (_, at) => {
        const text = tokens
          .slice(at * size, (at + 1) * size)
          .map((token) => token.text)
          .join("");
        const Tag = open.has(at) ? "mark" : "span";
        return (
          <Tag key={at} class={open.has(at) ? "block kept" : "block left-out"} data-block={at}>
            {text}
          </Tag>
        );
      })}
    </>
  );
}
