/** `jeton train compressor`, `jeton context pack` and `jeton run --packed-context`, one after the other. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { trainLanguageModel } from "../../../train/index.ts";
import {
  root as data,
  optionsFor,
  prose,
  useSmallCorpora,
} from "../../../train/testing/small-run.ts";
import { runCommand } from "../../testing/run-command.ts";

useSmallCorpora();
const root = mkdtempSync(join(tmpdir(), "jeton-pack-command-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let model = "";
let book = "";
const compressor = join(root, "run", "compressor.safetensors");
const packed = join(root, "book.packed");
const sizes = ["--window", "16", "--windows", "2", "--chunk", "8", "--factors", "2,4,8"];

/** A command line that must succeed. */
async function run(...args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const { status, stdout, stderr } = await runCommand(args);
  expect(stderr, args.join(" ")).not.toMatch(/error/i);
  expect(status).toBe(0);
  return { stdout, stderr };
}

async function failure(...args: readonly string[]): Promise<string> {
  const { status, stderr } = await runCommand([...args, "--json"]);
  expect(status).not.toBe(0);
  const last = stderr.trimEnd().split("\n").at(-1)!;
  return (JSON.parse(last) as { error: { code: string } }).error.code;
}

beforeAll(async () => {
  ({ modelFolder: model } = await trainLanguageModel(optionsFor("model", { steps: 10 })));
  book = join(data, "book.txt");
  const trained = ["train", "compressor", "--model", model, "--corpus", book, ...sizes];
  const rest = ["--steps", "3", "--batch", "2", "--threads", "1", "--out", join(root, "run")];
  const { stdout } = await run(...trained, ...rest);
  expect(stdout).toBe(`${compressor}\n`);
  writeFileSync(join(root, "short.txt"), prose(3, 20));
});

describe("jeton context pack", () => {
  test("packs a text, from which jeton run answers with any factor that fits", async () => {
    const text = join(root, "short.txt");
    const pack = ["context", "pack", "--model", model, "--compressor", compressor];
    const { stdout } = await run(...pack, text, "-o", packed, "--json");
    const document = JSON.parse(stdout) as Record<string, unknown>;
    expect(document).toMatchObject({ file: packed, factor: 1, embeddings: document["tokens"] });
    expect(document["bytes"]).toBe(readFileSync(packed).length);
    const ask = [
      "run",
      "--model",
      model,
      "--packed-context",
      packed,
      "--greedy",
      "-n",
      "4",
      "--json",
    ];
    const answers = [];
    for (const factor of ["4", "8"]) {
      const answered = await run(...ask, "--packed-factor", factor, "the cat");
      answers.push(JSON.parse(answered.stdout) as { promptTokens: number; tokens: number });
    }
    expect(answers[0]!.promptTokens).toBeGreaterThan(answers[1]!.promptTokens);
    const chosen = JSON.parse((await run(...ask, "the cat")).stdout) as { promptTokens: number };
    expect(chosen.promptTokens + 4).toBeLessThanOrEqual(64);
    expect(await failure(...ask, "--packed-factor", "1", "the cat")).toBe(
      "generate-context-exceeded",
    );
  });

  test("a packed text with a factor of its own holds fewer embeddings", async () => {
    const thin = join(root, "thin.packed");
    const pack = ["context", "pack", "--model", model, "--compressor", compressor];
    const { stdout } = await run(
      ...pack,
      book,
      "-o",
      thin,
      "--factor",
      "8",
      "--dtype",
      "F32",
      "--json",
    );
    const { tokens, embeddings } = JSON.parse(stdout) as { tokens: number; embeddings: number };
    expect(embeddings).toBe(Math.ceil(tokens / 8));
    const ask = ["run", "--model", model, "--packed-context", thin, "-n", "4"];
    expect(await failure(...ask, "--packed-factor", "4", "the cat")).toBe("option-invalid");
    // A window of 16 tokens gives one embedding at least.
    expect(await failure(...ask, "--packed-factor", "32", "the cat")).toBe("option-invalid");
    expect(await failure(...pack, book, "-o", join(root, "thinner"), "--factor", "32")).toBe(
      "option-invalid",
    );
    expect(await failure(...ask, "the cat")).toBe("packed-context-too-long");
  });

  test("what would be ignored, is missing, or belongs to another model is refused", async () => {
    const text = join(root, "short.txt");
    expect(await failure("context", "pack", text)).toBe("option-missing");
    const pack = ["context", "pack", "-c", compressor, text, "-o", join(root, "other.packed")];
    expect(await failure(...pack)).toBe("compressor-invalid");
    // Neither the text nor the compressor is replaced by what is made from it.
    for (const read of [text, compressor]) {
      const before = readFileSync(read);
      const over = ["context", "pack", "-m", model, "-c", compressor, text, "-o", read];
      expect(await failure(...over)).toBe("option-conflict");
      expect(readFileSync(read)).toEqual(before);
    }
    writeFileSync(join(root, "empty.txt"), " \n");
    const empty = ["context", "pack", "-m", model, "-c", compressor, join(root, "empty.txt")];
    expect(await failure(...empty, "-o", join(root, "e.packed"))).toBe("packed-context-empty");
    const ask = ["run", "--model", model, "the cat"];
    expect(await failure(...ask, "--packed-factor", "2")).toBe("option-misplaced");
    const behind = [...ask, "--packed-context", packed];
    expect(await failure(...behind, "--heal", "token")).toBe("option-misplaced");
    expect(await failure(...behind, "--bytes")).toBe("option-misplaced");
    expect(await failure("run", "the cat", "--packed-context", packed)).toBe(
      "packed-context-model-differs",
    );
    expect(await failure("run", "the cat", "--packed-context", compressor)).toBe(
      "packed-context-invalid",
    );
    expect(
      await failure(
        "train",
        "compressor",
        "--factors",
        "2,x",
        "-c",
        book,
        "--steps",
        "1",
        "-o",
        "x",
      ),
    ).toBe("option-value-invalid");
  });
});

describe("jeton context calibrate", () => {
  test("measures every layer, and saves the chosen one with the model", async () => {
    const calibrate = [
      "context",
      "calibrate",
      "--model",
      model,
      "--tokens",
      "128",
      "--prompts",
      "2",
    ];
    const ask = ["run", "--model", model, "--context-policy", "gemfilter:k=8", "--raw", "-n", "2"];
    const long = prose(3, 6).slice(0, 120);
    expect(await failure(...ask, long)).toBe("context-policy-option");
    const found = JSON.parse((await run(...calibrate, "--k", "16", "--json")).stdout) as {
      layer: number;
      layers: { layer: number; chosen: number }[];
      saved: boolean;
    };
    expect(found.layers.map(({ layer }) => layer)).toEqual([0, 1]);
    expect(found.saved).toBe(false);
    const { stdout } = await run(...calibrate, "--k", "16", "--save");
    expect(stdout).toContain(`filter layer: ${found.layer}, saved in `);
    await run(...ask, long);
  });
});
