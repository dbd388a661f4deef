/** A sentence of a record with its code. */
import type { JSX } from "preact";

/** Text in which what stands between backticks is code. */
export function WithCode({ text }: { readonly text: string }): JSX.Element {
  const parts = text.split("`");
  // A backtick without a second one is a character like others.
  if (parts.length % 2 === 0) return <>{text}</>;
  return <>{parts.map((part, at) => (at % 2 === 1 ? <code key={at}>{part}</code> : part))}</>;
}
