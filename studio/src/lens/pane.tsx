/** One generation: its text, its curve, its figures. Two of them stand side by side to compare. */
import { drafterChoices } from "jeton/generate";
import type { EndEvent } from "jeton/lens";
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { type Engine, modelName } from "../engine/engine.ts";
import { type EngineName, engineLabel } from "../engine/engines.ts";
import { Problem } from "../parts/states.tsx";
import { ColourKey } from "./colour-key.tsx";
import { CacheView, type KeptLayer } from "./kept-tokens.tsx";
import { type Colouring, type PaneSettings, policyExamples } from "./lens-settings.ts";
import { SurpriseCurve } from "./surprise-curve.tsx";
import { TokenText } from "./token-text.tsx";
import type { Generation } from "./use-generation.ts";

export interface PaneProps {
  readonly name: string;
  readonly settings: PaneSettings;
  readonly engine: EngineName;
  /** What can be chosen. */
  readonly engines: readonly EngineName[];
  readonly generation: Generation;
  readonly colouring: Colouring;
  readonly writes: boolean;
  readonly chosen: number | undefined;
  readonly onChoose: (place: number) => void;
  readonly onOpen: () => void;
  readonly onChange: (settings: PaneSettings) => void;
  readonly onMeasure: () => void;
}

export function Pane(props: PaneProps): JSX.Element {
  const { name, generation, colouring, chosen, writes } = props;
  const { status, message, end } = generation;
  const [layer, setLayer] = useState<KeptLayer>("any");
  const isBusy = status === "running" || status === "opening";
  return (
    <section class="pane" aria-label={`Text ${name}`}>
      <PaneHead {...props} />
      <Opening generation={generation} />
      {status === "failed" && <Problem message={message} />}
      <TokenText
        name={name}
        label={writes ? "Generated tokens" : "Tokens of the text"}
        prompt={writes ? generation.prompt : []}
        context={end?.context}
        layer={layer}
        tokens={generation.tokens}
        colouring={colouring}
        chosen={chosen}
        onChoose={props.onChoose}
        onOpen={props.onOpen}
        running={isBusy}
      />
      <ColourKey tokens={generation.tokens} colouring={colouring} />
      <SurpriseCurve tokens={generation.tokens} chosen={chosen} onChoose={props.onChoose} />
      {writes && end?.context && (
        <CacheView
          context={end.context}
          promptTokens={end.promptTokens}
          layer={layer}
          onChoose={setLayer}
        />
      )}
      {writes && <Figures {...props} />}
    </section>
  );
}

function PaneHead(props: PaneProps): JSX.Element {
  const { name, settings, engine, engines, onChange, writes } = props;
  return (
    <div class="pane-head">
      <label>
        <span class="label">model</span>
        <select
          value={engine}
          onChange={({ currentTarget }) =>
            onChange({ ...settings, engine: currentTarget.value as EngineName })
          }
        >
          {engines.map((option) => (
            <option key={option} value={option}>
              {engineLabel(option)}
            </option>
          ))}
        </select>
      </label>
      {writes && (
        <label>
          <span class="label">drafter</span>
          <select
            value={settings.drafter}
            aria-label={`Drafter of text ${name}`}
            onChange={({ currentTarget }) =>
              onChange({ ...settings, drafter: currentTarget.value as PaneSettings["drafter"] })
            }
          >
            {drafterChoices.map((option) => (
              <option key={option} value={option}>
                {option === "none" ? "none: autoregressive" : option}
              </option>
            ))}
          </select>
        </label>
      )}
      {writes && <PolicyField {...props} />}
    </div>
  );
}

/** A policy is written as on the command line; examples to begin with. */
function PolicyField({ name, settings, onChange }: PaneProps): JSX.Element {
  const list = `policies-${name}`;
  return (
    <label class="policy">
      <span class="label">context</span>
      <input
        type="text"
        list={list}
        value={settings.policy}
        placeholder="all tokens"
        maxLength={200}
        spellcheck={false}
        autocomplete="off"
        aria-label={`Context policy of text ${name}`}
        onInput={({ currentTarget }) =>
          onChange({ ...settings, policy: currentTarget.value.trim() })
        }
      />
      <datalist id={list}>
        {policyExamples.map((example) => (
          <option key={example} value={example} />
        ))}
      </datalist>
    </label>
  );
}

/** How far the model's download is. */
function Opening({ generation }: { readonly generation: Generation }): JSX.Element | null {
  const { status, progress } = generation;
  if (status !== "opening") return null;
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
  return (
    <p class="note opening" role="status">
      {progress && progress.total > 0 ? (
        <>
          <progress max={progress.total} value={progress.done} aria-label="Opening the model" />{" "}
          {progress.stage === "download"
            ? `${megabytes(progress.done)} of ${megabytes(progress.total)} MB`
            : progress.stage}
        </>
      ) : (
        "Opening the model …"
      )}
    </p>
  );
}

/** What computes. */
function runsOn({ model, place }: Engine): string {
  const { format, device, threads } = model;
  const name = modelName(model);
  const count = `${threads} thread${threads === 1 ? "" : "s"}`;
  if (place === "server") return `${name}, ${format}, ${count}`;
  if (device === "webgpu") return `${name}, ${format}, WebGPU`;
  const why = threads === 1 && !crossOriginIsolated ? " (the page is not isolated)" : "";
  return `${name}, ${format}, WebAssembly, ${count}${why}`;
}

function Figures({ generation, onMeasure, settings }: PaneProps): JSX.Element | null {
  const { end, speed, status, engine } = generation;
  if (!end && !speed) return null;
  return (
    <div class="pane-figures">
      {end && <EndFigures end={end} engine={engine} />}
      {speed && (
        <p role="status">
          {speed.drafted.toFixed(0)} tokens a second with {settings.drafter},{" "}
          {speed.autoregressive.toFixed(0)} autoregressive:{" "}
          <b>{(speed.drafted / speed.autoregressive).toFixed(2)} times</b> (medians of three, in
          turns).
        </p>
      )}
      <button type="button" onClick={onMeasure} disabled={status === "running"}>
        {status === "running" ? "Measuring …" : "Measure the speed"}
      </button>
    </div>
  );
}

/** Length, speed, drafting, cache and model of a finished generation. */
function EndFigures({
  end,
  engine,
}: {
  readonly end: EndEvent;
  readonly engine: Engine | undefined;
}): JSX.Element {
  const { drafting, tokens, promptTokens, finishReason, decodeSeconds, context } = end;
  const rate = decodeSeconds > 0 ? tokens / decodeSeconds : 0;
  return (
    <dl class="figures">
      <Figure
        name={finishReason === "length" ? "tokens, ended by length" : "tokens, ended by a stop"}
      >
        {tokens}
      </Figure>
      <Figure name="tokens a second, alternatives included">
        <span data-rate={rate}>{rate.toFixed(0)}</span>
      </Figure>
      {drafting && drafting.forwardPasses > 0 && (
        <>
          <Figure name="draft tokens accepted">
            {drafting.accepted} of {drafting.drafted}
          </Figure>
          <Figure name="tokens a forward pass">{drafting.meanAcceptanceLength.toFixed(2)}</Figure>
        </>
      )}
      {engine && !context && (
        <Figure name="KV cache">
          {engine.model.layers} layers of {promptTokens + tokens} tokens
        </Figure>
      )}
      {engine && <Figure name="computed by">{runsOn(engine)}</Figure>}
    </dl>
  );
}

function Figure({
  name,
  children,
}: {
  readonly name: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
