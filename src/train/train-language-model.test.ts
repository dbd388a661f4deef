import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openCheckpoint } from "../checkpoint/index.ts";
import { createRandom } from "../core/index.ts";
import { score } from "../generate/index.ts";
import { loadModel } from "../model/index.ts";
import { loadTokenizer, saveTokenizer, trainTokenizer } from "../tokenizer/index.ts";
import {
  formatTrainingProgress,
  type TrainingProgress,
  type TrainLanguageModelOptions,
} from "./language-model-options.ts";
import type { LogEntry } from "./run/run-folder.ts";
import { readRunOptions } from "./run/run-settings.ts";
import { trainLanguageModel } from "./train-language-model.ts";

/** Whether this user may make a file system of its own, small enough to fill. */
const canMount =
  spawnSync("unshare", ["-Urm", "mount", "-t", "tmpfs", "tmpfs", tmpdir()]).status === 0;
if (!canMount) console.log("full disk: skipped, this user may not mount a file system of its own");

let root = "";
let tokenizer = "";
let corpora: TrainLanguageModelOptions["corpora"] = [];

const words = "the cat dog sat ran on under a mat tree and then it saw green hills far away".split(
  " ",
);

function prose(seed: number, sentences: number): string {
  const random = createRandom(seed, "prose");
  const sentence = (): string =>
    Array.from({ length: 4 + random.integer(6) }, () => words[random.integer(words.length)]).join(
      " ",
    );
  return Array.from({ length: sentences }, () => `${sentence()}.`).join("\n");
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "jeton-train-"));
  const lines = Array.from({ length: 40 }, (_, i) => JSON.stringify({ text: prose(i, 3) }));
  writeFileSync(join(root, "stories.jsonl.gz"), gzipSync(lines.join("\n")));
  writeFileSync(join(root, "book.txt"), prose(99, 120));
  tokenizer = join(root, "tokenizer");
  const trained = await trainTokenizer({
    kind: "byte-level-bpe",
    texts: [prose(1, 50)],
    vocabSize: 300,
    specialTokens: ["<|endoftext|>"],
  });
  await saveTokenizer(tokenizer, trained);
  const settings = { eos_token: "<|endoftext|>" };
  writeFileSync(join(tokenizer, "tokenizer_config.json"), JSON.stringify(settings));
  corpora = [
    { files: [join(root, "stories.jsonl.gz")], weight: 2 },
    { files: [join(root, "book.txt")] },
  ];
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function optionsFor(name: string, more: Partial<TrainLanguageModelOptions> = {}) {
  return {
    folder: join(root, name),
    config: {
      model_type: "llama",
      hidden_size: 16,
      intermediate_size: 32,
      num_attention_heads: 2,
      num_hidden_layers: 2,
      num_key_value_heads: 1,
      max_position_embeddings: 64,
      tie_word_embeddings: true,
    },
    tokenizer,
    corpora,
    steps: 30,
    batch: 4,
    sequenceLength: 24,
    threads: 2,
    seed: 3,
    checkpointEvery: 10,
    dtype: "F32",
    name: "tiny",
    ...more,
  } satisfies TrainLanguageModelOptions;
}

function weightsDigest(name: string): string {
  const bytes = readFileSync(join(root, name, "model/model.safetensors"));
  return createHash("sha256").update(bytes).digest("hex");
}

function readLog(name: string): LogEntry[] {
  const lines = readFileSync(join(root, name, "log.jsonl"), "utf8")
    .trimEnd()
    .split("\n");
  return lines.map((line) => JSON.parse(line) as LogEntry);
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "nothing was thrown",
    (error: { code?: string }) => error.code ?? String(error),
  );
}

