/** Finds code in documents and doc comments. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./packed-project.ts";

/** One block of code as it stands in a document. */
export interface CodeBlock {
  /** Path of the document in the repository. */
  readonly file: string;
  /** Line of its first line of code, from 1. */
  readonly line: number;
  /** What the fence says: `sh`, `ts`, `js`, `json`, `text`, …; `ts` for an `@example`. */
  readonly language: string;
  readonly code: string;
  /** The reason of `<!-- not run: reason -->` above the block. */
  readonly notRun?: string;
  /** True below `<!-- output -->`: what the block above prints. */
  readonly isOutput: boolean;
}

/** The fenced blocks of a Markdown document, in order. */
export function fencedBlocks(file: string): CodeBlock[] {
  const lines = readFileSync(join(repository, file), "utf8").split("\n");
  const blocks: CodeBlock[] = [];
  for (let at = 0; at < lines.length; at++) {
    const fence = /^( *)```(\S*)/.exec(lines[at]!);
    if (!fence) continue;
    const [, indent, language] = fence;
    const end = lines.findIndex((line, index) => index > at && line.trim() === "```");
    if (end < 0) throw new Error(`${file}:${at + 1}: the block is not closed`);
    const marker = lines.slice(0, at).findLast((line) => line.trim() !== "") ?? "";
    const reason = /^\s*<!-- not run: (.+) -->$/.exec(marker)?.[1];
    blocks.push({
      file,
      line: at + 2,
      language: language!,
      code: lines
        .slice(at + 1, end)
        .map((line) => line.slice(indent!.length))
        .join("\n"),
      ...(reason && { notRun: reason }),
      isOutput: /^\s*<!-- output -->$/.test(marker),
    });
    at = end;
  }
  return blocks;
}

/** The `@example` blocks of a source file, in order. */
export function exampleBlocks(file: string): CodeBlock[] {
  const lines = readFileSync(join(repository, file), "utf8").split("\n");
  const blocks: CodeBlock[] = [];
  for (let at = 0; at < lines.length; at++) {
    if (!/^\s*\* @example\s*$/.test(lines[at]!)) continue;
    const end = lines.findIndex((line, index) => index > at && /\*\/|^\s*\* @/.test(line));
    blocks.push({
      file,
      line: at + 2,
      language: "ts",
      code: lines
        .slice(at + 1, end)
        .map((line) => line.replace(/^\s*\* ?/, ""))
        .join("\n")
        .trimEnd(),
      isOutput: false,
    });
  }
  return blocks;
}
