/** What stands where something is not there yet, or will not come. */
import type { ComponentChildren, JSX } from "preact";

export function Waiting({ what }: { readonly what: string }): JSX.Element {
  return (
    <p class="column waiting" role="status">
      Loading {what} …
    </p>
  );
}

export interface FailureProps {
  readonly message: string;
  /** What to do about it. Default: reload. */
  readonly children?: ComponentChildren;
}

export function Failure({ message, children }: FailureProps): JSX.Element {
  return (
    <div class="column failure" role="alert">
      <p>{message}</p>
      <p>{children ?? "Reload the page; if the server has stopped, start it again."}</p>
    </div>
  );
}
