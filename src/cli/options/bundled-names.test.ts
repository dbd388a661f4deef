/** Every command takes the name of a bundled model where it takes a model, a tokenizer or weights to begin with. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundledModelFolder } from "../../checkpoint/index.ts";
import { runCommand } from "../testing/run-command.ts";

const root = mkdtempSync(join(tmpdir(), "jeton-names-"));
const text = join(root, "text.txt");
beforeAll(() => writeFileSync(text, "The emperor was a soldier.\n".repeat(40)));
afterAll(() => rmSync(root, { recursive: true }));

async function json(...line: string[]): Promise<Record<string, unknown>> {
  const { status, stdout, stderr } = await runCommand([...line, "--json"]);
  expect({ status, stderr }).toMatchObject({ status: 0 });
  return JSON.parse(stdout) as Record<string, unknown>;
}

test("tokenize and inspect", async () => {
  const folder = bundledModelFolder("jeton-nano");
  const named = await json("tokenize", "jeton-nano", "The emperor");
  expect(named).toEqual(await json("tokenize", folder, "The emperor"));
  for (const name of ["jeton-nano", "jeton-nano-draft", "jeton-embed"] as const) {
    expect(await json("inspect", name)).toMatchObject({ name });
  }
});

test("a file of weights is told its folder", async () => {
  const folder = bundledModelFolder("jeton-nano");
  const { status, stderr } = await runCommand(["inspect", join(folder, "model.safetensors")]);
  expect(status).toBe(1);
  expect(stderr).toContain(`holds weights alone, expected the folder: ${folder} (model-not-found)`);
});

test("score, run with a draft model, an ensemble, embed", async () => {
  const draft = await json("score", "-m", "jeton-nano-draft", "--threads=1", "The emperor");
  expect(draft).toMatchObject({ model: "jeton-nano-draft" });
  const run = ["run", "--greedy", "--threads=1", "The emperor"];
  const drafted = ["--drafter", "draft-model", "--draft-model", "jeton-nano-draft", "-n", "4"];
  const { drafting } = await json(...run, ...drafted);
  expect(drafting).toMatchObject({ drafter: "draft-model" });
  const members = await json(
    ...run,
    "--ensemble",
    "jeton-nano,jeton-nano-draft",
    "--max-bytes",
    "2",
  );
  expect(members["models"]).toMatchObject([{ model: "jeton-nano" }, { model: "jeton-nano-draft" }]);
  const vectors = await json("embed", "-m", "jeton-embed", "--threads=1", "a", "b");
  expect(vectors).toMatchObject({ model: "jeton-embed", size: 128 });
});

test("what training begins with", async () => {
  const line = ["train", "lm", "--corpus", text, "--steps=1", "--batch=1", "--sequence-length=16"];
  const out = join(root, "run");
  const trained = await json(
    ...line,
    "--initial-weights",
    "jeton-nano",
    "--threads=1",
    "--out",
    out,
  );
  expect(trained).toMatchObject({ modelFolder: join(out, "model"), steps: 1 });
});
