/** Which experts each token of a text is sent to, in a model that has experts. */
import type { RoutingEvent } from "jeton/lens";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { askOne, modelName } from "../engine/engine.ts";
import { percent, visible } from "../lens/token-colours.ts";
import { CopyBlock } from "../parts/copy-block.tsx";
import { EngineActions } from "./engine-actions.tsx";
import { DataTable, RangeField, TextField } from "./parts.tsx";
import { story } from "./samples.ts";
import { useEngine } from "./use-engine.ts";

export function RoutingDemonstration(): JSX.Element {
  const [text, setText] = useState(story.split("\n").slice(0, 3).join("\n"));
  const [event, setEvent] = useState<RoutingEvent>();
  const [dense, setDense] = useState<string>();
  const task = useEngine();
  const start = (): void =>
    task.start(
      async (engine, signal) => setEvent(await askOne(engine, { kind: "routing", text }, signal)),
      (server) => {
        if (server?.model.experts) return undefined;
        setDense(server ? modelName(server.model) : "jeton-nano");
        return "experts";
      },
    );
  return (
    <>
      <TextField label="Text" rows={4} value={text} onChange={setText} />
      <EngineActions task={task} label="Show the routing" onStart={start} />
      {event && event.layers.length > 0 && <Routing event={event} />}
      {dense !== undefined && (
        <>
          <p class="note">
            {dense} has no experts, so jeton-experts answers: a model of 0.8 million parameters,
            trained for minutes on one book, with eight experts in every second layer. Your own
            sparse checkpoint (Mixtral, OLMoE, Qwen2-MoE, Qwen3-MoE) is shown by:
          </p>
          <CopyBlock label="Command" text="npx jeton studio --model path/to/sparse-checkpoint" />
        </>
      )}
    </>
  );
}

function Routing({ event }: { readonly event: RoutingEvent }): JSX.Element {
  const { experts, tokens, layers } = event;
  const [at, setAt] = useState(Math.min(2, layers.length - 1));
  const { layer, choices, weights } = layers[Math.min(at, layers.length - 1)]!;
  const counts = new Array<number>(experts).fill(0);
  for (const own of choices) for (const expert of own) counts[expert]!++;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const order = [...counts.keys()].sort((a, b) => counts[b]! - counts[a]!);
  return (
    <>
      {layers.length > 1 && (
        <RangeField
          label="layer with experts"
          value={at}
          min={0}
          max={layers.length - 1}
          onChange={setAt}
        />
      )}
      <p class="pieces routed" data-layer={layer}>
        {tokens.map(({ text }, place) => {
          const best = choices[place]![0]!;
          const own = choices[place]!.map(
            (expert, rank) => `${expert} (${percent(weights[place]![rank]!)})`,
          );
          return (
            <span key={place} class={`piece piece-${best % 4}`} title={`experts ${own.join(", ")}`}>
              {text.replace(/\n+$/, "")}
              <sub>{best}</sub>
              {/\n+$/.exec(text)?.[0]}
            </span>
          );
        })}
      </p>
      <p class="note">
        Layer {layer}: the number below a token is its first expert; pointing at it names all.
      </p>
      <DataTable
        caption={`Experts of layer ${layer} by their share of the choices; ${percent(1 / experts)} each would be uniform`}
        head={["expert", "share", "its tokens"]}
        rows={order
          .slice(0, 16)
          .map((expert) => [
            expert,
            percent(counts[expert]! / total),
            <code>{tokensOf(event, choices, expert)}</code>,
          ])}
      />
    </>
  );
}

/** The first different tokens that an expert is the first choice of. */
function tokensOf(
  { tokens }: RoutingEvent,
  choices: readonly (readonly number[])[],
  expert: number,
): string {
  const own = tokens.filter((_, place) => choices[place]![0] === expert);
  return [...new Set(own.map(({ text }) => visible(text)))].slice(0, 10).join(" ");
}
