import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { errorOf } from "../testing/code-of.ts";
import { testData } from "../testing/test-data.ts";
import { dataFiles, dataFolder, locateData } from "./registry.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "jeton-data-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe("the table", () => {
  test("names every file once, with a checksum, a licence and a public origin", () => {
    const files = [...dataFiles().values()];
    expect(files.length).toBeGreaterThan(150);
    for (const { name, address, sha256, licence, derived } of files) {
      expect(name).toMatch(/^[\w-]+(\/[\w.-]+)+$/);
      expect(sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(licence).not.toBe("");
      if (derived) expect(address).not.toBe("");
      else
        expect(address).toMatch(
          /^https:\/\/raw\.githubusercontent\.com\/[\w.-]+\/[\w.-]+\/[0-9a-f]{40}\/\S+$/,
        );
    }
    for (const name of [
      "text/tinyshakespeare.txt",
      "text/wikitext-2/test.txt",
      "text/pud/en.txt",
      "text/multi30k/train.en.gz",
      "models/tinystories-260k/model.safetensors",
    ]) {
      expect(dataFiles().has(name)).toBe(true);
    }
  });

  const data = testData(".");
  const { folder } = data;
  // The folder may hold more: the registry has what this version reads.
  test.skipIf(data.skip)("agrees with the manifest of the data folder", async () => {
    const manifest = JSON.parse(await readFile(join(folder, "manifest.json"), "utf8")) as {
      files: {
        file: string;
        sha256: string;
        source: string;
        path: string;
        commit: string;
        licence: string;
      }[];
    };
    const expected = manifest.files.map(({ file, sha256, source, path, commit, licence }) => ({
      name: file,
      sha256,
      licence,
      address: source.startsWith("github.com/")
        ? `https://raw.githubusercontent.com/${source.replace("github.com/", "")}/${commit}/${path}`
        : source,
    }));
    const known = expected.filter(({ name }) => dataFiles().has(name));
    expect(known.length).toBeGreaterThan(150);
    const wrong = known.filter(({ name, ...fields }) => {
      const file = dataFiles().get(name)!;
      return Object.entries(fields).some(
        ([key, value]) => file[key as keyof typeof file] !== value,
      );
    });
    expect(wrong).toEqual([]);
  });

  test.skipIf(data.skip)(
    "finds files and folders of the data folder, with their checksums",
    async () => {
      for (const name of [
        "text/gibbon",
        "text/tinyshakespeare.txt",
        "models/architectures",
        "models/tinystories-260k",
      ]) {
        expect(await locateData(name)).toBe(join(folder, name));
      }
    },
  );
});

describe("locateData", () => {
  test("an absent file: which one, where it comes from, and what was made of it", async () => {
    const { code, message, details } = await errorOf(
      locateData("text/pud/en.txt", { folder: root }),
    );
    expect(code).toBe("data-missing");
    expect(message).toContain("text/pud/en.txt");
    expect(message).toContain(
      "https://raw.githubusercontent.com/UniversalDependencies/UD_English-PUD/",
    );
    expect(message).toContain("# text lines");
    expect(details["files"]).toHaveLength(1);
  });

  test("no data folder at all, and a folder of which files are absent", async () => {
    const error = await errorOf(locateData("text/wikitext-2", { environment: {} }));
    expect(error.code).toBe("data-missing");
    expect(error.message).toContain("JETON_DATA");
    expect(error.details["files"]).toHaveLength(2);
    expect(dataFolder({})).toBeUndefined();
  });

  test("a file that is another", async () => {
    await mkdir(join(root, "text"), { recursive: true });
    await writeFile(join(root, "text/tinyshakespeare.txt"), "To be");
    expect((await errorOf(locateData("text/tinyshakespeare.txt", { folder: root }))).code).toBe(
      "data-checksum-mismatch",
    );
  });

  test("a mistyped name is told the nearest file or folder", async () => {
    const near = async (name: string) => (await errorOf(locateData(name))).details["expected"];
    expect(await near("text/tinyshakespear.txt")).toBe("text/tinyshakespeare.txt");
    expect(await near("text/gibon")).toBe("text/gibbon");
  });

  test("a name that is not in the registry, even if the folder contains it", async () => {
    await writeFile(join(root, "other.txt"), "");
    for (const name of [
      "other.txt",
      "",
      "..",
      "text/",
      "text/gib",
      "/etc/passwd",
      "text/../other.txt",
    ]) {
      expect((await errorOf(locateData(name, { folder: root }))).code).toBe("data-unknown");
    }
  });
});
