/** What stands where something is not there yet, or will not come. */
import type { ComponentChildren, JSX } from "preact";

export function Waiting({ what }: { readonly what: string }): JSX.Element {
  return (
    <p class="column waiting" role="status">
      Loading {what} …
    </p>
  );
}

/** Why the part of the page around it did not work. */
export function Problem({ message }: { readonly message: string | undefined }): JSX.Element | null {
  if (message === undefined) return null;
  return (
    <p class="failure" role="alert">
      {message}
    </p>
  );
}

export interface FailureProps {
  /** Default: that something could not be loaded. */
  readonly title?: string;
  readonly message: string;
  /** What to do about it. Default: reload. */
  readonly children?: ComponentChildren;
}

export function Failure({
  title = "This could not be loaded",
  message,
  children,
}: FailureProps): JSX.Element {
  return (
    <div class="column failure" role="alert">
      <h1>{title}</h1>
      <p>{message}</p>
      <p>{children ?? "Reload the page; if the server has stopped, start it again."}</p>
    </div>
  );
}
