/** Search and filters of the feed. */
import type { JSX, Ref } from "preact";
import type { CatalogueEntry } from "../data.ts";
import { type Filters, passes, verdictFilters } from "./filters.ts";

export interface FilterBarProps {
  readonly entries: readonly CatalogueEntry[];
  readonly filters: Filters;
  readonly onChange: (next: Partial<Record<keyof Filters, string | undefined>>) => void;
  readonly field: Ref<HTMLInputElement>;
}

export function FilterBar({ entries, filters, onChange, field }: FilterBarProps): JSX.Element {
  const areas = [...new Set(entries.map(({ area }) => area))].sort();
  const count = (next: Omit<Filters, "text">): number =>
    entries.filter((entry) => passes(entry, { ...next, text: "" })).length;
  const { verdict, area } = filters;
  return (
    <search class="filters">
      <label class="query">
        <span class="label">Search</span>
        <input
          ref={field}
          type="search"
          value={filters.text}
          placeholder="shorter prompts, drafting, tokenizer …"
          aria-keyshortcuts="/"
          onInput={({ currentTarget }) => onChange({ text: currentTarget.value })}
        />
      </label>
      <Choices
        title="Area"
        chosen={area}
        options={areas.map((name) => ({
          name,
          label: name,
          count: count({ area: name, ...(verdict && { verdict }) }),
        }))}
        onChoose={(name) => onChange({ area: name })}
      />
      <Choices
        title="Measurement"
        chosen={verdict}
        options={Object.entries(verdictFilters).map(([name, label]) => ({
          name,
          label,
          count: count({ verdict: name as keyof typeof verdictFilters, ...(area && { area }) }),
        }))}
        onChoose={(name) => onChange({ verdict: name })}
      />
    </search>
  );
}

interface ChoicesProps {
  readonly title: string;
  readonly chosen: string | undefined;
  readonly options: readonly {
    readonly name: string;
    readonly label: string;
    readonly count: number;
  }[];
  readonly onChoose: (name: string | undefined) => void;
}

/** Buttons of which at most one is pressed. */
function Choices({ title, chosen, options, onChoose }: ChoicesProps): JSX.Element {
  const isOffered = ({ name, count }: { name: string; count: number }): boolean =>
    count > 0 || name === chosen;
  return (
    <div class="choices" role="group" aria-label={title}>
      <span class="label">{title}</span>
      {options.filter(isOffered).map(({ name, label, count }) => (
        <button
          key={name}
          type="button"
          aria-pressed={chosen === name}
          onClick={() => onChoose(chosen === name ? undefined : name)}
        >
          {label} <span class="number">{count}</span>
        </button>
      ))}
    </div>
  );
}
