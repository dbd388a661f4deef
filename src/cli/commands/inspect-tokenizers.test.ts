import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { saveTokenizer, trainTokenizer } from "../../tokenizer/index.ts";
import { runCommand } from "../testing/run-command.ts";

const english = "the dog and the cat look at the book that you want to see\n";
const numbers = "17 + 4 = 21; 3 * 8 = 24; x[1] = y[2] + z[3];\n";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jeton-inspect-tokenizers-"));
  for (const [name, kind] of [
    ["bytes", "byte-level-bpe"],
    ["pieces", "unigram"],
  ] as const) {
    const texts = [english.repeat(60), numbers.repeat(20)];
    const trained = await trainTokenizer({ kind, vocabSize: 330, texts });
    await saveTokenizer(join(folder, name), trained);
  }
  mkdirSync(join(folder, "samples"));
  writeFileSync(join(folder, "samples", "prose.txt"), english.repeat(30));
  writeFileSync(join(folder, "samples", "code.txt"), numbers.repeat(30));
  mkdirSync(join(folder, "texts"));
  writeFileSync(join(folder, "texts", "en.txt"), "the dog\nthe cat\n");
  writeFileSync(join(folder, "texts", "de.txt"), "der Hund\ndie Katze\n");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("jeton inspect --mixture", () => {
  test("says how much of each kind of text there was", async () => {
    const args = ["inspect", join(folder, "bytes"), "--mixture", join(folder, "samples")];
    const { status, stdout } = await runCommand([...args, "--json"]);
    expect(status).toBe(0);
    const { shares, merges } = JSON.parse(stdout) as {
      shares: { name: string; share: number }[];
      merges: number;
    };
    expect(shares.map(({ name }) => name)).toEqual(["code", "prose"]);
    expect(shares[0]!.share + shares[1]!.share).toBeCloseTo(1);
    expect(shares[1]!.share).toBeGreaterThan(shares[0]!.share);
    const few = await runCommand([...args, "--merges", "20"]);
    expect(few.stdout).toMatch(/^prose +\d+\.\d\d % /m);
    expect(few.stdout).toContain("20 merges read");
    expect(merges).toBeGreaterThan(20);
  });

  test("refuses tokenizers without merges, and folders without samples", async () => {
    const refused = await runCommand([
      ...["inspect", join(folder, "pieces"), "--mixture", join(folder, "samples"), "--json"],
    ]);
    expect(refused).toMatchObject({ status: 1, stdout: "" });
    expect(JSON.parse(refused.stderr).error.code).toBe("mixture-not-bpe");
    const absent = await runCommand([
      "inspect",
      join(folder, "bytes"),
      "--mixture",
      join(folder, "no"),
    ]);
    expect(absent.status).toBe(1);
    const both = await runCommand([
      "inspect",
      join(folder, "bytes"),
      "--qtok",
      "--mixture",
      folder,
    ]);
    expect(both.status).toBe(2);
  });
});

describe("jeton inspect --qtok", () => {
  test("reports on several vocabularies as tables, JSON, CSV and a page", async () => {
    const names = [join(folder, "bytes"), join(folder, "pieces")];
    const texts = ["--texts", join(folder, "texts")];
    const { status, stdout, stderr } = await runCommand([
      "inspect",
      ...names,
      "--qtok",
      ...texts,
      "--json",
    ]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const report = JSON.parse(stdout) as {
      vocabularies: { name: string; text: { language: string; parity: number }[] }[];
    };
    expect(report.vocabularies.map(({ name }) => name)).toEqual(["bytes", "pieces"]);
    const parities = report.vocabularies[0]!.text.map(({ language, parity }) => [language, parity]);
    expect(parities[1]).toEqual(["en", 1]);
    expect(parities[0]![1]).toBeGreaterThan(1);

    const csv = join(folder, "report.csv");
    const svg = join(folder, "report.svg");
    const table = await runCommand(["inspect", ...names, "--qtok", "--csv", csv, "--svg", svg]);
    expect(table.stdout).toMatch(/^spaced word +\d/m);
    expect(readFileSync(csv, "utf8")).toMatch(/^tokenizer,measure,item,value\nbytes,size,,\d+\n/);
    expect(readFileSync(svg, "utf8")).toMatch(/^<svg[\s\S]+<\/svg>\n$/);
    expect((await runCommand(["inspect", ...names, "--svg", svg])).status).toBe(2);
  });
});
