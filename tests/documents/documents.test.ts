/**
 * Code in documents and doc comments, run in a project that has installed the packed package. Blocks of one document
 * run in order in one folder. `<!-- not run: reason -->` above a block leaves it out, `<!-- output -->` says that
 * the block is what the one above prints. README.md has a test of its own.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { transform } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CodeBlock, exampleBlocks, fencedBlocks } from "./code-blocks.ts";
import { type ExampleScope, exampleScopes, internalExamples } from "./example-scopes.ts";
import { createPackedProject, type PackedProject, repository } from "./packed-project.ts";
import { checkTypes, makeWorkplace, nameOfBlock, runBlock, runProgram } from "./run-block.ts";

const tracked = (...patterns: readonly string[]): string[] =>
  execFileSync("git", ["ls-files", "--", ...patterns], { cwd: repository, encoding: "utf8" })
    .split("\n")
    .filter(Boolean);

const documents = tracked(
  "docs/**/*.md",
  "docs/*.md",
  "CONTRIBUTING.md",
  "examples/*.md",
  "src/**/README.md",
);
const blocksOf = new Map(documents.map((file) => [file, fencedBlocks(file)]));
const programs = (block: CodeBlock): boolean => block.language === "ts" || block.language === "js";
const examples = tracked("src/*.ts", "src/**/*.ts")
  .filter((file) => !internalExamples.includes(file))
  .flatMap(exampleBlocks);

/** The anchors of a document's headings, as GitHub makes them. */
function headingsOf(file: string): string[] {
  const text = readFileSync(join(repository, file), "utf8");
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** The key of an example in the table of scopes. */
function scopeName(block: CodeBlock): string {
  const index = examples.filter(({ file }) => file === block.file).indexOf(block);
  return index === 0 ? block.file : `${block.file}#${index + 1}`;
}

const scopeOf = (block: CodeBlock): ExampleScope | undefined => exampleScopes[scopeName(block)];

/** An example with what surrounds it. */
function wholeExample(block: CodeBlock): string {
  const scope = scopeOf(block);
  return `${scope?.before ?? ""}${block.code}\n${scope?.after ?? ""}\n`;
}

let project: PackedProject;
beforeAll(() => {
  project = createPackedProject();
}, 120_000);
afterAll(() => project?.remove());

describe("documents", { timeout: 240_000 }, () => {
  test("every fence names its language", () => {
    const known = ["sh", "ts", "js", "json", "html", "mermaid", "text"];
    for (const block of [...blocksOf.values()].flat()) {
      expect(known, `${block.file}:${block.line}`).toContain(block.language);
    }
  });

  test.each([
    ["docs/errors.md", ["scripts/error-codes.mjs"]],
    ["the table of systems in README.md", ["--import", "tsx", "scripts/systems-table.mjs"]],
  ])("%s is what its script writes", (_name, args) => {
    // Its message says how to write it anew.
    execFileSync(process.execPath, [...args, "--check"], { cwd: repository, stdio: "pipe" });
  });

  test("links between documents lead to files and headings", () => {
    const broken: string[] = [];
    for (const file of [...documents, "README.md", "CHANGELOG.md", "SECURITY.md"]) {
      const text = readFileSync(join(repository, file), "utf8");
      for (const [, target, heading] of text.matchAll(
        /\]\((?!https?:)([^)#\s]*)(?:#([\w-]+))?\)/g,
      )) {
        const path = target === "" ? file : join(dirname(file), target!);
        const exists = existsSync(join(repository, path));
        if (!exists || (heading && !headingsOf(path).includes(heading))) {
          broken.push(`${file}: ${target}${heading ? `#${heading}` : ""}`);
        }
      }
    }
    expect(broken).toEqual([]);
  });

  const runnable = documents.filter((file) =>
    blocksOf.get(file)!.some((block) => programs(block) || block.language === "sh"),
  );
  test.each(runnable)("%s", async (file) => {
    const folder = makeWorkplace(project, file.replaceAll("/", "-"));
    let printed: string | undefined;
    for (const block of blocksOf.get(file)!) {
      const place = `${file}:${block.line}`;
      if (block.isOutput) {
        const help = "help in docs/commands: npm run build && node scripts/command-help.mjs";
        expect(block.code.trim(), `${place} (${help})`).toBe(printed?.trim());
        continue;
      }
      printed = undefined;
      if (block.notRun !== undefined) continue;
      // It would change the packages of the test's own project.
      expect(block.code, place).not.toMatch(/\bnpm (?:install|ci)\b/);
      if (block.language === "json") JSON.parse(block.code);
      if (block.language !== "sh" && !programs(block)) continue;
      const { status, stdout, stderr } = await runBlock(block, project, folder);
      expect(status, `${place}\n${stderr}`).toBe(0);
      printed = stdout;
    }
  });

  test("programs in documents and examples are strict TypeScript", async () => {
    const files = new Map<string, string>();
    for (const block of [...blocksOf.values()].flat()) {
      if (programs(block) && block.notRun === undefined) files.set(nameOfBlock(block), block.code);
    }
    for (const block of examples) files.set(nameOfBlock(block), wholeExample(block));
    for (const name of tracked("examples/*.ts")) {
      files.set(name.replaceAll("/", "-"), readFileSync(join(repository, name), "utf8"));
    }
    expect(await checkTypes(files, project)).toBe("");
  });
});

describe("@example", { timeout: 240_000 }, () => {
  test("each has a scope, and each scope an example", () => {
    expect(examples.map(scopeName).sort()).toEqual(Object.keys(exampleScopes).sort());
  });

  test("all run, one after the other", async () => {
    const folder = makeWorkplace(project, "doc-comments");
    const run = examples.filter((block) => scopeOf(block)?.notRun === undefined);
    expect(run.length).toBeGreaterThan(20);
    for (const block of run) {
      const { code } = await transform(wholeExample(block), { loader: "ts", target: "es2022" });
      writeFileSync(join(folder, nameOfBlock(block, "mjs")), code);
    }
    const names = run.map((block) => nameOfBlock(block, "mjs"));
    writeFileSync(
      join(folder, "all.mjs"),
      `for (const name of ${JSON.stringify(names)}) {
  try {
    await import(\`./\${name}\`);
    console.log(\`\\nexample done: \${name}\`);
  } catch (error) {
    console.error(name, error);
    process.exitCode = 1;
  }
}
`,
    );
    const { status, stdout, stderr } = await runProgram(
      process.execPath,
      ["all.mjs"],
      project,
      folder,
    );
    expect(status, stderr).toBe(0);
    expect([...stdout.matchAll(/^example done: (.+)$/gm)].map(([, name]) => name)).toEqual(names);
  });
});
