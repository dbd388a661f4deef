/** How to follow new measurements: the feeds' addresses, the digest, the last entries. */
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { fetchFeed, fetchPlace, useLoaded } from "../data.ts";
import { CopyBlock } from "../parts/copy-block.tsx";
import { Problem } from "../parts/states.tsx";

/** Entries that are shown. */
const shown = 8;

export function SubscribePage(): JSX.Element {
  const place = useLoaded(fetchPlace, "place");
  useEffect(() => {
    document.title = "Subscribe · jeton";
  }, []);
  const addressOf = (name: string): string => new URL(`./${name}`, document.baseURI).href;
  return (
    <div class="column">
      <h1>Subscribe</h1>
      <p>
        Each recorded measurement is an entry of a feed: a new one when a system is measured for the
        first time or again. Give one of the two addresses to a feed reader.
      </p>
      <CopyBlock label="Atom" text={addressOf("feed.xml")} isAddress />
      <CopyBlock label="JSON Feed" text={addressOf("feed.json")} isAddress />
      {place.state === "there" && place.value.server && (
        <p class="note">
          This page is served by <code>jeton studio</code> on this machine, so the addresses work
          for readers on it while it runs. The feed of a static site can be read from anywhere.
        </p>
      )}
      <h2>A week as one page</h2>
      <p>The command writes what was recorded in the last week as HTML, to be mailed or kept.</p>
      <CopyBlock label="Command" text="npx jeton systems --digest > digest.html" />
      <LastEntries />
    </div>
  );
}

function LastEntries(): JSX.Element {
  const feed = useLoaded(fetchFeed, "feed");
  return (
    <>
      <h2>The last entries</h2>
      {feed.state === "waiting" && <p class="note">Loading the feed …</p>}
      {feed.state === "failed" && <Problem message={feed.message} />}
      {feed.state === "there" && (
        <ul class="entries">
          {feed.value.items.slice(0, shown).map(({ id, title, url, date_published: date }) => (
            <li key={id}>
              <time dateTime={date}>{date.slice(0, 10)}</time>
              <a href={new URL(url, document.baseURI).hash}>{title}</a>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
