/** Binding of call arguments to parameters. */
import { typeFailure } from "./failure.ts";
import type { CallArguments, Value } from "./values.ts";

/** No arguments. */
export const noArguments: CallArguments = { positional: [], keyword: new Map() };

/** Positional arguments alone. */
export function positionalArguments(...positional: readonly Value[]): CallArguments {
  return positional.length === 0 ? noArguments : { positional, keyword: noArguments.keyword };
}

/** Parameters of a function, in order; a name that ends in `?` may be left out. */
export type Parameters = readonly string[];

/**
 * The value of each parameter, undefined where it was left out. Throws `TypeError` for missing,
 * surplus and unknown arguments.
 */
export function bindArguments(
  name: string,
  callArguments: CallArguments,
  parameters: Parameters,
): (Value | undefined)[] {
  const { positional, keyword } = callArguments;
  if (positional.length > parameters.length) {
    throw typeFailure(
      `${name}() takes at most ${parameters.length} arguments (${positional.length} given)`,
    );
  }
  const values: (Value | undefined)[] = [...positional];
  let used = 0;
  for (const [index, parameter] of parameters.entries()) {
    const optional = parameter.endsWith("?");
    const key = optional ? parameter.slice(0, -1) : parameter;
    const given = keyword.get(key);
    if (given !== undefined) {
      used++;
      if (index < positional.length) {
        throw typeFailure(`${name}() got multiple values for argument '${key}'`);
      }
      values[index] = given;
    } else if (index >= positional.length) {
      if (!optional) throw typeFailure(`${name}() missing required argument: '${key}'`);
      values[index] = undefined;
    }
  }
  if (used < keyword.size) {
    const known = new Set(parameters.map((parameter) => parameter.replace("?", "")));
    const unknown = Array.from(keyword.keys()).find((key) => !known.has(key));
    throw typeFailure(`${name}() got an unexpected keyword argument '${unknown}'`);
  }
  return values;
}

/** Positional arguments of a function that takes no names. */
export function bindPositional(
  name: string,
  callArguments: CallArguments,
  minimum: number,
  maximum: number,
): readonly Value[] {
  const { positional, keyword } = callArguments;
  if (keyword.size > 0) throw typeFailure(`${name}() takes no keyword arguments`);
  if (positional.length < minimum || positional.length > maximum) {
    const expected = minimum === maximum ? `${minimum}` : `${minimum} to ${maximum}`;
    throw typeFailure(`${name}() takes ${expected} arguments (${positional.length} given)`);
  }
  return positional;
}
