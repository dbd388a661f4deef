/** Controls of the sampler. */
import type { JSX } from "preact";
import { type SamplerSettings, samplerLimits } from "./lens-settings.ts";

export interface SamplerControlsProps {
  readonly sampler: SamplerSettings;
  readonly onChange: (sampler: SamplerSettings) => void;
}

export function SamplerControls({ sampler, onChange }: SamplerControlsProps): JSX.Element {
  return (
    <div class="sampler">
      {(Object.keys(samplerLimits) as (keyof SamplerSettings)[]).map((option) => {
        const { min, max, step, label } = samplerLimits[option];
        return (
          <label key={option}>
            <span class="label">{label}</span>
            <input
              type="range"
              min={min}
              max={max}
              step={step}
              value={sampler[option]}
              onInput={({ currentTarget }) =>
                onChange({ ...sampler, [option]: Number(currentTarget.value) })
              }
            />
            <output>{describe(option, sampler[option])}</output>
          </label>
        );
      })}
    </div>
  );
}

function describe(option: keyof SamplerSettings, value: number): string {
  if (option === "temperature" && value === 0) return "0: greedy";
  if (option === "topK" && value === 0) return "all";
  return String(Number(value.toFixed(2)));
}
