/** Parts of identifiers, as programmers read them. */

const part = /[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+/g;

/**
 * The identifier without `_` and `$`, then its parts where it has several: `parseHTMLPage_2` gives
 * `parseHTMLPage2`, `parse`, `HTML`, `Page`, `2`. A name of `_` and `$` alone gives nothing.
 */
export function splitIdentifier(identifier: string): string[] {
  const parts = identifier.match(part) ?? [];
  if (parts.length < 2) return parts.slice();
  return [parts.join(""), ...parts];
}
