/** The frame of the page: its head, the view that the address names, its foot. */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { FeedPage } from "./feed/feed-page.tsx";
import { LensPage } from "./lens/lens-page.tsx";
import { useRoute } from "./route.ts";
import { SubscribePage } from "./subscribe/subscribe-page.tsx";
import { SystemPage } from "./system/system-page.tsx";

export function App(): JSX.Element {
  const { path, query } = useRoute();
  const [view = "feed", name = ""] = path;
  const main = useFocusOnChange(`${view}/${name}`);
  return (
    <>
      {/* biome-ignore lint/a11y/useValidAnchor: the address after # is the view; the link moves the focus */}
      <a class="skip" href="#main" onClick={(event) => skipTo(event, main.current)}>
        Skip to the content
      </a>
      <header class="masthead">
        <a class="wordmark" href="#/">
          jeton
        </a>
        <nav aria-label="Views">
          <a
            href="#/"
            aria-current={view === "feed" ? "page" : view === "systems" ? "true" : undefined}
          >
            Systems
          </a>
          <a href="#/lens" aria-current={view === "lens" ? "page" : undefined}>
            Lens
          </a>
          <a href="#/subscribe" aria-current={view === "subscribe" ? "page" : undefined}>
            Subscribe
          </a>
        </nav>
      </header>
      <main id="main" tabIndex={-1} ref={main}>
        {view === "systems" ? (
          <SystemPage key={name} slug={name} />
        ) : view === "lens" ? (
          <LensPage key={query.toString()} query={query} />
        ) : view === "subscribe" ? (
          <SubscribePage />
        ) : view === "feed" ? (
          <FeedPage query={query} />
        ) : (
          <NotFound />
        )}
      </main>
      <footer class="colophon">
        <p>
          Everything on this page runs on your machine; it asks no other host. Figures are recorded
          measurements of the commands shown.
        </p>
      </footer>
    </>
  );
}

function NotFound(): JSX.Element {
  return (
    <div class="column">
      <h1>Nothing is here</h1>
      <p>
        This address names no view. <a href="#/">All systems</a>
      </p>
    </div>
  );
}

/** A new view is read from its beginning, also by a screen reader; the first one keeps the focus where it is. */
function useFocusOnChange(view: string): { current: HTMLElement | null } {
  const main = useRef<HTMLElement>(null);
  const last = useRef(view);
  useEffect(() => {
    if (last.current === view) return;
    const [before, name] = last.current.split("/");
    last.current = view;
    // Who goes back to the feed finds the card again; the head's link leads to its beginning.
    const isBack = view === "feed/" && before === "systems" && !isInHead(document.activeElement);
    main.current?.focus({ preventScroll: true });
    scrollTo(0, 0);
    if (isBack) focusCard(name!);
  }, [view]);
  return main;
}

const isInHead = (element: Element | null): boolean => element?.closest(".masthead") != null;

/** Frames in which a card may appear: the catalogue is read again. */
const patience = 30;

/** Focuses the card of a system as soon as it is there. */
function focusCard(slug: string, left: number = patience): void {
  const card = document.querySelector<HTMLElement>(`[data-card="${CSS.escape(slug)}"]`);
  if (card) {
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "center", behavior: "instant" });
  } else if (left > 0) requestAnimationFrame(() => focusCard(slug, left - 1));
}

/** The address holds the route, so the link to the content must not change it. */
function skipTo(event: Event, target: HTMLElement | null): void {
  event.preventDefault();
  target?.focus();
}
