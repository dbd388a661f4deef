/** Texts that methods learn from: in two languages, sentence by sentence, or in one, in pieces. */
import { JetonError } from "../core/index.ts";
import { readDocuments } from "../train/index.ts";

/** A sentence in the language of the source tokenizer, and the same in that of the target. */
export interface SentencePair {
  readonly source: string;
  readonly target: string;
}

/**
 * Reads two files with a sentence a line, plain or gzip. Pairs of which one side is empty are left
 * out.
 *
 * @throws JetonError `parallel-text-lengths` when the files have different numbers of lines, and
 *   the errors of reading them
 */
export async function readParallelText(
  sourceFile: string,
  targetFile: string,
): Promise<SentencePair[]> {
  const [sources, targets] = await Promise.all([readLines(sourceFile), readLines(targetFile)]);
  if (sources.length !== targets.length) {
    throw new JetonError(
      `${sourceFile} has ${sources.length} lines, ${targetFile} ${targets.length}; expected one sentence a line in both`,
      {
        code: "parallel-text-lengths",
        details: { sourceFile, targetFile, found: [sources.length, targets.length] },
      },
    );
  }
  return sources
    .map((source, line) => ({ source: source.trim(), target: targets[line]!.trim() }))
    .filter(({ source, target }) => source !== "" && target !== "");
}

/** Bytes of a piece of text that `readTexts` gives: about a training sequence. */
const pieceLength = 400;

/** Reads files as pieces of a few hundred characters, cut after words, none across two lines. */
export async function readTexts(files: readonly string[]): Promise<string[]> {
  const pieces: string[] = [];
  for (const file of files) {
    for (const line of await readLines(file)) {
      for (let rest = line.trim(); rest !== ""; ) {
        const space = rest.length > pieceLength ? rest.indexOf(" ", pieceLength) : -1;
        pieces.push(space < 0 ? rest : rest.slice(0, space));
        rest = space < 0 ? "" : rest.slice(space);
      }
    }
  }
  return pieces;
}

async function readLines(file: string): Promise<string[]> {
  let text = "";
  for await (const part of readDocuments({ files: [file] })) text += part.text;
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}
