/** One system in the feed. */
import type { JSX } from "preact";
import { type CatalogueEntry, plotAddress } from "../data.ts";
import { WithCode, withPercent } from "../parts/with-code.tsx";
import type { Piece } from "./search.ts";
import { Verdicts } from "./verdicts.tsx";

export interface SystemCardProps {
  readonly entry: CatalogueEntry;
  /** Marks words of the query. */
  readonly mark: (text: string) => readonly Piece[];
  /** Where the query's words stand in the system's README. */
  readonly excerpt?: string | undefined;
}

export function SystemCard({ entry, mark, excerpt }: SystemCardProps): JSX.Element {
  const { slug, name, paper, sentence, record, built } = entry;
  return (
    <article class={`card${built ? "" : " planned"}`}>
      <div class="text">
        <Origin entry={entry} />
        <h2>
          <a href={`#/systems/${slug}`} data-card={slug}>
            <Marked pieces={mark(name)} />
          </a>
        </h2>
        <p class="sentence">
          <Marked pieces={mark(sentence)} />
        </p>
        <p class="paper">
          <cite>
            <Marked pieces={mark(paper)} />
          </cite>
        </p>
        {excerpt !== undefined && (
          <p class="excerpt">
            <Marked pieces={mark(excerpt)} />
          </p>
        )}
        {record ? (
          <>
            <p class="claim-text">
              <WithCode text={record.leading.text} />
            </p>
            <dl class="leading">
              <div>
                <dt>measured</dt>
                <dd>{withPercent(record.leading.measured)}</dd>
              </div>
              {record.leading.baseline !== undefined && (
                <div>
                  <dt>beside</dt>
                  <dd>{withPercent(record.leading.baseline)}</dd>
                </div>
              )}
              <div>
                <dt>paper</dt>
                <dd>{withPercent(record.leading.paper)}</dd>
              </div>
            </dl>
            <Verdicts counts={record.verdicts} />
          </>
        ) : (
          <p class="status">
            {built ? "Built; its full measurement is not recorded yet." : "Not built yet."}
          </p>
        )}
      </div>
      {record && (
        <div class="thumbnail">
          <img src={plotAddress(slug)} alt="" loading="lazy" width="200" height="150" />
        </div>
      )}
    </article>
  );
}

/** Area, where and when it was published, when it was recorded. */
function Origin({ entry }: { readonly entry: CatalogueEntry }): JSX.Element {
  const { area, venue, year, arxiv, record } = entry;
  const published = venue ? `${venue} ${year}` : arxiv ? `arXiv ${year}` : String(year);
  return (
    <p class="origin">
      <span class="area">{area}</span>
      <span>{published}</span>
      {record?.recorded && (
        <span>
          recorded <time dateTime={record.recorded}>{record.recorded.slice(0, 10)}</time>
        </span>
      )}
    </p>
  );
}

function Marked({ pieces }: { readonly pieces: readonly Piece[] }): JSX.Element {
  return <>{pieces.map(({ text, hit }, at) => (hit ? <mark key={at}>{text}</mark> : text))}</>;
}
