/** Options that a command takes and that would have no effect beside the others. */
import { toOptionName, UsageError } from "../command.ts";

/** True where the command line gives an option; one with a default counts as given always. */
function isGiven(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return value !== undefined && value !== false;
}

/**
 * Refuses options that would have no effect.
 *
 * @param keys those without a default
 * @param why follows the option's name, e.g. `"means nothing for --bytes"`
 * @throws UsageError `option-misplaced` with the first of them that is given
 */
export function refuseMisplaced<Key extends string>(
  values: Readonly<Partial<Record<Key, unknown>>>,
  keys: readonly Key[],
  why: string,
): void {
  const given = keys.find((key) => isGiven(values[key]));
  if (given === undefined) return;
  const option = `--${toOptionName(given)}`;
  throw new UsageError("option-misplaced", `${option} ${why}`, { option });
}
