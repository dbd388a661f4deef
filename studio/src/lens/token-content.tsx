/** A token's text, with its depth where an accepted draft ends. */
import type { LensToken } from "jeton/lens";
import type { JSX } from "preact";
import { lastDepth } from "./token-colours.ts";

export interface TokenContentProps {
  readonly token: LensToken;
  readonly next: LensToken | undefined;
}

/** The depth is drawn by the style sheet: it is no part of the text, also where that is copied. */
export function TokenContent({ token, next }: TokenContentProps): JSX.Element {
  const depth = lastDepth(token, next);
  if (depth === undefined) return <>{token.text}</>;
  // A depth stands on the line of its token, also where the token ends the line.
  const [, text, breaks] = /^([\s\S]*?)(\n*)$/.exec(token.text)!;
  return (
    <>
      <span class="ends-draft" data-depth={depth}>
        {text}
      </span>
      {breaks}
    </>
  );
}
