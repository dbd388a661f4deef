/** `jeton train lm` and `jeton train tokenizer`: in this process, and as processes that are stopped. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { loadTokenizer } from "../../tokenizer/index.ts";
import { prose, smallConfig } from "../../train/testing/small-run.ts";
import { runCommand } from "../testing/run-command.ts";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));

let root = "";
let books = "";
let config = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "jeton-train-command-"));
  books = join(root, "books");
  mkdirSync(books);
  for (let i = 0; i < 4; i++) writeFileSync(join(books, `${i}.txt`), prose(i, 60));
  const lines = Array.from({ length: 30 }, (_, i) => JSON.stringify({ body: prose(i, 3) }));
  writeFileSync(join(root, "notes.jsonl"), lines.join("\n"));
  config = join(root, "config.json");
  writeFileSync(config, JSON.stringify(smallConfig));
});
afterAll(() => rm(root, { recursive: true, force: true }));

interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `jeton` as a process of its own; `onStderr` sees what standard error holds so far. */
function start(
  args: readonly string[],
  onStderr: (text: string, child: ChildProcess) => void = () => {},
  onStart: (child: ChildProcess) => void = () => {},
): Promise<Ended> {
  const child = spawn(process.execPath, ["--import", "tsx", main, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  onStart(child);
  const text = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text.stdout += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    text.stderr += chunk;
    onStderr(text.stderr, child);
  });
  return new Promise((resolve) => {
    child.on("close", (status, signal) => resolve({ status, signal, ...text }));
  });
}

function digest(...path: string[]): string {
  return createHash("sha256")
    .update(readFileSync(join(root, ...path)))
    .digest("hex");
}

