/** Drafters on the same prompt, one after the other: what each drafted, what was accepted, how fast. */
import type { DrafterChoice } from "jeton/generate";
import type { EndEvent, LensToken } from "jeton/lens";
import type { ComponentType, JSX } from "preact";
import { useState } from "preact/hooks";
import type { Engine } from "../engine/engine.ts";
import { describeToken, tokenClass } from "../lens/token-colours.ts";
import { TokenContent } from "../lens/token-content.tsx";
import { EngineActions } from "./engine-actions.tsx";
import { DataTable, RangeField, TextField } from "./parts.tsx";
import { story } from "./samples.ts";
import { useEngine } from "./use-engine.ts";

interface Lap {
  readonly drafter: DrafterChoice;
  readonly tokens: readonly LensToken[];
  readonly end?: EndEvent;
}

const runners: readonly DrafterChoice[] = [
  "none",
  "token-recycling",
  "lookahead",
  "dyspec",
  "aded",
  "prompt-lookup",
];

/** A race with this drafter on the first lane after autoregressive decoding. */
export function raceOf(drafter: DrafterChoice): ComponentType {
  const order = ["none", drafter, ...runners.filter((name) => name !== "none" && name !== drafter)];
  return () => <RaceDemonstration runners={order as readonly DrafterChoice[]} />;
}

function RaceDemonstration({
  runners: names,
}: {
  readonly runners: readonly DrafterChoice[];
}): JSX.Element {
  const [prompt, setPrompt] = useState(
    `${story.split("\n").slice(0, 3).join("\n")}\nThe keeper of`,
  );
  const [maxTokens, setMaxTokens] = useState(48);
  const [laps, setLaps] = useState<readonly Lap[]>([]);
  const task = useEngine();
  const start = (): void => {
    setLaps([]);
    task.start(async (engine, signal) => {
      for (const drafter of names) {
        if (!engine.model.drafters.includes(drafter)) continue;
        await runLap(engine, { prompt, maxTokens, drafter }, signal, (lap) =>
          setLaps((before) => [...before.filter((one) => one.drafter !== drafter), lap]),
        );
      }
    });
  };
  return (
    <>
      <TextField label="Prompt" rows={5} value={prompt} onChange={setPrompt} />
      <RangeField
        label="tokens"
        value={maxTokens}
        min={8}
        max={160}
        step={8}
        onChange={setMaxTokens}
      />
      <EngineActions task={task} label="Race" onStart={start} />
      {laps.map((lap) => (
        <div key={lap.drafter} class="row-of">
          <h3>{nameOf(lap.drafter)}</h3>
          <LapText lap={lap} />
        </div>
      ))}
      {laps.length > 0 && <LapTable laps={laps} />}
      <p class="note">
        Greedy decoding: every lane must write the same text. A tint marks accepted draft tokens:
        its colour is the drafter, and it grows with the token's depth in the draft, up to the
        sixth. The number behind the last token that was accepted from a draft is its depth.
        Drafters remember earlier races.
      </p>
    </>
  );
}

const nameOf = (drafter: DrafterChoice): string =>
  drafter === "none" ? "autoregressive" : drafter;

/** Runs one lane; it is shown once for each frame of the screen, and at its end. */
async function runLap(
  engine: Engine,
  request: { prompt: string; maxTokens: number; drafter: DrafterChoice },
  signal: AbortSignal,
  show: (lap: Lap) => void,
): Promise<void> {
  const tokens: LensToken[] = [];
  let end: EndEvent | undefined;
  const { drafter } = request;
  let frame = 0;
  const later = (): void => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      show({ drafter, tokens: [...tokens] });
    });
  };
  const asked = { kind: "generate", ...request, sampling: { greedy: true } } as const;
  try {
    for await (const event of engine.ask<"generate">(asked, signal)) {
      if (event.kind === "token") {
        tokens.push(event.token);
        later();
      } else if (event.kind === "end") end = event;
    }
  } finally {
    cancelAnimationFrame(frame);
  }
  show({ drafter, tokens, ...(end && { end }) });
}

function LapText({ lap: { tokens, drafter } }: { readonly lap: Lap }): JSX.Element {
  return (
    <p class="pieces" data-drafter={drafter}>
      {tokens.map((token, at) => (
        <span key={at} class={`token ${tokenClass(token, "origin")}`} title={describeToken(token)}>
          <TokenContent token={token} next={tokens[at + 1]} />
        </span>
      ))}
    </p>
  );
}

function LapTable({ laps }: { readonly laps: readonly Lap[] }): JSX.Element {
  const textOf = ({ tokens }: Lap): string => tokens.map(({ text }) => text).join("");
  const first = textOf(laps[0]!);
  return (
    <DataTable
      caption="Lanes"
      head={["drafter", "tokens a forward pass", "accepted of drafted", "tokens a second", "text"]}
      rows={laps.map((lap) => {
        const { end, drafter } = lap;
        const drafting = end?.drafting;
        return [
          nameOf(drafter),
          drafting ? drafting.meanAcceptanceLength.toFixed(2) : end ? "1" : "",
          drafting ? `${drafting.accepted} of ${drafting.drafted}` : "",
          end && end.decodeSeconds > 0 ? (end.tokens / end.decodeSeconds).toFixed(0) : "",
          end ? (textOf(lap) === first ? "the same" : "another") : "",
        ];
      })}
    />
  );
}
