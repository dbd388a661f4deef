/** `jeton inspect A B C --qtok`: the composition of tokenizers' vocabularies. */
import { readdir } from "node:fs/promises";
import { basename, join, parse, resolve } from "node:path";
import { writeFileAtomically } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/error.ts";
import {
  formatReport,
  inspectVocabularies,
  type LanguageText,
  type NamedTokenizer,
  renderReport,
  writeCsv,
} from "../../evaluate/qtok/index.ts";
import { loadTokenizer } from "../../tokenizer/index.ts";
import type { CommandContext } from "../context.ts";
import { type QtokDocument, writeJson } from "../json-output.ts";
import { readTextFile } from "../options/input.ts";
import { locateTokenizer } from "../options/locate.ts";

export interface InspectQtokOptions {
  /** Folder of parallel texts. */
  readonly texts: string | undefined;
  /** File that the report is written to as CSV. */
  readonly csv: string | undefined;
  /** File for the rendered report. */
  readonly svg: string | undefined;
  readonly json: boolean;
}

/** Reports on the vocabularies of the named tokenizers. */
export async function inspectQtok(
  context: CommandContext,
  names: readonly string[],
  options: InspectQtokOptions,
): Promise<void> {
  const tokenizers: NamedTokenizer[] = [];
  for (const name of names) {
    const path = await locateTokenizer(context, name);
    tokenizers.push({ name: shorten(name, tokenizers), tokenizer: await loadTokenizer(path) });
    context.signal.throwIfAborted();
  }
  const texts = options.texts === undefined ? [] : await readTexts(options.texts);
  const report = inspectVocabularies(tokenizers, { texts });
  if (options.csv !== undefined) await writeFileAtomically(options.csv, writeCsv(report));
  if (options.svg !== undefined) await writeFileAtomically(options.svg, renderReport(report));
  const { stdout } = context;
  if (options.json) await writeJson<QtokDocument>(stdout, report);
  else await stdout.write(`${formatReport(report)}\n`);
}

/** The last part of a path, or the whole path if another tokenizer has the same last part. */
function shorten(name: string, others: readonly NamedTokenizer[]): string {
  const short = basename(resolve(name));
  return others.some((other) => other.name === short) ? name : short;
}

/** One file per language, one sentence per line; all files have the same number of lines. */
async function readTexts(folder: string): Promise<LanguageText[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw new JetonError(`${folder} cannot be read, expected a folder of texts`, {
      code: "file-unreadable",
      details: { path: folder },
      cause,
    });
  });
  const files = entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
    .map((entry) => entry.name)
    .sort();
  return Promise.all(
    files.map(async (file) => ({
      language: parse(file).name,
      sentences: (await readTextFile(join(folder, file))).trimEnd().split(/\r?\n/),
    })),
  );
}