describe("train tokenizer", { timeout: 240_000 }, () => {
  const kinds = ["byte-level-bpe", "byte-fallback-bpe", "wordpiece", "unigram"];
  test.each(kinds)("%s: a tokenizer.json that loads and knows the text", async (kind) => {
    const out = join(root, "tokenizers", kind);
    const size = kind === "wordpiece" ? 120 : 330;
    const args = ["train", "tokenizer", "--kind", kind, "-n", String(size), "-o", out, "--json"];
    const corpora = ["--corpus", books, "--corpus", join(root, "*.jsonl"), "--field", "body"];
    const { status, stdout, stderr } = await runCommand([...args, ...corpora]);
    expect(status).toBe(0);
    const result = JSON.parse(stdout) as Record<string, number>;
    expect(result).toMatchObject({ folder: out, documents: 34 });
    expect(result["words"]).toBeGreaterThan(result["distinctWords"]!);
    for (const line of stderr.trimEnd().split("\n").filter(Boolean)) {
      expect(JSON.parse(line)).toHaveProperty("phase");
    }
    expect(readdirSync(out).sort()).toEqual(["tokenizer.json", "tokenizer_config.json"]);
    const tokenizer = await loadTokenizer(out);
    expect(tokenizer.vocabSize).toBe(result["vocabSize"]);
    expect(tokenizer.vocabSize).toBeLessThanOrEqual(size);
    const ids = tokenizer.encodeIds("the green hills", { addSpecialTokens: false });
    expect(tokenizer.decode(ids)).toBe("the green hills");
    expect(ids.length).toBeLessThan(10);
  });

  test("what is there is replaced only when asked, and then by the same", async () => {
    const out = join(root, "tokenizers", "again");
    const args = ["train", "tokenizer", "-n", "300", "--corpus", books, "-o", out];
    const first = await runCommand(args);
    expect({ status: first.status, stdout: first.stdout }).toEqual({
      status: 0,
      stdout: `${out}\n`,
    });
    expect(first.stderr).toMatch(
      /^300 tokens from [\d.]+ kB of text \(.* words, .* distinct\) in /m,
    );
    const before = digest("tokenizers", "again", "tokenizer.json");
    const second = await runCommand(args);
    expect(second).toMatchObject({ status: 1, stdout: "" });
    expect(second.stderr).toMatch(/tokenizer\.json is there already.*\(tokenizer-exists\)/);
    expect((await runCommand([...args, "--overwrite"])).status).toBe(0);
    expect(digest("tokenizers", "again", "tokenizer.json")).toBe(before);
  });

  test("special tokens, the pattern and the beginning are those that were asked for", async () => {
    const out = join(root, "tokenizers", "special");
    const args = ["train", "tokenizer", "-n", "320", "--corpus", books, "-o", out];
    const special = ["--special", "<s>", "--special", "</s>", "--special", "<pad>"];
    const more = ["--pattern", "cl100k", "--begin", "<s>", "--end", "</s>"];
    expect((await runCommand([...args, ...special, ...more])).status).toBe(0);
    const tokenizer = await loadTokenizer(out);
    expect(["<s>", "</s>", "<pad>"].map((token) => tokenizer.tokenToId(token))).toEqual([0, 1, 2]);
    expect(tokenizer.encodeIds("cat")[0]).toBe(0);
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId]).toEqual([0, 1]);
    expect(readFileSync(join(out, "tokenizer.json"), "utf8")).toContain("\\\\p{N}{1,3}");
  });

  test.each([
    [["-o", "x"], 2, "option-missing"],
    [["--corpus", "x"], 2, "option-missing"],
    [["-o", "x", "--corpus", "x", "--kind", "bpe"], 2, "option-value-invalid"],
    [["-o", "x", "--corpus", "x", "--split-digits"], 2, "option-misplaced"],
    [["-o", "x", "--corpus", "x", "--pattern", "gpt2", "--regex", "."], 2, "option-misplaced"],
    [["-o", "x", "--corpus", "./no-such-file"], 1, "corpus-file-unreadable"],
    [["-o", "x", "--corpus", "./no-such-*"], 1, "corpus-nothing-matches"],
    [["-o", "x", "--corpus", "data:no-such-data"], 1, "data-unknown"],
    [["-o", "x", "--corpus", main, "-n", "5"], 1, "tokenizer-training-option"],
    [["-o", "x", "--corpus", main, "--end", "<nothing>"], 1, "tokenizer-training-option"],
  ])("%j: status %i, %s", async (args, status, code) => {
    const ended = await runCommand(["train", "tokenizer", "--json", ...args]);
    expect(ended).toMatchObject({ status, stdout: "" });
    expect(JSON.parse(ended.stderr)).toMatchObject({ error: { code } });
    expect(existsSync("x")).toBe(false);
  });

  test.each(["SIGINT", "SIGTERM"] as const)(
    "%s in the middle of it leaves nothing",
    async (signal) => {
      const large = join(root, "large.txt");
      const random = createRandom(5, "large");
      const letters = (): string =>
        Array.from({ length: 3 + random.integer(9) }, () =>
          String.fromCharCode(97 + random.integer(26)),
        ).join("");
      if (!existsSync(large)) {
        writeFileSync(large, Array.from({ length: 300_000 }, letters).join(" "));
      }
      const out = join(root, "tokenizers", signal);
      const args = ["train", "tokenizer", "-n", "60000", "--corpus", large, "-o", out, "--json"];
      let isStopped = false;
      const ended = await start(args, (stderr, child) => {
        // While the thread is busy without a pause.
        if (isStopped || !stderr.includes('"merging"')) return;
        isStopped = true;
        child.kill(signal);
      });
      expect(isStopped).toBe(true);
      expect(ended).toMatchObject({ status: signal === "SIGINT" ? 130 : 143, stdout: "" });
      expect(existsSync(out)).toBe(false);
    },
  );
});

