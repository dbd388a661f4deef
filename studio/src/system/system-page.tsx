/** A system's page: what it solves, the idea, a demonstration, what was recorded, how to cite and measure it. */
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { fetchSystem, type SystemPage as Page, plotAddress, useLoaded } from "../data.ts";
import { DemonstrationFrame } from "../demonstrations/demonstration-frame.tsx";
import { Verdicts } from "../feed/verdicts.tsx";
import { CopyBlock } from "../parts/copy-block.tsx";
import { Failure, Waiting } from "../parts/states.tsx";
import "../styles/system.css";
import { Claims } from "./claims.tsx";

export function SystemPage({ slug }: { readonly slug: string }): JSX.Element {
  const page = useLoaded(() => fetchSystem(slug), slug);
  useEffect(() => {
    if (page.state === "there") document.title = `${page.value.name} · jeton`;
  }, [page]);
  if (page.state === "waiting") return <Waiting what="the system" />;
  if (page.state === "failed") {
    return (
      <Failure title="No such system" message={page.message}>
        Perhaps no system is called “{slug}”. <a href="#/">All systems</a>
      </Failure>
    );
  }
  return <System page={page.value} />;
}

/** Sections that stand before the recorded claims; the others come after them. */
const early = ["", "The idea"];

function System({ page }: { readonly page: Page }): JSX.Element {
  const { name, sections, built } = page;
  const section = (title: string): JSX.Element | undefined => {
    const found = sections.find((entry) => entry.title === title);
    return found && <Section title={found.title} html={found.html} />;
  };
  const rest = sections.filter(({ title, html }) => !early.includes(title) && html !== "");
  return (
    <article class="system" data-slug={page.slug}>
      <Head page={page} />
      {built ? (
        <>
          {section("")}
          {section("The idea")}
          <DemonstrationFrame slug={page.slug} />
          <Recorded page={page} />
          {rest.map(({ title, html }) => (
            <Section key={title} title={title} html={html} />
          ))}
        </>
      ) : (
        <section class="column">
          <p class="status">
            {name} is not built yet: nothing of it can be tried or measured here.
          </p>
        </section>
      )}
      <Citing page={page} />
    </article>
  );
}

function Head({ page }: { readonly page: Page }): JSX.Element {
  const { name, paper, authors, venue, year, arxiv, area, sentence, built } = page;
  const by = writeAuthors(authors);
  return (
    <header class="column head">
      <p class="origin">
        <a class="area" href={`#/?area=${area}`}>
          {area}
        </a>
        <span>{venue ? `${venue} ${year}` : year}</span>
      </p>
      <h1>{name}</h1>
      <p class="paper">
        <cite>{paper}</cite>
        {by !== "" && <span class="authors"> {by}</span>}
        {arxiv && (
          <span class="arxiv">
            {" "}
            <a href={`https://arxiv.org/abs/${arxiv}`} rel="noreferrer">
              arXiv:{arxiv}
            </a>
          </span>
        )}
      </p>
      <p class="sentence">{sentence}</p>
      {built && (
        <button
          type="button"
          onClick={() => document.getElementById("demonstration")?.scrollIntoView()}
        >
          Try it
        </button>
      )}
    </header>
  );
}

/** Up to four names, or three and the others. */
function writeAuthors(authors: readonly string[]): string {
  const names = authors.length > 4 ? [...authors.slice(0, 3), "others"] : authors;
  const before = names.slice(0, -1).join(", ");
  return before === "" ? names.join("") : `${before} and ${names.at(-1)}`;
}

function Section({ title, html }: { readonly title: string; readonly html: string }): JSX.Element {
  const isMeasured = title === "Measured";
  return (
    <section class="column prose">
      {title !== "" && <h2>{isMeasured ? "About the measurement" : title}</h2>}
      {/* The READMEs of this repository, rendered by the build. */}
      <div dangerouslySetInnerHTML={{ __html: html }} />
    </section>
  );
}

function Recorded({ page }: { readonly page: Page }): JSX.Element {
  const { slug, name, record, claims, seconds, command } = page;
  return (
    <section class="recorded" aria-labelledby="recorded">
      <div class="column">
        <h2 id="recorded">What was measured</h2>
        {record ? (
          <>
            <Verdicts counts={record.verdicts} />
            <p class="note">
              {record.recorded ? `Recorded ${record.recorded.slice(0, 10)}` : "Recorded"}
              {seconds ? `, a run of ${Math.ceil(seconds / 60)} minutes on two cores` : ""}.
              {record.judgedBy === "points" &&
                " These verdicts were judged by single numbers, before intervals and controls; they stand until the next full run."}
            </p>
          </>
        ) : (
          <p>
            The measurement can be run; no full result is recorded yet. The command below measures
            the claims on your machine.
          </p>
        )}
        {command && <CopyBlock label="Command that measures it" text={command} />}
      </div>
      {claims.length > 0 && <Claims claims={claims} />}
      {record && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls where the plot is wider than the screen
        <figure class="plot" tabIndex={0} aria-label={`Plot of ${name}`}>
          <img
            src={plotAddress(slug)}
            alt={`Plot of the recorded claims of ${name}, as listed above`}
          />
        </figure>
      )}
    </section>
  );
}

function Citing({ page }: { readonly page: Page }): JSX.Element {
  return (
    <section class="column">
      <h2>Citation</h2>
      <CopyBlock label="BibTeX" text={page.bibtex} />
    </section>
  );
}
