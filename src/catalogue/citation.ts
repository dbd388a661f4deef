/** What the citation line of a system's README says: authors, venue, year; and BibTeX made of it. */
import type { SystemEntry } from "../systems.ts";

/** A paper as its citation names it. */
export interface Citation {
  /** One name each; the last may be `others`. Empty where no README names them. */
  readonly authors: readonly string[];
  /** Conference or journal, where there is one. */
  readonly venue?: string;
  readonly year: number;
}

/**
 * Reads a citation as READMEs write it: `A, B: *Title.* VENUE YEAR, arXiv ID.`
 *
 * @param text Markdown of the citation; undefined where there is no README: the year is the identifier's
 */
export function readCitation(
  text: string | undefined,
  { paper, arxiv }: Pick<SystemEntry, "paper" | "arxiv">,
): Citation {
  const plain = (text ?? "")
    .replace(/[*[\]]/g, "")
    .replace(/\s+/g, " ")
    .trim();
  const colon = plain.indexOf(": ");
  const authors = colon < 0 ? [] : splitAuthors(plain.slice(0, colon));
  const [before] = plain.slice(colon + 1).split(/[.,]? *arXiv/);
  const found = /(?:^|[.?!,] +)([A-Z][^.?!,]*?),? (20\d\d)$/.exec(before ?? "");
  const year = /(20\d\d)$/.exec(before ?? "")?.[1] ?? `20${(arxiv ?? "").slice(0, 2)}`;
  const venue = found?.[1];
  const isTitle = venue === undefined || lettersOf(paper).includes(lettersOf(venue));
  return { authors, year: Number(year), ...(!isTitle && { venue }) };
}

function splitAuthors(list: string): string[] {
  return list
    .replace(/ (?:and others|et al\.)$/, ", others")
    .split(/, | and /)
    .filter((name) => name !== "");
}

const lettersOf = (text: string): string => text.toLowerCase().replace(/[^a-z]/g, "");

/** The citation as a BibTeX entry. */
export function writeBibtex(
  { paper, arxiv, slug }: Pick<SystemEntry, "paper" | "arxiv" | "slug">,
  { authors, venue, year }: Citation,
): string {
  const family = authors[0]?.split(" ").at(-1) ?? slug;
  const word = paper.split(/[^\p{L}\p{N}]+/u).find((part) => part.length > 3) ?? slug;
  const key = lettersOf(family) + year + lettersOf(word);
  const fields: [name: string, value: string | undefined][] = [
    ["title", `{${paper}}`],
    ["author", authors.length > 0 ? authors.join(" and ") : undefined],
    [venue?.includes("Journal") ? "journal" : "booktitle", venue],
    ["year", String(year)],
    ["eprint", arxiv],
    ["archivePrefix", arxiv && "arXiv"],
  ];
  const kind =
    venue === undefined ? "misc" : venue.includes("Journal") ? "article" : "inproceedings";
  const lines = fields.flatMap(([name, value]) =>
    value === undefined ? [] : [`  ${name} = {${value}}`],
  );
  return `@${kind}{${key},\n${lines.join(",\n")}\n}`;
}
