import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testData } from "../../testing/test-data.ts";
import { byteTokenizerJson } from "../testing/byte-tokenizer.ts";
import { runCommand } from "../testing/run-command.ts";

const published = testData("tokenizers");
const tokenizers = published.folder;

interface Line {
  ids: number[];
  tokens: string[];
  offsets: [number, number][];
}

const readJsonLines = (text: string): Line[] =>
  text === ""
    ? []
    : text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as Line);

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jeton-cli-"));
  writeFileSync(join(folder, "tokenizer.json"), byteTokenizerJson());
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("jeton tokenize", () => {
  test("sets tokens apart, with ids and offsets", async () => {
    const { status, stdout, stderr } = await runCommand(["tokenize", folder, "a bé", "--special"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout.split("\n")).toEqual([
      "<bound>|a| |b|é|<©>",
      "",
      " id  offsets  token",
      "256  0-0      <bound>",
      " 97  0-1      a",
      " 32  1-2      Ġ",
      " 98  2-3      b",
      "195  3-4      Ã",
      "169  3-4      ©",
      "",
      "6 tokens, 4 characters, 0.67 characters a token",
      "",
    ]);
  });

  test("uses colours instead of separators on a terminal", async () => {
    const { stdout } = await runCommand(["tokenize", folder, "ab"], { isTerminal: true });
    expect(stdout.split("\n")[0]).toMatch(/^\u001b\[[\d;]+ma\u001b\[[\d;]+m\u001b\[[\d;]+mb\u001b/);
  });

  test("--json, --ids and a file instead of a folder say the same", async () => {
    const json = await runCommand(["tokenize", folder, "𝄞a", "--json"]);
    expect(JSON.parse(json.stdout)).toMatchObject({
      text: "𝄞a",
      count: 5,
      ids: [0xf0, 0x9d, 0x84, 0x9e, 0x61],
      offsets: [
        [0, 2],
        [0, 2],
        [0, 2],
        [0, 2],
        [2, 3],
      ],
    });
    const codepoints = await runCommand([
      "tokenize",
      join(folder, "tokenizer.json"),
      "𝄞a",
      "--json",
      "--offsets=codepoint",
    ]);
    expect(JSON.parse(codepoints.stdout).offsets).toEqual([
      [0, 1],
      [0, 1],
      [0, 1],
      [0, 1],
      [1, 2],
    ]);
    const ids = await runCommand(["tokenize", folder, "--ids"], { stdin: "a\n" });
    expect(ids.stdout).toBe("97 10\n");
  });

  test("--decode turns ids back into the text, however they are written", async () => {
    for (const ids of ["195 169 256", "[195,169, 256]", "195, 169\n256\n"]) {
      expect((await runCommand(["tokenize", folder, "--decode"], { stdin: ids })).stdout).toBe(
        "é\n",
      );
    }
    const special = await runCommand([
      "tokenize",
      folder,
      "--decode",
      "--special",
      "--json",
      "97 256",
    ]);
    expect(JSON.parse(special.stdout)).toEqual({ text: "a<bound>" });
    const wrong = await runCommand(["tokenize", folder, "--decode", "97 x"]);
    expect(wrong).toMatchObject({ status: 1, stdout: "" });
    expect(wrong.stderr).toContain("ids-invalid");
  });

  test("needs a text unless somebody types one", async () => {
    expect((await runCommand(["tokenize", folder])).status).toBe(2);
    expect((await runCommand(["tokenize", folder, "--jsonl", "a"], { stdin: "" })).status).toBe(2);
  });

  test("says where the model stands", async () => {
    const text = await runCommand(["tokenize", "a b c"]);
    expect(text).toMatchObject({ status: 1, stdout: "" });
    expect(text.stderr).toContain(
      'the model stands before the text: jeton tokenize jeton-nano "a b c"',
    );
    for (const name of ["tokenize", "inspect"]) {
      const option = await runCommand([name, "--model", folder]);
      expect(option.status).toBe(2);
      expect(option.stderr).toMatch(/stands by itself: jeton \w+ \[options\] \[?M/);
    }
  });
});

describe("jeton tokenize --jsonl", () => {
  test("decoding what was encoded gives every text back, however the input is cut", async () => {
    const text = fc.oneof(
      fc.string({ unit: "grapheme" }),
      fc.constantFrom("\u2028\n\r", "", "\u0085"),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(text, { maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 6 }),
        async (texts, cuts) => {
          const bytes = Buffer.from(texts.map((line) => `${JSON.stringify(line)}\n`).join(""));
          const places = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
          const chunks = [0, ...places].map((start, at) => bytes.subarray(start, places[at]));
          const encoded = await runCommand(["tokenize", folder, "--jsonl"], { stdin: chunks });
          expect(encoded.status).toBe(0);
          const ids = readJsonLines(encoded.stdout).map((line) => `${JSON.stringify(line.ids)}\n`);
          const decoded = await runCommand(["tokenize", folder, "--jsonl", "--decode"], {
            stdin: ids.join(""),
          });
          expect(decoded.stdout).toBe(texts.map((line) => `${JSON.stringify(line)}\n`).join(""));
        },
      ),
      { numRuns: 40 },
    );
  });

  test.each([
    ["3", "one JSON string"],
    ["oops", "one JSON string"],
    ["", "an empty line"],
    [Buffer.from([0x22, 0xff, 0x22]), "not UTF-8"],
  ])("the bad line %j is named, and the lines before it are written", async (bad, message) => {
    const stdin = ['"a"\n"b"\n', Buffer.concat([Buffer.from(bad), Buffer.from('\n"c"\n')])];
    const { status, stdout, stderr } = await runCommand(["tokenize", folder, "--jsonl"], { stdin });
    expect(status).toBe(1);
    expect(readJsonLines(stdout).map((line) => line.ids)).toEqual([[97], [98]]);
    expect(stderr).toContain("line 3 of standard input");
    expect(stderr).toContain(message);
  });

  test("a line without a final line break counts; what has arrived is answered at once", async () => {
    const writes: string[] = [];
    const { stdout } = await runCommand(["tokenize", folder, "--jsonl"], {
      stdin: ['"a"\n', '"b"\n"', 'c"'],
      onStdout: (text) => void writes.push(text),
    });
    expect(readJsonLines(stdout).map((line) => line.ids)).toEqual([[97], [98], [99]]);
    expect(writes.filter((text) => text !== "")).toHaveLength(3);
  });

  test("ends when it is interrupted", async () => {
    const { status, stdout } = await runCommand(["tokenize", folder, "--jsonl"], {
      stdin: ['"a"\n', '"b"\n', '"c"\n'],
      onStdout: (_, interrupt) => interrupt(),
    });
    expect(status).toBe(130);
    expect(readJsonLines(stdout)).toHaveLength(1);
  });
});

const folders =
  published.skip !== undefined
    ? []
    : readdirSync(tokenizers).filter((name) => existsSync(join(tokenizers, name, "vectors.jsonl")));

describe("ids that are no tokens", () => {
  test.each([
    ["--decode", "65 256 257"],
    ["--decode", "99999999"],
  ])("%s %s", async (...args) => {
    const path = join(folder, "ids.json");
    writeFileSync(path, byteTokenizerJson());
    const { status, stdout, stderr } = await runCommand(["tokenize", path, ...args, "--json"]);
    expect([status, stdout, JSON.parse(stderr).error.code]).toEqual([1, "", "ids-invalid"]);
    const lines = { stdin: "[65]\n[65, 257]\n" };
    const many = await runCommand(["tokenize", path, "--decode", "--jsonl"], lines);
    expect(many.stdout).toBe('"A"\n');
    expect(many.stderr).toContain("line 2 of standard input: no token has the id 257");
  });
});

describe.skipIf(published.skip)("published vectors", () => {
  test.each(folders)(
    "%s: ids, tokens and offsets of every line",
    { timeout: 120_000 },
    async (name) => {
      const path = join(tokenizers, name);
      const vectors = readFileSync(join(path, "vectors.jsonl"), "utf8")
        .trimEnd()
        .split("\n")
        .map(
          (line) => JSON.parse(line) as { text: string; idsWithSpecial: number[] } & Partial<Line>,
        );
      const stdin = vectors.map(({ text }) => `${JSON.stringify(text)}\n`).join("");
      const plain = readJsonLines(
        (await runCommand(["tokenize", path, "--jsonl", "--offsets=codepoint"], { stdin })).stdout,
      );
      expect(plain).toHaveLength(vectors.length);
      for (const [at, { ids, tokens, offsets }] of vectors.entries()) {
        expect(plain[at]!.ids).toEqual(ids);
        if (tokens !== undefined) expect(plain[at]!.tokens).toEqual(tokens);
        if (offsets !== undefined) expect(plain[at]!.offsets).toEqual(offsets);
      }
      const special = readJsonLines(
        (await runCommand(["tokenize", path, "--jsonl", "--special"], { stdin })).stdout,
      );
      expect(special.map((line) => line.ids)).toEqual(vectors.map((line) => line.idsWithSpecial));
    },
  );
});
