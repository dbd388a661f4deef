/**
 * What an answer says about fields of the request that had no effect.
 */

/** One entry of the `warnings` field of an answer. */
export interface RequestWarning {
  /** Stable: `unknown_parameter`, `ignored_parameter`, `adjusted_parameter`. */
  readonly code: string;
  /** The field, as `messages[0].content`, or null. */
  readonly param: string | null;
  readonly message: string;
}

const maxNameLength = 100;

/** A client's own name for something, safe to put into a log line and short. */
export function describeName(name: string): string {
  const printable = name.replace(/[^\x20-\x7e]/g, "?");
  return printable.length > maxNameLength ? `${printable.slice(0, maxNameLength)}…` : printable;
}

/** A known field without effect here. */
export function ignoredParameter(param: string, why: string): RequestWarning {
  return { code: "ignored_parameter", param, message: `'${param}' has no effect: ${why}.` };
}

/** A field whose value was changed to one that is possible. */
export function adjustedParameter(param: string, message: string): RequestWarning {
  return { code: "adjusted_parameter", param, message };
}
