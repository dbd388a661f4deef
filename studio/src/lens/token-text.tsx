/** A text as its tokens: each can be chosen, by pointer or arrow keys. */
import type { LensToken } from "jeton/lens";
import { Component, type JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { type Kept, type KeptLayer, KeptText } from "./kept-tokens.tsx";
import type { Colouring } from "./lens-settings.ts";
import { describeToken, tokenClass } from "./token-colours.ts";
import { TokenContent } from "./token-content.tsx";

export interface TokenTextProps {
  /** Distinguishes the ids of two texts on one page. */
  readonly name: string;
  readonly label: string;
  readonly prompt: readonly LensToken[];
  /** What a context policy kept of the prompt, and by which layer. */
  readonly context: Kept | undefined;
  readonly layer: KeptLayer;
  readonly tokens: readonly LensToken[];
  readonly colouring: Colouring;
  /** Place of the chosen token among `tokens`. */
  readonly chosen: number | undefined;
  readonly onChoose: (place: number) => void;
  /** Enter on the chosen token. */
  readonly onOpen: () => void;
  readonly running: boolean;
}

/** Tokens of one part: only the last part changes while a text grows. */
const partSize = 32;

export function TokenText(props: TokenTextProps): JSX.Element {
  const {
    name,
    label,
    prompt,
    context,
    layer,
    tokens,
    colouring,
    chosen,
    onChoose,
    onOpen,
    running,
  } = props;
  const list = useRef<HTMLDivElement>(null);
  const box = useFollowing(tokens.length, running);
  const isPointedAt = useRef(false);
  useEffect(() => {
    // Nothing moves under a pointer.
    if (chosen === undefined || isPointedAt.current) return;
    document.getElementById(idOf(name, chosen))?.scrollIntoView({ block: "nearest" });
  }, [chosen, name]);
  const onKeyDown = (event: KeyboardEvent): void => {
    const next = placeAfterKey(event.key, chosen, tokens.length);
    if (next !== undefined) {
      event.preventDefault();
      isPointedAt.current = false;
      onChoose(next);
    } else if (event.key === "Enter" && chosen !== undefined) {
      event.preventDefault();
      onOpen();
    }
  };
  const choose = (event: Event): void => {
    isPointedAt.current = event.type === "pointerover";
    const token = (event.target as HTMLElement).closest<HTMLElement>("[data-place]");
    if (token) onChoose(Number(token.dataset["place"]));
  };
  const parts = Math.ceil(tokens.length / partSize);
  return (
    <div class="token-text" data-running={running} ref={box}>
      {prompt.length > 0 && (
        <span class="prompt">
          <KeptText tokens={prompt} context={context} layer={layer} />
        </span>
      )}
      <div
        ref={list}
        class="tokens"
        role="listbox"
        aria-label={label}
        tabIndex={0}
        aria-activedescendant={chosen === undefined ? undefined : idOf(name, chosen)}
        onKeyDown={onKeyDown}
        onClick={choose}
        onPointerOver={(event) => event.pointerType === "mouse" && choose(event)}
      >
        {tokens.length === 0 && (
          <span role="option" aria-selected="false" class={running ? "hidden" : "note"}>
            No token yet.
          </span>
        )}
        {Array.from({ length: parts }, (_, part) => (
          <TokenPart
            key={part}
            name={name}
            start={part * partSize}
            tokens={tokens}
            end={Math.min(tokens.length, (part + 1) * partSize)}
            first={tokens[part * partSize]!}
            colouring={colouring}
            chosen={
              chosen !== undefined && Math.floor(chosen / partSize) === part ? chosen : undefined
            }
          />
        ))}
      </div>
    </div>
  );
}

/** Keeps the end of a growing text in view, until someone scrolls. */
function useFollowing(length: number, running: boolean): { current: HTMLDivElement | null } {
  const box = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  useEffect(() => {
    const leave = (): void => {
      follows.current = false;
    };
    const scrolls = ["wheel", "touchmove", "pointerdown"] as const;
    for (const event of scrolls) box.current?.addEventListener(event, leave, { passive: true });
    return () => {
      for (const event of scrolls) box.current?.removeEventListener(event, leave);
    };
  }, []);
  useEffect(() => {
    if (length === 0) follows.current = true;
    else if (follows.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [length, running]);
  return box;
}

const idOf = (name: string, place: number): string => `${name}-token-${place}`;

function placeAfterKey(
  key: string,
  chosen: number | undefined,
  length: number,
): number | undefined {
  if (length === 0) return undefined;
  switch (key) {
    case "ArrowRight":
    case "ArrowDown":
      return Math.min(length - 1, (chosen ?? -1) + 1);
    case "ArrowLeft":
    case "ArrowUp":
      return Math.max(0, (chosen ?? 1) - 1);
    case "Home":
      return 0;
    case "End":
      return length - 1;
    default:
      return undefined;
  }
}

interface TokenPartProps {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly tokens: readonly LensToken[];
  /** The part's first token: another one is another text. */
  readonly first: LensToken;
  readonly colouring: Colouring;
  readonly chosen: number | undefined;
}

class TokenPart extends Component<TokenPartProps> {
  override shouldComponentUpdate(next: TokenPartProps): boolean {
    const { end, first, colouring, chosen } = this.props;
    return (
      next.end !== end ||
      next.first !== first ||
      next.colouring !== colouring ||
      next.chosen !== chosen
    );
  }

  override render(): JSX.Element {
    const { name, start, end, tokens, colouring, chosen } = this.props;
    return (
      <>
        {tokens.slice(start, end).map((token, at) => {
          const place = start + at;
          return (
            <span
              key={place}
              id={idOf(name, place)}
              role="option"
              aria-selected={place === chosen}
              aria-label={describeToken(token)}
              data-place={place}
              class={`token ${tokenClass(token, colouring)}${token.special ? " special" : ""}`}
            >
              {colouring === "origin" ? (
                <TokenContent token={token} next={tokens[place + 1]} />
              ) : (
                token.text
              )}
            </span>
          );
        })}
      </>
    );
  }
}
