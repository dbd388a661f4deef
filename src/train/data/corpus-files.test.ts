import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOf } from "../../testing/code-of.ts";
import { readDocuments } from "./corpus.ts";
import { describeCorpusName, listCorpusFiles } from "./corpus-files.ts";

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "jeton-corpus-"));
  for (const name of [
    "a.txt",
    "b.md",
    "c.jsonl",
    "odd [1]*.txt",
    ".hidden.txt",
    "deep/d.txt",
    "deep/er/e.txt",
    "deep/er/f.text",
    ".git/g.txt",
  ]) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), name.endsWith("jsonl") ? '"line"\n' : `in ${name}`);
  }
  symlinkSync(join(root, "a.txt"), join(root, "deep", "link.txt"));
  symlinkSync(join(root, "nowhere"), join(root, "deep", "broken.txt"));
  mkdirSync(join(root, "empty"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** The files below `root`, relative to it. */
async function list(...names: string[]): Promise<string[]> {
  const files = await listCorpusFiles(names.map((name) => join(root, name)));
  return files.map((file) => file.slice(root.length + 1));
}

describe("listCorpusFiles", () => {
  test("a folder is all its files that are not hidden, in an order that does not depend on the disk", async () => {
    const files = ["d.txt", "er/e.txt", "er/f.text", "link.txt"].map((name) => `deep/${name}`);
    expect(await list("deep")).toEqual(files);
    expect(await list(".")).toEqual(["a.txt", "b.md", "c.jsonl", ...files, "odd [1]*.txt"]);
  });

  test.each([
    ["*.txt", ["a.txt", "odd [1]*.txt"]],
    ["?.*", ["a.txt", "b.md", "c.jsonl"]],
    ["**/*.txt", ["a.txt", "deep/d.txt", "deep/er/e.txt", "deep/link.txt", "odd [1]*.txt"]],
    ["deep/**", ["deep/d.txt", "deep/er/e.txt", "deep/er/f.text", "deep/link.txt"]],
    ["*.{md,jsonl}", ["b.md", "c.jsonl"]],
    ["d*/*/e.txt", ["deep/er/e.txt"]],
    [".*.txt", [".hidden.txt"]],
  ])("%s", async (pattern, expected) => {
    expect(await list(pattern)).toEqual(expected);
  });

  test("names keep their order, and a file whose name looks like a pattern is itself", async () => {
    expect(await list("b.md", "odd [1]*.txt", "a.txt")).toEqual(["b.md", "odd [1]*.txt", "a.txt"]);
  });

  test("what is not there is said", async () => {
    expect(await codeOf(list("nothing.txt"))).toBe("corpus-file-unreadable");
    expect(await codeOf(list("*.pdf"))).toBe("corpus-nothing-matches");
    expect(await codeOf(list("no/such/folder/*"))).toBe("corpus-nothing-matches");
    expect(await codeOf(list("empty"))).toBe("corpus-nothing-matches");
    expect(await codeOf(listCorpusFiles(["data:no/such/data"]))).toBe("data-unknown");
  });
});

test("a file that is no text is refused by its name", async () => {
  writeFileSync(join(root, "picture.png"), Buffer.from([137, 80, 78, 71, 0, 1]));
  const read = async (): Promise<void> => {
    for await (const part of readDocuments({ files: [join(root, "*.png")] })) expect(part).toBe("");
  };
  await expect(read()).rejects.toThrow(/picture\.png is not UTF-8 text/);
  expect(await codeOf(read())).toBe("corpus-file-binary");
});

test("names for people", () => {
  expect(describeCorpusName("/home/me/prose.txt")).toBe("prose.txt");
  expect(describeCorpusName("books/")).toBe("books");
  expect(describeCorpusName("data:text/gibbon")).toMatch(/^data:text\/gibbon \(.*[a-z].*\)$/);
});

const data = process.env["JETON_DATA"];
if (!data) console.log("corpora of the registry: skipped, JETON_DATA is not set");
test.skipIf(!data)("data of the registry, by file and by folder", async () => {
  const gibbon = await listCorpusFiles(["data:text/gibbon"]);
  expect(gibbon.length).toBeGreaterThan(1);
  expect(gibbon).toEqual([...gibbon].sort());
  expect(await listCorpusFiles(["data:text/tinyshakespeare.txt"])).toEqual([
    join(data!, "text/tinyshakespeare.txt"),
  ]);
});
