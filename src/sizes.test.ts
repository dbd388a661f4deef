import { readdirSync, readFileSync } from "node:fs";
import { dirname, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const maxFileLines = 450;
const maxFunctionLines = 80;
const maxFolderSources = 25;

/** Files that may be longer, each with its reason. Only tables of data belong here. */
const longFiles: Readonly<Record<string, string>> = {
  "systems-table.ts": "a table of data: one entry for each published system",
};

const root = fileURLToPath(new URL(".", import.meta.url));
const files = readdirSync(root, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
  .map((entry) => relative(root, `${entry.parentPath}/${entry.name}`).replaceAll("\\", "/"))
  .sort();
const sources = files.filter((file) => !file.endsWith(".test.ts"));

function countLines(text: string): number {
  return text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
}

/** Functions with more lines than allowed, as `file:line name (lines)`. */
function findLongFunctions(file: string, text: string): string[] {
  const found: string[] = [];
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const lineOf = (position: number): number => source.getLineAndCharacterOfPosition(position).line;
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && "body" in node && node.body !== undefined) {
      const first = lineOf(node.getStart());
      const lines = lineOf(node.getEnd()) - first + 1;
      const name = node.name?.getText() ?? "(anonymous)";
      if (lines > maxFunctionLines) found.push(`${file}:${first + 1} ${name} (${lines} lines)`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

describe("sizes of files, functions and folders", () => {
  test("the check itself finds a long function and counts lines", () => {
    const long = `const run = () => {\n${"  step();\n".repeat(maxFunctionLines)}};\n`;
    expect(findLongFunctions("long.ts", long)).toEqual(["long.ts:1 (anonymous) (82 lines)"]);
    expect(countLines("a\nb\n")).toBe(2);
    expect(files.length).toBeGreaterThan(300);
  });

  test(`no file has more than ${maxFileLines} lines, tables of data apart`, () => {
    const long = files.filter(
      (file) => countLines(readFileSync(`${root}${file}`, "utf8")) > maxFileLines,
    );
    // An exception that is no longer needed must go as well.
    expect(long).toEqual(Object.keys(longFiles));
  });

  test(`no function of a source has more than ${maxFunctionLines} lines`, () => {
    const long = sources.flatMap((file) =>
      findLongFunctions(file, readFileSync(`${root}${file}`, "utf8")),
    );
    expect(long).toEqual([]);
  });

  test(`no folder has more than ${maxFolderSources} sources`, () => {
    const counts = new Map<string, number>();
    for (const file of sources) counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1);
    expect([...counts].filter(([, count]) => count > maxFolderSources)).toEqual([]);
  });
});