// Each process that is started loads everything anew, which takes a while on a busy machine.
describe("trainLanguageModel", { timeout: 240_000 }, () => {
  test("the loss falls, and the exported folder scores text as the trainer does", async () => {
    const text = prose(7, 5);
    const ids = [...(await loadTokenizer(tokenizer)).encodeIds(text, { addSpecialTokens: false })];
    const heldOut = join(root, "held-out.txt");
    writeFileSync(heldOut, text);
    // One sequence: the separator and all of the text.
    const sequenceLength = ids.length;
    const progress: TrainingProgress[] = [];
    const result = await trainLanguageModel(
      optionsFor("whole", {
        heldOut: { files: [heldOut] },
        sequenceLength,
        evaluateEvery: 10,
        accumulation: 2,
        schedule: { kind: "linear", peak: 1e-2, steps: 30, warmupSteps: 3 },
        config: { ...optionsFor("").config, max_position_embeddings: sequenceLength + 1 },
        onProgress: (state) => progress.push(state),
      }),
    );
    const log = readLog("whole");
    expect(log.map(({ step }) => step)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
    expect(result.loss).toBeLessThan(log[0]!.loss - 0.5);
    expect(log.filter((entry) => entry.heldOutLoss !== undefined).length).toBe(3);
    expect(new Set(progress.map(({ stage }) => stage))).toEqual(
      new Set(["tokenize", "train", "export"]),
    );
    expect(formatTrainingProgress(progress.at(-2)!)).toMatch(/^step 30\/30 · loss \d/);
    expect(readFileSync(join(root, "whole/loss.svg"), "utf8")).toContain("<polyline");
    expect(readdirSync(result.modelFolder).sort()).toEqual([
      "README.md",
      "config.json",
      "generation_config.json",
      "model.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);

    await using model = await loadModel(result.modelFolder, { threads: 1, inline: true });
    const scored = await score(model, text);
    expect(scored.scoredTokens).toBe(ids.length);
    expect(model.bosTokenId).toBe(model.tokenizer.eosTokenId);
    expect(-scored.logProbability / scored.scoredTokens).toBeCloseTo(result.heldOutLoss!, 4);
  });

  test("killed at random moments and resumed, it ends with the same bits", async () => {
    const steps = 90;
    const common = { steps, checkpointEvery: 4, averageDecay: 0.9 };
    await trainLanguageModel(optionsFor("unbroken", common));
    const random = createRandom(Date.now());
    const broken = optionsFor("broken", { ...common, existing: "resume" });
    let kills = 0;
    let ended = false;
    let attempts = 0;
    while (!ended && attempts < 40) {
      attempts++;
      // After six kills the process is left alone.
      const limit = kills < 6 ? 1 + random.integer(10) : Number.POSITIVE_INFINITY;
      const outcome = await runChild(broken, limit, random.integer(25));
      if (outcome === "killed") kills++;
      else ended = true;
    }
    expect(kills).toBeGreaterThanOrEqual(5);
    expect(ended).toBe(true);
    expect(weightsDigest("broken")).toBe(weightsDigest("unbroken"));
    const withoutTime = (name: string) => readLog(name).map(({ seconds: _, ...entry }) => entry);
    expect(withoutTime("broken")).toEqual(withoutTime("unbroken"));
    const names = [
      ...readdirSync(join(root, "broken")),
      ...readdirSync(join(root, "broken/checkpoints")),
    ];
    expect(names.filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  test("an aborted run saves what it has and goes on from there", async () => {
    const controller = new AbortController();
    const stop = ({ step }: TrainingProgress) => step === 13 && controller.abort();
    const aborted = trainLanguageModel(
      optionsFor("aborted", { signal: controller.signal, onProgress: stop }),
    );
    await expect(aborted).rejects.toThrow(/abort/i);
    expect(readdirSync(join(root, "aborted/checkpoints")).at(-1)).toBe("step-00000013.safetensors");
    await trainLanguageModel(optionsFor("aborted", { existing: "resume" }));
    await trainLanguageModel(optionsFor("not-aborted"));
    expect(weightsDigest("aborted")).toBe(weightsDigest("not-aborted"));
  });

  test.skipIf(process.platform === "win32")(
    "a checkpoint that cannot be written leaves the one before it",
    async () => {
      const controller = new AbortController();
      const stop = ({ step }: TrainingProgress) => step === 13 && controller.abort();
      const more = { signal: controller.signal, onProgress: stop };
      await expect(trainLanguageModel(optionsFor("full", more))).rejects.toThrow(/abort/i);
      // The system lets this process write no file of more than 40 KB, as a full disk would.
      const options = optionsFor("full", { existing: "resume" });
      await expect(runChild(options, Number.POSITIVE_INFINITY, 0, 40)).rejects.toThrow(
        /step-00000020\.safetensors .*(EFBIG|too large)/,
      );
      expect(readdirSync(join(root, "full/checkpoints"))).toEqual([
        "step-00000010.safetensors",
        "step-00000013.safetensors",
      ]);
      await trainLanguageModel(options);
      await trainLanguageModel(optionsFor("not-full"));
      expect(weightsDigest("full")).toBe(weightsDigest("not-full"));
    },
  );

  test.skipIf(!canMount)(
    "a full disk: a clear error, the last good state, and on to the same bits once there is space",
    async () => {
      await trainLanguageModel(optionsFor("roomy"));
      const sizes = (folder: string): number[] =>
        readdirSync(join(root, "roomy", folder), { recursive: true, encoding: "utf8" })
          .map((name) => statSync(join(root, "roomy", folder, name)))
          .filter((found) => found.isFile())
          // A file takes whole pages.
          .map(({ size }) => Math.ceil(size / 4096) * 4096);
      const checkpoint = Math.max(...sizes("checkpoints"));
      const data = sizes("data").reduce((a, b) => a + b, 0);
      // Space for the data and two and a half checkpoints: the third does not fit.
      const kilobytes = Math.ceil((data + 2.5 * checkpoint) / 1024) + 24;
      const disk = join(root, "disk");
      mkdirSync(disk);
      const options = optionsFor("disk/run", { existing: "resume" });
      const train = [process.execPath, "--import", "tsx", childScript, JSON.stringify(options)];
      // The mount exists for this script alone.
      const script = `
        mount -t tmpfs -o size=${kilobytes}k tmpfs "$1"
        shift
        "$@" >/dev/null; echo "status $?"
        ls "${disk}/run/checkpoints"; ls -A "${disk}/run"
        mount -o remount,size=64m "${disk}"
        "$@" >/dev/null; echo "status $?"
        sha256sum < "${disk}/run/model/model.safetensors"`;
      const { stdout, stderr } = spawnSync(
        "unshare",
        ["-Urm", "bash", "-c", script, "bash", disk, ...train],
        { encoding: "utf8" },
      );
      const lines = stdout.trim().split("\n");
      expect(stderr).toMatch(/step-00000030\.safetensors cannot be written: the disk is full/);
      expect(stderr).toContain("code: 'disk-full'");
      expect(lines).toEqual([
        "status 1",
        "step-00000010.safetensors",
        "step-00000020.safetensors",
        ...["checkpoints", "data", "log.jsonl", "loss.svg", "run.json"],
        "status 0",
        `${weightsDigest("roomy")}  -`,
      ]);
    },
  );

  test("one process at a time has a folder; what a killed one left is taken over", async () => {
    let refused: unknown;
    const tryBeside = async ({ step }: TrainingProgress): Promise<void> => {
      if (step !== 5) return;
      refused = await runChild(optionsFor("shared", { existing: "resume" }), Infinity, 0).catch(
        (error: unknown) => error,
      );
    };
    let attempt: Promise<void> | undefined;
    const onProgress = (state: TrainingProgress) => {
      attempt ??= state.step === 5 ? tryBeside(state) : undefined;
    };
    const controller = new AbortController();
    const running = trainLanguageModel(
      optionsFor("shared", { steps: 100_000, signal: controller.signal, onProgress }),
    );
    const ended = expect(running).rejects.toThrow(/abort/i);
    while (attempt === undefined) await sleep(5);
    await attempt;
    controller.abort();
    await ended;
    expect(String(refused)).toMatch(
      new RegExp(`shared is in use: process ${process.pid} on .* trains in it \\(.*run\\.lock\\)`),
    );
    expect(readdirSync(join(root, "shared"))).not.toContain("run.lock");

    // A process that died just now left its lock; `killed at random moments` tests the whole of it.
    const dead = spawn(process.execPath, ["--version"]);
    await once(dead, "exit");
    const left = JSON.stringify({ pid: dead.pid, host: hostname() });
    writeFileSync(join(root, "whole", "run.lock"), left);
    const again = optionsFor("whole", { existing: "refuse" });
    expect(await codeOf(trainLanguageModel(again))).toBe("train-run-exists");
  });

  test("a process that finds its folder taken over writes nothing more", async () => {
    const folder = join(root, "taken");
    const onProgress = ({ step }: TrainingProgress) => {
      if (step !== 15) return;
      const other = JSON.stringify({ pid: 1, host: "another.example", key: "other" });
      writeFileSync(join(folder, "run.lock"), other);
    };
    const run = trainLanguageModel(optionsFor("taken", { onProgress }));
    expect(await codeOf(run)).toBe("train-run-taken-over");
    expect(readdirSync(join(folder, "checkpoints"))).toEqual(["step-00000010.safetensors"]);
    expect(readFileSync(join(folder, "run.lock"), "utf8")).toContain("another.example");
  });

  test("a run goes on from what its folder says, and says where it can go on", async () => {
    const controller = new AbortController();
    const saved: number[] = [];
    const interrupted = trainLanguageModel(
      optionsFor("remembered", {
        dtype: "BF16",
        signal: controller.signal,
        onProgress: ({ step }) => step === 7 && controller.abort(),
        onCheckpoint: ({ step }) => saved.push(step),
      }),
    );
    await expect(interrupted).rejects.toThrow(/abort/i);
    expect(saved).toEqual([7]);
    const options = await readRunOptions(join(root, "remembered"));
    const { modelFolder } = await trainLanguageModel({ ...options, existing: "resume" });
    const config = readFileSync(join(modelFolder, "config.json"), "utf8");
    expect(JSON.parse(config)).toMatchObject({ torch_dtype: "bfloat16", hidden_size: 16 });
    // The weights do not depend on the changeable part.
    await trainLanguageModel({ ...options, existing: "resume", dtype: "F32", name: "other" });
    await trainLanguageModel(optionsFor("not-remembered"));
    expect(weightsDigest("remembered")).toBe(weightsDigest("not-remembered"));
    expect(await codeOf(readRunOptions(join(root, "nowhere")))).toBe("train-run-missing");
  });

  test("training goes on from the weights of a folder, and frozen ones stay", async () => {
    const first = await trainLanguageModel(optionsFor("first"));
    await using before = await openCheckpoint(first.modelFolder);
    const learning = "model.layers.1.mlp.down_proj.weight";
    const others = [...before.tensors.keys()].filter((name) => name !== learning);
    // A pattern means all of a layer.
    const frozen = ["model.layers.0.*", ...others.filter((name) => !name.includes("layers.0."))];
    const second = await trainLanguageModel(
      optionsFor("second", { initialWeights: first.modelFolder, frozen, steps: 5 }),
    );
    await using after = await openCheckpoint(second.modelFolder);
    for (const name of others) {
      expect(await after.readFloat32(name)).toEqual(await before.readFloat32(name));
    }
    expect(await after.readFloat32(learning)).not.toEqual(await before.readFloat32(learning));
  });

  test("a moved run whose originals are gone goes on to the same bits", async () => {
    await trainLanguageModel(optionsFor("stayed"));
    const first = await trainLanguageModel(optionsFor("origin", { steps: 3 }));
    const copy = join(root, "copied-tokenizer");
    cpSync(tokenizer, copy, { recursive: true });
    const book = join(root, "copied-book.txt");
    cpSync(join(root, "book.txt"), book);
    const begun = {
      tokenizer: copy,
      corpora: [{ files: [book] }],
      initialWeights: first.modelFolder,
    };
    await trainLanguageModel(optionsFor("unmoved", begun));
    const controller = new AbortController();
    const stop = ({ step }: TrainingProgress) => step === 11 && controller.abort();
    const more = { ...begun, signal: controller.signal, onProgress: stop };
    await expect(trainLanguageModel(optionsFor("moves", more))).rejects.toThrow(/abort/i);
    for (const path of [copy, book, first.modelFolder]) rmSync(path, { recursive: true });
    renameSync(join(root, "moves"), join(root, "moved"));
    const options = await readRunOptions(join(root, "moved"));
    const { modelFolder } = await trainLanguageModel({ ...options, existing: "resume" });
    expect(weightsDigest("moved")).toBe(weightsDigest("unmoved"));
    expect(weightsDigest("moved")).not.toBe(weightsDigest("stayed"));
    expect((await loadTokenizer(modelFolder)).vocabSize).toBe(300);
  });

  test("a run that failed before its first step does not stand in the way of the next", async () => {
    const short = optionsFor("retried", { corpora: [{ files: [join(root, "short.txt")] }] });
    writeFileSync(join(root, "short.txt"), "too short");
    expect(await codeOf(trainLanguageModel(short))).toBe("corpus-too-short");
    // The same name, now with a text: what was tokenized before is not taken for it.
    writeFileSync(join(root, "short.txt"), prose(5, 120));
    await trainLanguageModel({ ...short, steps: 12 });
    expect(readLog("retried")).toHaveLength(12);
    expect(await codeOf(trainLanguageModel(short))).toBe("train-run-exists");
    // A misspelt name leaves nothing behind at all.
    const misspelt = optionsFor("misspelt", { heldOut: { files: [join(root, "nowhere.txt")] } });
    expect(await codeOf(trainLanguageModel(misspelt))).toBe("corpus-file-unreadable");
    expect(existsSync(join(root, "misspelt"))).toBe(false);
  });

  test("the export holds the tokenizer that was trained with, for each kind of file", async () => {
    const text = "Some text, 2 lines.\nOf it.";
    const config = { eos_token: "<|endoftext|>", bos_token: "<|endoftext|>" };
    const byFile = join(root, "by-file");
    cpSync(tokenizer, byFile, { recursive: true });
    renameSync(join(byFile, "tokenizer.json"), join(byFile, "mine.json"));
    writeFileSync(join(byFile, "tokenizer_config.json"), JSON.stringify(config));
    const ranks = join(root, "gpt2.tiktoken");
    const bytes = Array.from({ length: 256 }, (_, byte) => Buffer.from([byte]).toString("base64"));
    writeFileSync(ranks, bytes.map((token, rank) => `${token} ${rank}\n`).join(""));
    for (const [name, path] of [
      ["from-json", join(byFile, "mine.json")],
      ["from-ranks", ranks],
    ] as const) {
      const { modelFolder } = await trainLanguageModel(
        optionsFor(name, { tokenizer: path, steps: 1 }),
      );
      const [ours, exported] = [await loadTokenizer(path), await loadTokenizer(modelFolder)];
      expect([...exported.encodeIds(text)]).toEqual([...ours.encodeIds(text)]);
      expect(exported.eosTokenId).toBe(ours.eosTokenId);
      expect(exported.bosTokenId).toBe(ours.bosTokenId);
    }
  });

  test("a run that is there, another configuration, a damaged checkpoint: clear errors, nothing lost", async () => {
    await trainLanguageModel(optionsFor("spoilt"));
    const before = weightsDigest("spoilt");
    expect(await codeOf(trainLanguageModel(optionsFor("spoilt")))).toBe("train-run-exists");
    const changed = trainLanguageModel(optionsFor("spoilt", { existing: "resume", batch: 8 }));
    await expect(changed).rejects.toThrow(/batch was 4, is 8/);
    const last = join(root, "spoilt/checkpoints/step-00000030.safetensors");
    truncateSync(last, 5000);
    const damaged = trainLanguageModel(optionsFor("spoilt", { existing: "resume" }));
    await expect(damaged).rejects.toThrow(/remove it to go on from step 20/);
    expect(await codeOf(damaged)).toBe("train-checkpoint-damaged");
    expect(weightsDigest("spoilt")).toBe(before);
    // As advised.
    rmSync(last);
    await trainLanguageModel(optionsFor("spoilt", { existing: "resume" }));
    expect(weightsDigest("spoilt")).toBe(before);
  });

  test.each([
    [{ steps: 0 }, "option-invalid"],
    [{ accumulation: 3 }, "option-invalid"],
    [{ frozen: ["nothing"] }, "option-invalid"],
    [{ frozen: ["model.layers.*", "*.norm"] }, "option-invalid"],
    [{ frozen: ["*"] }, "train-nothing-learns"],
    [{ corpora: [] }, "option-invalid"],
    [{ corpora: [{ files: ["book.txt"], weight: 0 }] }, "option-invalid"],
    [{ averageDecay: 1 }, "option-invalid"],
    [{ checkpointEvery: 0 }, "option-invalid"],
    [{ evaluationSequences: 0 }, "option-invalid"],
    [{ optimizer: [{ kind: "lion" } as never] }, "option-invalid"],
    [{ schedule: { kind: "cosine", peak: 1 } as never }, "option-invalid"],
    [{ sequenceLength: 100_000 }, "corpus-too-short"],
    [{ corpora: [{ files: ["/nowhere/at/all.txt"] }] }, "corpus-file-unreadable"],
    [{ corpora: [{ files: [] }] }, "corpus-empty"],
  ] as [Partial<TrainLanguageModelOptions>, string][])("%o: %s", async (more, code) => {
    const name = `bad-${createHash("sha256").update(JSON.stringify(more)).digest("hex")}`;
    expect(await codeOf(trainLanguageModel(optionsFor(name, more)))).toBe(code);
  });
});

const childScript = fileURLToPath(new URL("./testing/train-child.ts", import.meta.url));

/** Runs a child; kills it a little after its `limit`th line of progress. `fileKilobytes`: the longest file. */
function runChild(
  options: TrainLanguageModelOptions,
  limit: number,
  delay: number,
  fileKilobytes?: number,
): Promise<"killed" | "ended"> {
  const command = [process.execPath, "--import", "tsx", childScript, JSON.stringify(options)];
  const limited = ["bash", "-c", `ulimit -f ${fileKilobytes}; exec "$@"`, "bash", ...command];
  const [program, ...parameters] = fileKilobytes === undefined ? command : limited;
  const child = spawn(program!, parameters, { stdio: ["ignore", "pipe", "pipe"] });
  let lines = 0;
  let errors = "";
  child.stderr.on("data", (bytes: Buffer) => {
    errors += bytes.toString();
  });
  child.stdout.on("data", async (bytes: Buffer) => {
    const before = lines;
    lines += bytes.toString().split("\n").length - 1;
    if (before >= limit || lines < limit) return;
    await sleep(delay);
    child.kill("SIGKILL");
  });
  return new Promise((resolve, reject) => {
    child.on("exit", (status, signal) => {
      if (signal === "SIGKILL") resolve("killed");
      else if (status === 0) resolve("ended");
      else reject(new Error(`the child failed with ${status ?? signal}: ${errors}`));
    });
  });
}
