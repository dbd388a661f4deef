import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { bundledModelFolder } from "../../checkpoint/index.ts";
import { openIndex } from "../../retrieve/index.ts";
import { testData } from "../../testing/test-data.ts";
import type { IndexDocument, SearchDocument } from "../json-output.ts";
import { runCommand } from "../testing/run-command.ts";

const root = mkdtempSync(join(tmpdir(), "jeton-search-"));
afterAll(() => rmSync(root, { recursive: true }));
const notes = join(root, "notes");
const folder = join(root, "index");

mkdirSync(join(notes, "deep", ".hidden"), { recursive: true });
const write = (name: string, text: string | Uint8Array) => writeFileSync(join(notes, name), text);
write("castle.md", "# Castle\n\nThe king lives in a castle.\nThe queen rides a horse.\n");
write("deep/river.txt", "A river of stones.\n\nNo king has seen it.\n");
write("deep/.hidden/secret.txt", "king king king\n");
write("binary.bin", Uint8Array.of(107, 105, 110, 103, 0));
write(
  "more.jsonl",
  '{"id": "x", "title": "Wine", "text": "Bread and wine", "year": 1800}\n{"text": "Swords"}\n',
);

const index = async (...args: string[]) => {
  const { status, stdout, stderr } = await runCommand([
    "index",
    "--index",
    folder,
    "--json",
    "--words",
    ...args,
  ]);
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return JSON.parse(stdout) as IndexDocument;
};

const search = async (...args: string[]) => {
  const { status, stdout } = await runCommand(["search", "--index", folder, "--json", ...args]);
  expect(status).toBe(0);
  return JSON.parse(stdout) as SearchDocument;
};

describe("jeton index and jeton search", () => {
  test("files become passages; a query finds them, with its words in the snippet", async () => {
    const made = await index("--size", "40", notes);
    expect(made).toMatchObject({ files: 3, unchanged: 0, skipped: 1, removed: 0, total: 7 });
    const { hits } = await search("king", "castle");
    const [first] = hits;
    expect(hits).toHaveLength(3);
    expect(first!.fields["line"]).toBe(3);
    expect(first!.fields["path"]).toBe(join(notes, "castle.md"));
    const { text, highlights } = first!.snippet;
    expect(highlights.map(([start, end]) => text.slice(start, end))).toEqual(["king", "castle"]);
    expect(first).not.toHaveProperty("matches");
  });

  test("records of JSON lines keep their ids and fields", async () => {
    const filter = JSON.stringify({ range: ["year", { lt: 1900 }] });
    const { hits } = await search("wine swords", "--filter", filter, "--explain");
    expect(hits.map(({ id }) => id)).toEqual([`${join(notes, "more.jsonl")}#x`]);
    expect(hits[0]!.matches!.map(({ term }) => term)).toEqual(["wine", "wine"]);
  });

  test("again: unchanged files are left alone, changed ones replaced, vanished ones removed", async () => {
    expect(await index(notes)).toMatchObject({ files: 0, unchanged: 3, records: 0, total: 7 });
    write("castle.md", "A dragon.\n");
    utimesSync(join(notes, "castle.md"), 1, 1);
    rmSync(join(notes, "deep"), { recursive: true });
    const { files, removed, total } = await index(notes);
    expect({ files, removed, total }).toEqual({ files: 1, removed: 4, total: 3 });
    expect((await search("king")).hits).toEqual([]);
    expect((await search("dragon")).hits).toHaveLength(1);
  });

  test("passages that a killed run left behind are removed", async () => {
    const path = join(notes, "castle.md");
    const opened = await openIndex(folder);
    await opened.put([
      { id: `${path}#9`, text: "An old king", fields: { path, modified: 0, bytes: 1 } },
    ]);
    await opened.close();
    expect((await search("king")).hits).toHaveLength(1);
    expect(await index(notes)).toMatchObject({ files: 1, removed: 1, total: 3 });
    expect((await search("king")).hits).toEqual([]);
  });

  test("for people: place, score, marked words, reasons", async () => {
    const { stdout, stderr } = await runCommand(["search", "-i", folder, "dragon", "--explain"]);
    expect(stdout).toContain(`${join(notes, "castle.md")}:1 bm25 `);
    expect(stdout).toContain('dragon: "dragon"');
    expect(stderr).toContain("1 passage of 3");
    const colours = await runCommand(["search", "-i", folder, "dragon"], { isTerminal: true });
    expect(colours.stdout).toContain("\u001b[1m\u001b[32mdragon\u001b[39m\u001b[22m");
  });

  test("a mistyped path makes no index", async () => {
    const place = join(root, "unmade");
    const line = ["index", "--words", "-i", place, join(root, "ntoes")];
    expect(await runCommand(line)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("(file-not-found)"),
    });
    expect(existsSync(place)).toBe(false);
  });

  test("an index among its files reads itself never, and cannot be the folder that it reads", async () => {
    const place = join(root, "around");
    mkdirSync(place);
    writeFileSync(join(place, "one.txt"), "A dragon.\n");
    const line = ["index", "--words", "--json", place, "-i"];
    for (const unchanged of [0, 1]) {
      const { stdout } = await runCommand([...line, join(place, "own.index")]);
      expect(JSON.parse(stdout)).toMatchObject({ unchanged, skipped: 0, total: 1 });
    }
    const { status, stderr } = await runCommand([...line, place]);
    expect(status).toBe(2);
    expect(stderr).toContain("option-conflict");
  });

  test("what an index was made with stays, and the error says what to do", async () => {
    const { status, stderr } = await runCommand(["index", "-i", folder, "--size", "50", notes]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/size "40", not "50"; what .* leave the option out.*\(index-settings\)/);
  });

  test("mistakes are named", async () => {
    const fail = async (...args: string[]) => {
      const { status, stderr } = await runCommand(args);
      return [status, /\(([a-z-]+)\)\s*$/.exec(stderr)?.[1]];
    };
    expect(await fail("search", "-i", join(root, "none"), "x")).toEqual([1, "index-not-found"]);
    expect(await fail("search", "-i", folder, " ")).toEqual([2, "text-missing"]);
    expect(await fail("search", "-i", folder, "x", "--filter", "{")).toEqual([2, "option-invalid"]);
    expect(await fail("search", "-i", folder, "x", "--filter", "{}")).toEqual([
      1,
      "filter-invalid",
    ]);
    expect(await fail("search", "-i", folder, "x", "--by", "meaning")).toEqual([
      2,
      "option-conflict",
    ]);
    expect(await fail("index", "-i", folder, notes, "--tokens")).toEqual([1, "index-settings"]);
    expect(await fail("index", notes, "--tokens", "--words")).toEqual([2, "option-conflict"]);
    expect(await fail("index", "-i", folder, join(root, "none"))).toEqual([1, "file-not-found"]);
    expect(await fail("index", "-i", folder, notes, "--stem")).toEqual([1, "index-settings"]);
  });
});

