import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compile, float32, gather, int32, liveSessions, trace } from "./index.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jeton-tensor-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

describe("programs in worker threads", () => {
  const graph = trace({ table: float32([3]), index: int32(["n"]) }, ({ table, index }) => ({
    y: gather(table, index),
  }));
  const inputs = (...index: number[]) => ({
    table: { data: Float32Array.of(5, 6, 7), shape: [3] },
    index: { data: Int32Array.from(index), shape: [index.length] },
  });

  test("run, fail with a code, run again, and refuse after release", async () => {
    const program = await compile(graph);
    expect((await program.run(inputs(2, 0))).y.data).toEqual(Float32Array.of(7, 5));
    await expect(program.run(inputs(8))).rejects.toMatchObject({ code: "tensor-run-failed" });
    const [a, b] = await Promise.all([program.run(inputs(1)), program.run(inputs(2))]);
    expect([a.y.data[0], b.y.data[0]]).toEqual([6, 7]);
    await program.release();
    await expect(program.run(inputs(1))).rejects.toMatchObject({ code: "service-closed" });
  });

  test("release during a run waits for it; releasing twice is safe", async () => {
    const program = await compile(graph);
    const running = program.run(inputs(1, 1, 2));
    const releases = [program.release(), program.release()];
    expect((await running).y.data).toEqual(Float32Array.of(6, 6, 7));
    await Promise.all(releases);
    await program.release();
  });

  test("a part of a large array crosses alone", async () => {
    const program = await compile(graph);
    const arena = new Float32Array(1000).fill(4);
    const { y } = await program.run({
      ...inputs(0),
      table: { data: arena.subarray(9, 12), shape: [3] },
    });
    expect(y.data).toEqual(Float32Array.of(4));
    await program.release();
  });

  test("an idle program does not keep the process alive", async () => {
    const script = join(folder, "idle.mts");
    const index = new URL("./index.ts", import.meta.url).href;
    await writeFile(
      script,
      `import { compile, exp, float32, trace } from ${JSON.stringify(index)};
      const program = await compile(trace({ x: float32([]) }, ({ x }) => ({ y: exp(x) })));
      const { y } = await program.run({ x: 0 });
      console.log("result", y.data[0]);`,
    );
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", script], {
      timeout: 50_000,
      cwd: new URL("../..", import.meta.url).pathname,
    });
    expect(stdout).toContain("result 1");
  });

  test("live sessions are counted until they are released", async () => {
    const before = liveSessions();
    const programs = await Promise.all([1, 2, 3].map(() => compile(graph, { inline: true })));
    expect(liveSessions()).toBe(before + 3);
    for (const program of programs) {
      await program.release();
      await program.release();
    }
    expect(liveSessions()).toBe(before);
    {
      await using program = await compile(graph, { inline: true });
      expect((await program.run(inputs(1))).y.data[0]).toBe(6);
    }
    expect(liveSessions()).toBe(before);
  });
});
