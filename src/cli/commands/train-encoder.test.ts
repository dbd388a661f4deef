/** `jeton train encoder`: options that are refused, what it prints, and a run that is broken off and goes on. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { embedHybrid, loadEncoder } from "../../model/index.ts";
import { scoreHybrid } from "../../retrieve/index.ts";
import { saveTokenizer, trainTokenizer } from "../../tokenizer/index.ts";
import type { IndexDocument, SearchDocument } from "../json-output.ts";
import { runCommand } from "../testing/run-command.ts";

let root = "";
let shared: string[] = [];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "jeton-train-encoder-"));
  const words = "cat dog tree hill sun moon".split(" ");
  const pairs = Array.from({ length: 24 }, (_, at) => {
    const [a, b] = [words[at % 6]!, words[(at * 5 + 1) % 6]!];
    return { query: a, document: `the ${a} sees a ${b} ${at}` };
  });
  const lines = (values: readonly unknown[]): string =>
    values.map((value) => JSON.stringify(value)).join("\n");
  writeFileSync(join(root, "pairs.jsonl"), lines(pairs));
  writeFileSync(
    join(root, "texts.jsonl"),
    lines(pairs.map(({ document }) => ({ text: document }))),
  );
  const texts = pairs.map(({ document }) => document);
  const tokenizer = await trainTokenizer({ kind: "wordpiece", texts, vocabSize: 90 });
  await saveTokenizer(join(root, "pieces"), tokenizer);
  const config = {
    model_type: "bert",
    hidden_size: 16,
    intermediate_size: 16,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    max_position_embeddings: 32,
  };
  writeFileSync(join(root, "config.json"), JSON.stringify(config));
  shared = [
    ...["--config", join(root, "config.json"), "--tokenizer", join(root, "pieces")],
    ...["--threads", "1", "--dtype", "F32", "--batch", "4"],
  ];
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const train = (out: string, ...more: string[]) =>
  runCommand(["train", "encoder", "--out", join(root, out), ...more]);
const begin = (out: string, ...more: string[]) =>
  train(out, "--examples", join(root, "pairs.jsonl"), "--steps", "4", ...shared, ...more);

describe("refused", () => {
  test.each([
    ["what another objective reads", ["--chunk", "2", "--objective", "distillation"], "--chunk"],
    ["a kebab-case name", ["--decoding-weight", "2"], "--decoding-weight"],
    ["terms of no words", ["--terms", "8", "--objective", "dupmae"], "--terms"],
    ["a pooling of tokens", ["--pooling", "cls", "--objective", "token-contrastive"], "--pooling"],
  ])("%s", async (_, options, named) => {
    const { status, stderr } = await begin("refused", ...options);
    expect(status).toBe(2);
    expect(stderr).toContain(named);
    expect(stderr).toContain("(option-conflict)");
    expect(existsSync(join(root, "refused"))).toBe(false);
  });

  test("what is missing is named, all of it", async () => {
    const { status, stderr } = await train("missing");
    expect(status).toBe(2);
    for (const option of ["--steps", "--examples", "--initial-weights"]) {
      expect(stderr).toContain(option);
    }
    const labels = await begin("missing", "--objective", "classes");
    expect(labels.stderr).toContain("--label");
    expect(labels.status).toBe(2);
    const objective = await begin("missing", "--objective", "contrastiv");
    expect(objective.stderr).toMatch(/contrastive/);
    expect(objective.status).toBe(2);
  });

  test("a share of one, and examples of another form", async () => {
    const texts = ["--examples", join(root, "texts.jsonl"), "--steps", "1", ...shared];
    const share = await train("share", ...texts, "--objective", "dupmae", "--masking", "1");
    expect(share.stderr).toContain("(option-invalid)");
    const form = await train("form", ...texts);
    expect(form.status).toBe(1);
    expect(form.stderr).toContain("(example-invalid)");
  });
});

const digestOf = (out: string): string =>
  createHash("sha256")
    .update(readFileSync(join(root, out, "model", "model.safetensors")))
    .digest("hex");

describe("a run", () => {
  test("--json prints one document and lines of progress, and ends as text does", async () => {
    const json = await begin("json", "--json", "--held-out", join(root, "pairs.jsonl"));
    expect(json.status).toBe(0);
    const document = JSON.parse(json.stdout) as Record<string, unknown>;
    expect(document).toMatchObject({ modelFolder: join(root, "json", "model"), steps: 4 });
    expect(document["heldOutLoss"]).toBeGreaterThan(0);
    const progress = json.stderr
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { stage: string });
    expect(progress.at(-1)!.stage).toBe("export");
    const text = await begin("text");
    expect(text.stdout).toBe(`${join(root, "text", "model")}\n`);
    expect(text.stderr).toMatch(/4 steps · loss \d/);
    expect(digestOf("text")).toBe(digestOf("json"));
  });

  test("goes on with --resume alone where it was interrupted, and ends with the same weights", async () => {
    const broken = await runCommand(
      [
        ...["train", "encoder", "--out", join(root, "broken"), "--json"],
        ...["--examples", join(root, "pairs.jsonl"), "--steps", "6", ...shared],
      ],
      {
        onStderr: (text, interrupt) => {
          if (text.includes('"step":3')) interrupt();
        },
      },
    );
    expect(broken.status).not.toBe(0);
    const resumed = await train("broken", "--resume");
    expect(resumed.status).toBe(0);
    await train("whole", "--examples", join(root, "pairs.jsonl"), "--steps", "6", ...shared);
    expect(digestOf("broken")).toBe(digestOf("whole"));
    const changed = await train("broken", "--resume", "--batch", "8");
    expect(changed.status).toBe(1);
    expect(changed.stderr).toContain("(train-configuration-changed)");
    const again = await begin("broken");
    expect(again.stderr).toContain("(train-run-exists)");
  });
});

describe("jeton index --hybrid", () => {
  const folder = (): string => join(root, "hybrid-index");
  const model = (): string => join(root, "hybrid", "model");
  const notes = ["cat.md", "sun.md", "hill.md"];
  const texts = ["the cat sees a dog", "the sun sees a moon and a tree", "the hill sees a cat"];
  beforeAll(async () => {
    const { status } = await begin("hybrid", "--objective", "hybrid-contrastive", "--width", "8");
    expect(status).toBe(0);
    mkdirSync(join(root, "notes"));
    for (const [at, name] of notes.entries()) {
      writeFileSync(join(root, "notes", name), `${texts[at]!}\n`);
    }
  });
  const index = (...more: string[]) =>
    runCommand(["index", "--index", folder(), "--json", ...more, join(root, "notes")]);
  const search = async (...args: string[]): Promise<SearchDocument> => {
    const { status, stdout } = await runCommand(["search", "-i", folder(), "--json", ...args]);
    expect(status).toBe(0);
    return JSON.parse(stdout) as SearchDocument;
  };

  test("keeps both parts of each passage: searches rank by their product, and beside the words", async () => {
    const made = await index("--hybrid", "--model", model());
    expect(made.status).toBe(0);
    expect(JSON.parse(made.stdout) as IndexDocument).toMatchObject({ files: 3, total: 3 });
    const { hits } = await search("cat moon", "--by", "meaning");
    await using encoder = await loadEncoder(model());
    const [query] = await embedHybrid(encoder, ["cat moon"]);
    const documents = await embedHybrid(encoder, texts, { terms: 384 });
    const expected = documents
      .map((document, at) => ({ score: scoreHybrid(query!, document), text: texts[at]! }))
      .sort((a, b) => b.score - a.score);
    expect(hits.map(({ text }) => text.trim())).toEqual(expected.map(({ text }) => text));
    for (const [at, { parts }] of hits.entries()) {
      expect(Object.keys(parts)).toEqual(["sparse"]);
      expect(parts.sparse).toBeCloseTo(expected[at]!.score, 4);
    }
    const both = await search("moon");
    expect(Object.keys(both.hits[0]!.parts).sort()).toEqual(["bm25", "sparse"]);
    expect(both.hits[0]!.text).toContain("moon");
  });

  test("remembers the kind: a changed file gets it without a flag, another kind is refused", async () => {
    writeFileSync(join(root, "notes", "cat.md"), "the moon and the moon\n");
    const again = await index();
    expect(again.status).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({ files: 1, unchanged: 2, total: 3 });
    const { hits } = await search("moon", "--by", "meaning");
    expect(hits).toHaveLength(3);
    for (const { parts } of hits) expect(Object.keys(parts)).toEqual(["sparse"]);
    const tokens = await index("--tokens");
    expect([tokens.status, tokens.stderr]).toEqual([1, expect.stringContaining("index-settings")]);
    const two = await index("--tokens", "--hybrid");
    expect([two.status, two.stderr]).toEqual([2, expect.stringContaining("option-conflict")]);
  });

  test("a model without the words' part is refused, and nothing is indexed", async () => {
    expect((await begin("plain")).status).toBe(0);
    const own = join(root, "plain-index");
    const args = ["index", "-i", own, "--hybrid", "--model", join(root, "plain", "model")];
    const { status, stderr } = await runCommand([...args, join(root, "notes")]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/\(encoder-[a-z-]+\)/);
  });
});
