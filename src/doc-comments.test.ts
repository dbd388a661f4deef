import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Sources of the entries in package.json. */
function listEntries(): string[] {
  const { exports } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as {
    exports: Record<string, string | { default: string }>;
  };
  return Object.values(exports).flatMap((entry) =>
    typeof entry === "string"
      ? []
      : [`${root}${entry.default.replace("./dist/", "src/").replace(/\.js$/, ".ts")}`],
  );
}

/** Exports of the files that have no doc comment, as `file name`. */
function findUndocumented(files: readonly string[], host?: ts.CompilerHost): string[] {
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    allowImportingTsExtensions: true,
    noEmit: true,
    types: [],
  };
  const program = ts.createProgram(files, options, host);
  const checker = program.getTypeChecker();
  const undocumented = new Set<string>();
  for (const file of files) {
    const module = checker.getSymbolAtLocation(program.getSourceFile(file)!);
    for (const exported of checker.getExportsOfModule(module!)) {
      const isAlias = (exported.flags & ts.SymbolFlags.Alias) !== 0;
      const symbol = isAlias ? checker.getAliasedSymbol(exported) : exported;
      const source = symbol.declarations?.[0]?.getSourceFile().fileName;
      if (source === undefined || symbol.getDocumentationComment(checker).length > 0) continue;
      undocumented.add(`${relative(root, source)} ${symbol.name}`);
    }
  }
  return [...undocumented].sort();
}

describe("doc comments", () => {
  test("the check finds an export without one", () => {
    const text = "/** Says one. */\nexport const one = 1;\nexport const two = 2;\n";
    const host = ts.createCompilerHost({});
    const { getSourceFile } = host;
    const file = `${root}made-up.ts`;
    host.getSourceFile = (name, ...rest) =>
      name === file
        ? ts.createSourceFile(name, text, ts.ScriptTarget.ESNext)
        : getSourceFile.call(host, name, ...rest);
    expect(findUndocumented([file], host)).toEqual(["made-up.ts two"]);
  });

  test("every export of the package has one", () => {
    const entries = listEntries();
    expect(entries.length).toBeGreaterThan(10);
    expect(findUndocumented(entries)).toEqual([]);
  });

  test("every error code that a comment names is in docs/errors.md", () => {
    const document = readFileSync(`${root}docs/errors.md`, "utf8");
    const files = execFileSync("git", ["ls-files", "--", "src"], { cwd: root, encoding: "utf8" })
      .split("\n")
      .filter((path) => /\.ts$/.test(path) && !/\.test\.ts$|\/reproduction-[^/]*$/.test(path));
    const unlisted = files.flatMap((path) =>
      [...readFileSync(`${root}${path}`, "utf8").matchAll(/\/\*\*.*?\*\//gs)]
        .flatMap(([comment]) =>
          comment.split(/(?=@[a-z])/).filter((tag) => tag.startsWith("@throws")),
        )
        .flatMap((tag) => [...tag.matchAll(/`([a-z0-9]+(?:-[a-z0-9]+)+)`/g)])
        .filter(([, code]) => !document.includes(`| \`${code}\` |`))
        .map(([, code]) => `${path} ${code}`),
    );
    expect(files.length).toBeGreaterThan(500);
    expect(unlisted).toEqual([]);
  });
});
