/**
 * Types that declare a command: its options and arguments, from which the parser and the help text are
 * derived, and the function that runs it.
 */
import { JetonError } from "../core/error.ts";
import type { CommandContext } from "./context.ts";

interface OptionBase {
  /** One sentence for the help, without a full stop. */
  readonly help: string;
  /** A single letter that may be written instead, e.g. `"m"` for `-m`. */
  readonly short?: string;
}

/** An option without a value. */
export interface FlagOption extends OptionBase {
  readonly kind: "flag";
}

/** An option with a text, possibly one of a few. */
export interface TextOption extends OptionBase {
  readonly kind: "text";
  /** Placeholder of the value in the help, e.g. `"FILE"`. */
  readonly value: string;
  readonly choices?: readonly string[];
  readonly default?: string;
}

/** An option that may be given several times. */
export interface ListOption extends OptionBase {
  readonly kind: "list";
  readonly value: string;
}

/** An option with a number. */
export interface NumberOption extends OptionBase {
  readonly kind: "number" | "integer";
  readonly value: string;
  /** Smallest value. Default: none, or 0 for integers. */
  readonly min?: number;
  readonly max?: number;
  /** True: `min` itself is not allowed. */
  readonly exclusiveMin?: boolean;
  readonly default?: number;
}

export type Option = FlagOption | TextOption | ListOption | NumberOption;

/** Options by their name in the code: `maxTokens` is written `--max-tokens`. */
export type Options = Readonly<Record<string, Option>>;

type Value<O extends Option> = O extends FlagOption
  ? boolean
  : O extends ListOption
    ? readonly string[]
    :
        | (O extends TextOption
            ? O["choices"] extends readonly string[]
              ? O["choices"][number]
              : string
            : number)
        | (O extends { readonly default: string | number } ? never : undefined);

/** The parsed value of each option; every command also has `json`. */
export type Values<O extends Options> = { readonly [K in keyof O]: Value<O[K]> } & {
  readonly json: boolean;
};

/** A positional argument. */
export interface Positional {
  /** As shown in the help, e.g. `"prompt|-"`. */
  readonly name: string;
  readonly required?: boolean;
  /** Only for the last positional: it may occur any number of times. */
  readonly repeatable?: boolean;
}

export interface CommandDefinition<O extends Options> {
  readonly name: string;
  /** A short phrase for the list of commands. */
  readonly summary: string;
  /** The first paragraph of the command's own help. */
  readonly description: string;
  readonly positionals: readonly Positional[];
  readonly options: O;
  /** Working command lines, each with a description of its output. */
  readonly examples: readonly { readonly line: string; readonly shows: string }[];
  /** Returns the exit status; `undefined` means 0. */
  run(
    context: CommandContext,
    values: Values<O>,
    positionals: readonly string[],
    // biome-ignore lint/suspicious/noConfusingVoidType: most commands have nothing to return
  ): Promise<number | void>;
}

/** A command whose option types are erased, as stored in the table of commands. */
export type Command = CommandDefinition<Options>;

/** Type-checks a command against its own options, then erases their types. */
export function defineCommand<const O extends Options>(definition: CommandDefinition<O>): Command {
  return definition as unknown as Command;
}

/** An invalid command line: exit status 2. */
export class UsageError extends JetonError {
  constructor(code: string, message: string, details: Record<string, unknown> = {}) {
    super(message, { code, details });
    this.name = "UsageError";
  }
}

/** How a command is written, e.g. `jeton search [options] query...`. */
export function usageLine({ name, positionals }: Pick<Command, "name" | "positionals">): string {
  const written = positionals.map(({ name: word, required, repeatable }) => {
    const text = repeatable ? `${word}...` : word;
    return required ? text : `[${text}]`;
  });
  return ["jeton", name, "[options]", ...written].join(" ");
}

/** The name of a positional that is a model: a folder, a bundled one, or one on the hub. */
export const modelArgument = "M";

/** The command-line form of an option's key: `maxTokens` becomes `max-tokens`. */
export function toOptionName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** A copy without the keys whose value is `undefined` (for `exactOptionalPropertyTypes`). */
export function defined<T extends object>(
  values: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
