/** Colours, on terminals that support them unless the user turned them off. */

/** Functions that mark a text; each returns it unchanged if colours are off. */
export interface Style {
  readonly enabled: boolean;
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  cyan(text: string): string;
  /** Dark text on a light background; `index` selects one of four colours cyclically. */
  stripe(text: string, index: number): string;
}

const stripes: readonly string[] = ["30;48;5;153", "30;48;5;223", "30;48;5;157", "30;48;5;218"];

/** Creates a style with or without colours. */
export function createStyle(enabled: boolean): Style {
  const mark =
    (on: string, off: string) =>
    (text: string): string =>
      enabled ? `\u001b[${on}m${text}\u001b[${off}m` : text;
  return {
    enabled,
    bold: mark("1", "22"),
    dim: mark("2", "22"),
    red: mark("31", "39"),
    green: mark("32", "39"),
    cyan: mark("36", "39"),
    stripe: (text, index) => mark(stripes[index % stripes.length]!, "39;49")(text),
  };
}

/** Whether a stream shows colours: a terminal, `NO_COLOR` empty or unset, `TERM` not `dumb`. */
export function hasColors(
  isTerminal: boolean,
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  return isTerminal && !environment["NO_COLOR"] && environment["TERM"] !== "dumb";
}
