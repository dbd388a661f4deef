/** The lens: a text token by token, as a model writes or reads it. */
import type { GenerateRequest } from "jeton/lens";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useLoaded } from "../data.ts";
import { type EngineName, offeredEngines } from "../engine/engines.ts";
import { Faces } from "../parts/faces.tsx";
import { Failure, Waiting } from "../parts/states.tsx";
import { writeRoute } from "../route.ts";
import "../styles/lens.css";
import { LensForm } from "./lens-form.tsx";
import {
  type LensSettings,
  type PaneSettings,
  readSettings,
  samplingOf,
  writeSettings,
} from "./lens-settings.ts";
import { Pane } from "./pane.tsx";
import { StagesTable } from "./stages-table.tsx";
import { TokenPanel } from "./token-panel.tsx";
import { type GenerationControl, useGeneration } from "./use-generation.ts";

export function LensPage({ query }: { readonly query: URLSearchParams }): JSX.Element {
  const engines = useLoaded(offeredEngines, "engines");
  useEffect(() => {
    document.title = "Lens · jeton";
  }, []);
  if (engines.state === "waiting") return <Waiting what="the lens" />;
  if (engines.state === "failed") return <Failure message={engines.message} />;
  return <Lens query={query} engines={engines.value} />;
}

interface Chosen {
  readonly pane: number;
  readonly place: number;
}

function Lens({
  query,
  engines,
}: {
  readonly query: URLSearchParams;
  readonly engines: readonly EngineName[];
}): JSX.Element {
  const [settings, setSettings] = useState(() => readSettings(query));
  const [chosen, setChosen] = useState<Chosen>();
  const controls = [useGeneration(), useGeneration()];
  const panel = useRef<HTMLElement>(null);
  const panes = useRef<HTMLDivElement>(null);
  const engineOf = ({ engine }: PaneSettings): EngineName =>
    engine && engines.includes(engine) ? engine : engines[0]!;
  const start = (next: LensSettings): void => {
    setSettings(next);
    setChosen(undefined);
    history.replaceState(null, "", writeRoute(["lens"], writeSettings(next)));
    for (const [at, pane] of next.panes.entries()) {
      const engine = engineOf(pane);
      const control = controls[at]!;
      void (next.mode === "read"
        ? control.read(engine, next.prompt)
        : control.write(engine, requestOf(next, pane), next.branch));
    }
  };
  // A shared address shows its text at once.
  const isShared = useRef(query.has("prompt"));
  useEffect(() => {
    if (isShared.current) start(settings);
  }, []);
  const changePane = (at: number, pane: PaneSettings): void =>
    setSettings({
      ...settings,
      panes: settings.panes.map((other, index) => (index === at ? pane : other)),
    });
  const shown = chosen && controls[chosen.pane]!.generation;
  const token = chosen && shown?.tokens[chosen.place];
  const busy = controls.some(({ generation: { status } }) => isBusy(status));
  const branch = (id: number): void => {
    const { pane, place } = chosen!;
    const before = shown!.tokens.slice(0, place).map((earlier) => earlier.id);
    start({ ...settings, branch: [...settings.branch, ...before, id] });
    // The button goes with the panel; the keys go on in the new text.
    const lists = panes.current?.querySelectorAll<HTMLElement>("[role=listbox]");
    lists?.[pane]?.focus({ preventScroll: true });
  };
  /** What is there is written again with the second text beside it: the same seed gives the same. */
  const compare = (next: LensSettings): void => {
    const isShown = controls[0]!.generation.status !== "idle";
    if (isShown && next.panes.length > 1) start(next);
    else setSettings(next);
  };
  return (
    <div class="lens">
      <h1>Lens</h1>
      <Faces />
      <LensForm
        settings={settings}
        busy={busy}
        onChange={setSettings}
        onStart={start}
        onCompare={compare}
        onStop={() => {
          for (const control of controls) control.stop();
        }}
      />
      <div class={`written written-${settings.panes.length}`}>
        <div class="panes" ref={panes}>
          {settings.panes.map((pane, at) => (
            <Pane
              key={at}
              name={String(at + 1)}
              settings={pane}
              engine={engineOf(pane)}
              engines={engines}
              generation={controls[at]!.generation}
              colouring={settings.colouring}
              writes={settings.mode === "write"}
              chosen={chosen?.pane === at ? chosen.place : undefined}
              onChoose={(place) => setChosen({ pane: at, place })}
              onOpen={() => panel.current?.querySelector("button")?.focus()}
              onChange={(next) => changePane(at, next)}
              onMeasure={() =>
                void controls[at]!.measure(
                  engineOf(pane),
                  requestOf(settings, pane),
                  settings.branch,
                )
              }
            />
          ))}
        </div>
        <TokenPanel
          token={token}
          offersTokens={controls.some(({ generation }) => generation.tokens.length > 0)}
          panel={panel}
          {...(settings.mode === "write" && { onBranch: branch })}
        />
      </div>
      {settings.mode === "write" && chosen && (
        <PlaceStages control={controls[chosen.pane]!} place={chosen.place} settings={settings} />
      )}
    </div>
  );
}

const isBusy = (status: string): boolean => status === "running" || status === "opening";

/** The sampler at the chosen token's place. */
function PlaceStages({
  control: { generation },
  place,
  settings,
}: {
  readonly control: GenerationControl;
  readonly place: number;
  readonly settings: LensSettings;
}): JSX.Element {
  const { prompt, tokens, engine, status, end } = generation;
  if (end?.context) {
    return <p class="note">The sampler's steps are shown for texts without a context policy.</p>;
  }
  const before = tokens.slice(0, place);
  return (
    <StagesTable
      engine={engine}
      ids={[...prompt, ...before].map(({ id }) => id)}
      generated={settings.branch.length + before.length}
      sampling={samplingOf(settings)}
      ready={!isBusy(status)}
    />
  );
}

function requestOf(
  settings: LensSettings,
  { drafter, policy }: PaneSettings,
): Omit<GenerateRequest, "kind"> {
  const { prompt, maxTokens } = settings;
  const sampling = samplingOf(settings);
  return { prompt, maxTokens, drafter, sampling, ...(policy !== "" && { contextPolicy: policy }) };
}
