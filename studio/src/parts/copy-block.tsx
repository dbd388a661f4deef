/** Text to copy: a command, a citation. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";

export interface CopyBlockProps {
  readonly label: string;
  readonly text: string;
  /** True: the text is an address, which can be opened as well. Default false. */
  readonly isAddress?: boolean;
}

export function CopyBlock({ label, text, isAddress = false }: CopyBlockProps): JSX.Element {
  const [said, setSaid] = useState("");
  const copy = (): void => {
    navigator.clipboard.writeText(text).then(
      () => setSaid("copied"),
      () => setSaid("select the text and copy it: the browser does not allow this button to"),
    );
  };
  return (
    <div class="copy-block">
      <div class="bar">
        <span class="label">{label}</span>
        <span class="said" role="status">
          {said}
        </span>
        <button type="button" onClick={copy}>
          Copy<span class="hidden"> {label}</span>
        </button>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls where the line is longer than the screen */}
      <pre tabIndex={0} role="region" aria-label={label}>
        {isAddress ? <a href={text}>{text}</a> : text}
      </pre>
    </div>
  );
}