describe("train lm", { timeout: 240_000 }, () => {
  let tokenizer = "";
  beforeAll(async () => {
    tokenizer = join(root, "tokenizer");
    const args = ["-n", "300", "--corpus", books, "-o", tokenizer];
    expect((await runCommand(["train", "tokenizer", ...args])).status).toBe(0);
  });

  const optionsFor = (name: string, ...more: string[]): string[] => [
    ...["train", "lm", "--config", config, "--tokenizer", tokenizer],
    ...["--corpus", `${books}@2`, "--held-out", join(books, "0.txt"), "--out", join(root, name)],
    ...["--batch", "4", "--sequence-length", "24", "--threads", "2", "--seed", "3"],
    ...["--checkpoint-every", "4", "--dtype", "F32", ...more],
  ];

  test("a folder that speaks, a summary for people", async () => {
    const trained = await runCommand(optionsFor("plain", "--steps", "12", "--evaluate-every", "6"));
    const model = join(root, "plain", "model");
    expect(trained).toMatchObject({ status: 0, stdout: `${model}\n` });
    expect(trained.stderr).toMatch(
      /^[\d.]+K parameters · 12 steps, [\d.]+K? tokens · loss \d\.\d{3} · held out \d\.\d{3}, [\d.]+ bits per byte · .*s$/m,
    );
    const spoken = await runCommand([
      "run",
      "-m",
      model,
      "--greedy",
      "-n",
      "5",
      "--json",
      "the cat",
    ]);
    expect(JSON.parse(spoken.stdout)).toMatchObject({ tokens: 5 });
    const card = readFileSync(join(model, "README.md"), "utf8");
    expect(card).toContain("- books: 4 documents");
  });

  test("--preset and sizes stand in for a configuration", async () => {
    const out = join(root, "preset");
    const args = ["train", "lm", "--tokenizer", tokenizer, "--corpus", books, "--out", out];
    const run = ["--steps", "1", "--batch", "1", "--sequence-length", "24", "--threads", "2"];
    const sizes = ["--layers", "1", "--hidden-size", "32", "--heads", "2"];
    const odd = await runCommand([...args, ...run, "--preset", "tiny", "--heads", "3", "--json"]);
    expect([odd.status, JSON.parse(odd.stderr).error.code]).toEqual([2, "option-value-invalid"]);
    expect((await runCommand([...args, ...run, "--preset", "tiny", ...sizes])).status).toBe(0);
    const config = JSON.parse(readFileSync(join(out, "model", "config.json"), "utf8"));
    expect(config).toMatchObject({
      model_type: "llama",
      num_hidden_layers: 1,
      hidden_size: 32,
      num_attention_heads: 2,
      intermediate_size: 96,
    });
  });

  test("--architecture landmark: the block of its landmarks, which belongs to nothing else", async () => {
    const out = join(root, "landmark");
    const args = ["train", "lm", "--tokenizer", tokenizer, "--corpus", books, "--out", out];
    const run = ["--steps", "1", "--batch", "1", "--sequence-length", "24", "--threads", "2"];
    const sizes = ["--layers", "1", "--hidden-size", "32", "--heads", "2"];
    const own = ["--architecture", "landmark", "--landmark-block", "5"];
    const odd = await runCommand([...args, ...run, "--landmark-block", "5", "--json"]);
    expect([odd.status, JSON.parse(odd.stderr).error.code]).toEqual([2, "option-misplaced"]);
    expect((await runCommand([...args, ...run, ...own, ...sizes])).status).toBe(0);
    const config = JSON.parse(readFileSync(join(out, "model", "config.json"), "utf8"));
    expect(config).toMatchObject({ model_type: "llama", mem_freq: 5 });
    const spoken = await runCommand(["run", "-m", join(out, "model"), "-n", "3", "--json", "the"]);
    expect(JSON.parse(spoken.stdout)).toMatchObject({ context: { policy: "landmark" } });
  });

  test("--json: a line for every step, one document in the end", async () => {
    const { status, stdout, stderr } = await runCommand(
      optionsFor("json", "--steps", "6", "--evaluate-every", "3", "--json"),
    );
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      modelFolder: join(root, "json", "model"),
      steps: 6,
      heldOutLoss: expect.any(Number),
    });
    const lines = stderr.trimEnd().split("\n");
    const steps = lines.map((line) => JSON.parse(line) as { stage: string; step: number });
    expect(steps.map(({ stage, step }) => `${stage} ${step}`)).toEqual([
      ...[1, 2, 3, 4, 5, 6].map((step) => `train ${step}`),
      "export 6",
    ]);
  });

  test("a checkpoint goes on learning with nothing but its folder and a text", async () => {
    const weights = ["--initial-weights", join(root, "plain", "model")];
    const args = ["--corpus", books, "--steps", "2", "--sequence-length", "24", "--threads", "1"];
    const out = join(root, "further");
    const { status, stderr } = await runCommand(["train", "lm", ...weights, ...args, "--out", out]);
    expect([status, stderr]).toEqual([0, expect.stringContaining("· 2 steps,")]);
    expect(existsSync(join(out, "model", "tokenizer.json"))).toBe(true);
  });

  test("the optimizer, its clipping and frozen parameters can be chosen, and are remembered", async () => {
    const args = ["--optimizer", "sgd", "--clip", "0", "--weight-decay", "0.5"];
    const frozen = ["--freeze", "model.layers.0.*", "--freeze", "model.norm.weight"];
    const name = "chosen";
    expect((await runCommand(optionsFor(name, "--steps", "2", ...args, ...frozen))).status).toBe(0);
    const run = JSON.parse(readFileSync(join(root, name, "run.json"), "utf8"));
    expect(run).toMatchObject({
      optimizer: [
        { kind: "momentum", decay: 0.9 },
        { kind: "add-weight-decay", decay: 0.5 },
      ],
      frozen: ["model.layers.0.*", "model.norm.weight"],
    });
    const resume = ["train", "lm", "--resume", "--out", join(root, name)];
    expect((await runCommand(resume)).status).toBe(0);
    const other = await runCommand([...resume, "--optimizer", "adafactor"]);
    expect([other.status, other.stderr]).toEqual([1, expect.stringContaining("optimizer was")]);
    const unknown = await runCommand(
      optionsFor("unknown", "--steps", "2", "--freeze", "model.nose"),
    );
    expect([unknown.status, unknown.stderr]).toEqual([1, expect.stringContaining("model.nose")]);
  });

  test("mistakes are said in words, and nothing is lost", async () => {
    const out = join(root, "plain");
    const codeOf = async (...args: string[]): Promise<[number, string]> => {
      const { status, stderr } = await runCommand([...args, "--json"]);
      return [status, (JSON.parse(stderr) as { error: { code: string } }).error.code];
    };
    const whole = optionsFor("plain", "--steps", "12");
    expect(await codeOf("train", "lm")).toEqual([2, "option-missing"]);
    expect(await codeOf("train", "lm", "--out", out)).toEqual([2, "option-missing"]);
    const bare = await runCommand(["train", "lm", "--steps", "2"]);
    expect(bare.stderr).toContain(
      "needs --out FOLDER, --preset tiny (or --config FILE), --tokenizer T and --corpus NAME",
    );
    expect(await codeOf(...whole, "--preset", "tiny")).toEqual([2, "option-misplaced"]);
    expect(await codeOf(...whole)).toEqual([1, "train-run-exists"]);
    expect(await codeOf(...whole, "--resume", "--warmup", "9")).toEqual([
      1,
      "train-configuration-changed",
    ]);
    const nowhere = ["train", "lm", "--resume", "--out", join(root, "nowhere")];
    expect(await codeOf(...nowhere)).toEqual([1, "train-run-missing"]);
    // Only a model's training goes on later: its kind need not be said.
    const short = nowhere.filter((word) => word !== "lm");
    expect(await codeOf(...short)).toEqual([1, "train-run-missing"]);
    expect(await codeOf("train", "--out", out)).toEqual([2, "command-missing"]);
    expect(existsSync(join(root, "nowhere"))).toBe(false);
    expect(await codeOf("train", "lm", "--resume", "--out", out, "--allow-special")).toEqual([
      2,
      "option-misplaced",
    ]);
    expect(await codeOf("train", "lm", "--resume", "--out", out, "--batch", "8")).toEqual([
      1,
      "train-configuration-changed",
    ]);
    const fresh = optionsFor("unborn", "--steps", "2");
    expect(await codeOf(...fresh, "--initialize", "copy")).toEqual([2, "option-value-invalid"]);
    // The tiny model has one table for both ends.
    expect(await codeOf(...fresh, "--initialize", "induction-heads")).toEqual([
      1,
      "option-invalid",
    ]);
    const before = digest("plain", "model", "model.safetensors");
    const again = await runCommand(["train", "lm", "--resume", "--out", out]);
    expect(again.status).toBe(0);
    expect(digest("plain", "model", "model.safetensors")).toBe(before);
  });

  test("--resume with all options begins a run where none is", async () => {
    const { status } = await runCommand(optionsFor("begun", "--steps", "2", "--resume"));
    expect(status).toBe(0);
  });

  test("signals: saved, and the command that goes on is named", async () => {
    const steps = ["--steps", "300"];
    expect((await runCommand(optionsFor("unbroken", ...steps))).status).toBe(0);
    const log = join(root, "stopped", "log.jsonl");
    const countSteps = (): number =>
      existsSync(log) ? readFileSync(log, "utf8").trimEnd().split("\n").length : 0;
    /** Sends the signal once the run has done so many steps. */
    const stop = async (signal: NodeJS.Signals, step: number, args: readonly string[]) => {
      let child: ChildProcess | undefined;
      const ended = start(args, undefined, (started) => {
        child = started;
      });
      while (countSteps() < step) await sleep(5);
      child!.kill(signal);
      return ended;
    };

    const first = await stop("SIGINT", 5, optionsFor("stopped", ...steps, "--json"));
    expect(first).toMatchObject({ status: 130, stdout: "" });
    const said = JSON.parse(first.stderr.trimEnd().split("\n").at(-1)!) as {
      stage: string;
      step: number;
      command: string[];
    };
    expect(said.stage).toBe("interrupted");
    expect(said.step).toBe(countSteps());
    const folder = join(root, "stopped");
    expect(said.command).toEqual(["jeton", "train", "lm", "--resume", "--out", folder]);
    const checkpoints = readdirSync(join(folder, "checkpoints"));
    expect(checkpoints.at(-1)).toBe(`step-${String(said.step).padStart(8, "0")}.safetensors`);
    expect(readdirSync(folder)).not.toContain("run.lock");

    const resume = said.command.slice(1);
    const second = await stop("SIGTERM", said.step + 5, resume);
    expect(second).toMatchObject({ status: 143, stdout: "" });
    // Without a terminal, progress is one line every ten seconds.
    const lines = second.stderr.split("\n").filter((line) => !line.startsWith("step "));
    expect(lines).toEqual([
      "finishing the current step and saving (Ctrl-C again ends at once)",
      `saved at step ${countSteps()}; resume with: jeton train lm --resume --out ${folder}`,
      "",
    ]);

    expect(await start(resume)).toMatchObject({ status: 0, signal: null });
    expect(digest("stopped", "model", "model.safetensors")).toBe(
      digest("unbroken", "model", "model.safetensors"),
    );
  }, 240_000);

  test("killed at random moments and resumed by the command, it ends with the same bits", async () => {
    const random = createRandom(Date.now());
    let kills = 0;
    let ended: Ended | undefined;
    for (let attempt = 0; attempt < 40 && ended?.status !== 0; attempt++) {
      // After six kills the process is left alone.
      const limit = kills < 6 ? 1 + random.integer(40) : Number.POSITIVE_INFINITY;
      const delay = random.integer(25);
      let isKilled = false;
      const args =
        attempt === 0
          ? optionsFor("killed", "--steps", "300", "--json")
          : ["train", "lm", "--resume", "--out", join(root, "killed"), "--json"];
      ended = await start(args, async (stderr, child) => {
        if (isKilled || stderr.split("\n").length <= limit) return;
        isKilled = true;
        await sleep(delay);
        child.kill("SIGKILL");
      });
      if (ended.signal === "SIGKILL") kills++;
      else expect(ended).toMatchObject({ status: 0 });
    }
    expect(kills).toBeGreaterThanOrEqual(5);
    expect(ended?.status).toBe(0);
    expect(digest("killed", "model", "model.safetensors")).toBe(
      digest("unbroken", "model", "model.safetensors"),
    );
  }, 240_000);
});
