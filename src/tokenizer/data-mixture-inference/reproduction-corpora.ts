/** The corpora of the reproduction, read from the data folder. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { ReproductionContext } from "../../reproduce/index.ts";

/** What reading a corpus needs of the run. */
type CorpusContext = Pick<ReproductionContext<string>, "data">;

/** Documents of one category. */
export interface Corpus {
  readonly name: string;
  readonly documents: readonly string[];
}

export async function loadBible(context: CorpusContext): Promise<Corpus[]> {
  const corpora: Corpus[] = [];
  for (const name of ["Swahili", "Zulu", "Latvian", "Ukrainian", "Basque"]) {
    const xml = await readFile(await context.data(`text/bible/${name}-NT.xml`), "utf8");
    const verses = [...xml.matchAll(/<seg[^>]*>\s*([^<]*?)\s*<\/seg>/g)].map(
      ([, verse]) => `${verse}\n`,
    );
    corpora.push({ name, documents: verses });
  }
  return corpora;
}

/** Paragraphs of the first twenty chapters, without their indentation. */
export async function loadHistory(context: CorpusContext): Promise<string[]> {
  const folder = await context.data("text/gibbon");
  const { readdir } = await import("node:fs/promises");
  const names = (await readdir(folder)).sort().slice(0, 20);
  const chapters = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
  return chapters.flatMap((chapter) =>
    chapter
      .split(/\n\s*\n/)
      .map((paragraph) => `${paragraph.trim().replace(/\s*\n\s*/g, " ")}\n`)
      .filter((paragraph) => paragraph.length > 1),
  );
}

/** WikiText's paragraphs, with the spaces before punctuation taken back. */
export async function loadEncyclopedia(context: CorpusContext): Promise<string[]> {
  const text = await readFile(await context.data("text/wikitext-2/valid.txt"), "utf8");
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("="))
    .map((line) => {
      const joined = line
        .replace(/ @([-,.])@ /g, "$1")
        .replace(/ ([,.;:!?)\]]|'s|n't|'re|'ve|'ll|'d|'m)(?= |$)/g, "$1")
        .replace(/([([]) /g, "$1")
        .replace(/" ([^"]*?) "/g, '"$1"')
        .replaceAll("<unk>", "Smith");
      return `${joined}\n`;
    });
}

/** Functions of CoSQA and HumanEval, each once. */
export async function loadPython(context: CorpusContext): Promise<string[]> {
  const cosqa = JSON.parse(await readFile(await context.data("code/cosqa-dev.json"), "utf8")) as {
    code: string;
  }[];
  const packed = await readFile(
    await context.data("code/humaneval-infilling-single-line.jsonl.gz"),
  );
  const tasks = new Map<string, string>();
  for (const line of gunzipSync(packed).toString("utf8").trim().split("\n")) {
    const task = JSON.parse(line) as Record<string, string>;
    tasks.set(
      task["entry_point"]!,
      `${task["prompt"]}${task["canonical_solution"]}${task["suffix"]}\n`,
    );
  }
  return [...new Set([...cosqa.map(({ code }) => `${code}\n`), ...tasks.values()])];
}

/** Methods of CONCODE, each once; they come with spaces between all tokens. */
export async function loadJava(context: CorpusContext): Promise<string[]> {
  const text = await readFile(await context.data("code/concode-dev.json"), "utf8");
  const lines = text.trim().split("\n");
  return [...new Set(lines.map((line) => `${(JSON.parse(line) as { code: string }).code}\n`))];
}

/** TypeScript of three published packages, in groups of lines. */
export async function loadTypeScript(context: CorpusContext): Promise<string[]> {
  const texts: string[] = [];
  for (const name of ["mobx", "trpc-client", "trpc-server"]) {
    const packed = await readFile(await context.data(`code/typescript/${name}.jsonl.gz`));
    for (const line of gunzipSync(packed).toString("utf8").trim().split("\n")) {
      texts.push((JSON.parse(line) as { text: string }).text);
    }
  }
  return texts.flatMap(groupLines);
}

/** Lines in groups of twenty. */
export function groupLines(text: string): string[] {
  const lines = text.split("\n");
  const groups: string[] = [];
  for (let i = 0; i < lines.length; i += 20) groups.push(`${lines.slice(i, i + 20).join("\n")}\n`);
  return groups;
}
