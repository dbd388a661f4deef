import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { createRandom } from "../core/index.ts";
import { codeOf } from "../testing/code-of.ts";
import type { TrainingProgress, TrainLanguageModelOptions } from "./language-model-options.ts";
import { optionsFor, readLog, root, useSmallCorpora, weightsDigest } from "./testing/small-run.ts";
import { trainLanguageModel } from "./train-language-model.ts";

/** Whether this user may make a file system of its own, small enough to fill. */
const canMount =
  spawnSync("unshare", ["-Urm", "mount", "-t", "tmpfs", "tmpfs", tmpdir()]).status === 0;
if (!canMount) console.log("full disk: skipped, this user may not mount a file system of its own");

useSmallCorpora();

// Each process that is started loads everything anew, which takes a while on a busy machine.
describe("a run that is interrupted", { timeout: 240_000 }, () => {
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
    writeFileSync(join(root, "shared", "run.lock"), left);
    const again = optionsFor("shared", { existing: "refuse" });
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