test("without a model, passages have vectors of the bundled encoder, too", async () => {
  const own = join(root, "index-bundled");
  const made = await runCommand(["index", "-i", own, notes, "--json"]);
  expect(made.status).toBe(0);
  const { total } = JSON.parse(made.stdout) as IndexDocument;
  const found = await runCommand(["search", "-i", own, "monster", "--by", "meaning", "--json"]);
  const { hits } = JSON.parse(found.stdout) as SearchDocument;
  expect(hits).toHaveLength(total);
  expect(hits[0]!.text).toContain("dragon");
  const conflict = await runCommand(["index", "-i", own, notes, "--words"]);
  expect(conflict.stderr).toContain("(option-conflict)");
});

test("vectors of other weights than the index's are refused, not compared", async () => {
  const model = join(root, "encoder");
  cpSync(bundledModelFolder("jeton-embed"), model, { recursive: true });
  const own = join(root, "index-of-weights");
  const made = await runCommand(["index", "-i", own, notes, "-m", model, "--json"]);
  expect(made.status).toBe(0);
  const weights = join(model, "model.safetensors");
  const bytes = readFileSync(weights);
  // The first weight of the first tensor, as little-endian float16.
  bytes[8 + Number(bytes.readBigUInt64LE(0)) + 1]! ^= 0x80;
  writeFileSync(weights, bytes);
  for (const command of [
    ["search", "-i", own, "monster"],
    ["index", "-i", own, notes],
  ]) {
    const { status, stderr } = await runCommand(command);
    expect(status).toBe(1);
    expect(stderr).toContain("(index-model-differs)");
    expect(stderr).toContain(model);
  }
  const words = await runCommand(["search", "-i", own, "king", "--by", "words"]);
  expect(words.status).toBe(0);
});

const families = testData("models/families/st-mean");

describe.skipIf(families.skip)("with an encoder", () => {
  test.each([
    ["st-mean", []],
    ["colbert", ["--tokens"]],
  ])("%s: passages are found without a common word, and by both rankings", async (name, flags) => {
    const model = join(families.folder, "..", name);
    const own = join(root, `index-${name}`);
    const made = await runCommand([
      "index",
      "-i",
      own,
      notes,
      "--model",
      model,
      "--json",
      ...flags,
    ]);
    expect(made.stderr).not.toContain("error");
    expect(made.status).toBe(0);
    const ask = async (...args: string[]) => {
      const { status, stdout } = await runCommand(["search", "-i", own, "--json", ...args]);
      expect(status).toBe(0);
      return (JSON.parse(stdout) as SearchDocument).hits;
    };
    const part = flags.length > 0 ? "token" : "dense";
    const hits = await ask("zebra", "--by", "meaning", "--explain");
    expect(hits).toHaveLength((JSON.parse(made.stdout) as IndexDocument).total);
    expect(Object.keys(hits[0]!.parts)).toEqual([part]);
    const both = await ask("dragon");
    expect(both[0]!.text).toContain("dragon");
    expect(Object.keys(both[0]!.parts).sort()).toEqual(["bm25", part].sort());
    expect(await ask("zebra", "--by", "words")).toEqual([]);
    if (part === "token") expect(hits[0]!.matches!.length).toBeGreaterThan(1);
  });
});
