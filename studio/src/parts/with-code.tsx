/** A sentence of a record with its code. */
import type { JSX } from "preact";

/** Text in which what stands between backticks is code. */
export function WithCode({ text }: { readonly text: string }): JSX.Element {
  const parts = text.split("`");
  // A backtick without a second one is a character like others.
  if (parts.length % 2 === 0) return <>{withPercent(text)}</>;
  return (
    <>
      {parts.map((part, at) => (at % 2 === 1 ? <code key={at}>{part}</code> : withPercent(part)))}
    </>
  );
}

/** A number stays on one line with its percent sign. */
export const withPercent = (text: string): string => text.replace(/(\d) %/g, "$1\u00a0%");
