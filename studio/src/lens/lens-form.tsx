/** What the lens is asked: text, length, seed, sampler, colours, comparison. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { writeRoute } from "../route.ts";
import {
  type Colouring,
  colouringsOf,
  defaultSettings,
  type LensSettings,
  neutralSampler,
  withMode,
  writeSettings,
} from "./lens-settings.ts";
import { SamplerControls } from "./sampler-controls.tsx";

export interface LensFormProps {
  readonly settings: LensSettings;
  readonly busy: boolean;
  readonly onChange: (settings: LensSettings) => void;
  readonly onStart: (settings: LensSettings) => void;
  readonly onStop: () => void;
  /** Called with one text more, or one less. */
  readonly onCompare: (settings: LensSettings) => void;
}

export function LensForm({
  settings,
  busy,
  onChange,
  onStart,
  onStop,
  onCompare,
}: LensFormProps): JSX.Element {
  const { mode, prompt, branch } = settings;
  const submit = (event: Event): void => {
    event.preventDefault();
    onStart({ ...settings, branch: [] });
  };
  return (
    <form class="lens-form" onSubmit={submit}>
      <label class="prompt">
        <span class="label">{mode === "write" ? "Text to continue" : "Text to read"}</span>
        <textarea
          rows={3}
          value={prompt}
          onInput={({ currentTarget }) =>
            onChange({ ...settings, prompt: currentTarget.value, branch: [] })
          }
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
          }}
        />
      </label>
      <div class="actions">
        {busy ? (
          <button type="button" class="primary" onClick={onStop}>
            Stop
          </button>
        ) : (
          <button
            type="submit"
            class="primary"
            aria-keyshortcuts="Control+Enter"
            title="Ctrl+Enter in the text"
          >
            {mode === "write" ? "Write" : "Read"}
          </button>
        )}
        {mode === "write" && (
          <button
            type="button"
            disabled={busy}
            onClick={() => onStart({ ...settings, branch: [], seed: settings.seed + 1 })}
          >
            Another seed
          </button>
        )}
        {branch.length > 0 && (
          <button
            type="button"
            disabled={busy}
            onClick={() => onStart({ ...settings, branch: [] })}
          >
            Leave the branch
          </button>
        )}
        <ShareButton settings={settings} />
      </div>
      <Modes settings={settings} onChange={onChange} onCompare={onCompare} />
      {mode === "write" && <WriteOptions settings={settings} onChange={onChange} />}
    </form>
  );
}

type OptionsProps = Pick<LensFormProps, "settings" | "onChange">;

function Modes({
  settings,
  onChange,
  onCompare,
}: OptionsProps & Pick<LensFormProps, "onCompare">): JSX.Element {
  const { mode, colouring, panes } = settings;
  const isCompared = panes.length > 1;
  return (
    <div class="modes">
      <Buttons
        title="Model"
        options={{ write: "continues", read: "reads" }}
        chosen={mode}
        onChoose={(next) => onChange(withMode(settings, next))}
      />
      <Buttons<Colouring>
        title="Colour"
        options={colouringsOf(mode)}
        chosen={colouring}
        onChoose={(next) => onChange({ ...settings, colouring: next })}
      />
      <button
        type="button"
        aria-pressed={isCompared}
        onClick={() =>
          onCompare({
            ...settings,
            panes: isCompared ? panes.slice(0, 1) : [panes[0]!, { ...panes[0]!, drafter: "none" }],
          })
        }
      >
        Compare two
      </button>
    </div>
  );
}

interface ButtonsProps<Name extends string> {
  readonly title: string;
  readonly options: Readonly<Partial<Record<Name, string>>>;
  readonly chosen: Name;
  readonly onChoose: (name: Name) => void;
}

function Buttons<Name extends string>(props: ButtonsProps<Name>): JSX.Element {
  const { title, options, chosen, onChoose } = props;
  return (
    <div class="choices" role="group" aria-label={title}>
      <span class="label">{title}</span>
      {(Object.entries(options) as [Name, string][]).map(([name, label]) => (
        <button
          key={name}
          type="button"
          aria-pressed={name === chosen}
          onClick={() => onChoose(name)}
        >
          {label}
        </button>
      ))}
    </div>
  );
}

function WriteOptions({ settings, onChange }: OptionsProps): JSX.Element {
  const { maxTokens, seed, sampler } = settings;
  return (
    <details class="options">
      <summary>Sampler, length, seed</summary>
      <SamplerControls
        sampler={sampler}
        onChange={(next) => onChange({ ...settings, sampler: next })}
      />
      <div class="row">
        <button
          type="button"
          onClick={() => onChange({ ...settings, sampler: { ...neutralSampler, temperature: 0 } })}
        >
          Greedy
        </button>
        <button type="button" onClick={() => onChange({ ...settings, sampler: neutralSampler })}>
          The model's own distribution
        </button>
        <label>
          <span class="label">tokens at most</span>
          <input
            type="number"
            min={1}
            max={900}
            value={maxTokens}
            onInput={({ currentTarget }) =>
              onChange({
                ...settings,
                maxTokens: whole(currentTarget.value, defaultSettings.maxTokens, 1),
              })
            }
          />
        </label>
        <label>
          <span class="label">seed</span>
          <input
            type="number"
            min={0}
            value={seed}
            onInput={({ currentTarget }) =>
              onChange({ ...settings, seed: whole(currentTarget.value, defaultSettings.seed, 0) })
            }
          />
        </label>
      </div>
    </details>
  );
}

function whole(text: string, otherwise: number, min: number): number {
  const value = Math.round(Number(text));
  return text === "" || !Number.isSafeInteger(value) ? otherwise : Math.max(min, value);
}

function ShareButton({ settings }: Pick<LensFormProps, "settings">): JSX.Element {
  const [said, setSaid] = useState("");
  const address = (): string =>
    new URL(writeRoute(["lens"], writeSettings(settings)), location.href).href;
  const share = (): void => {
    history.replaceState(null, "", address());
    navigator.clipboard.writeText(address()).then(
      () => setSaid("link copied"),
      () => setSaid("the address of this page is the link"),
    );
  };
  return (
    <>
      <button type="button" onClick={share}>
        Copy a link to this
      </button>
      <span class="note" role="status">
        {said}
      </span>
    </>
  );
}
