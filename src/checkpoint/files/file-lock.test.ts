import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { utimes } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { acquireLock, type LockHolder } from "./file-lock.ts";

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "jeton-lock-"));
  path = join(folder, "deeper", "some.lock");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("one has it at a time; the next gets it when it is released", async () => {
  const first = (await acquireLock(path))!;
  const holders: LockHolder[] = [];
  const waiting = acquireLock(path, { onHeld: (holder) => void holders.push(holder) });
  while (holders.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(holders[0]).toEqual({ pid: process.pid, host: hostname() });
  expect(await first.isHeld()).toBe(true);
  await first.release();
  const second = (await waiting)!;
  expect([await first.isHeld(), await second.isHeld()]).toEqual([false, true]);
  // Released already: it must not take the other's away.
  await first.release();
  expect(await second.isHeld()).toBe(true);
  await second.release();
  expect(readdirSync(join(folder, "deeper"))).toEqual([]);
});

test("waiting ends by what onHeld throws, by isDone, and by the signal", async () => {
  const held = (await acquireLock(path))!;
  const refuse = (): never => {
    throw new Error("busy");
  };
  await expect(acquireLock(path, { onHeld: refuse })).rejects.toThrow("busy");
  expect(await acquireLock(path, { isDone: async () => true })).toBeUndefined();
  const signal = AbortSignal.abort(new Error("enough"));
  await expect(acquireLock(path, { signal })).rejects.toThrow("enough");
  expect(await held.isHeld()).toBe(true);
  await held.release();
});

/** A program that takes the lock, says its number, and waits to be killed. */
function holdingProgram(): string {
  const source = fileURLToPath(new URL("./file-lock.ts", import.meta.url));
  return `
    const { acquireLock } = await import(${JSON.stringify(source)});
    await acquireLock(${JSON.stringify(path)});
    console.log(process.pid);
    setInterval(() => {}, 1000);`;
}

test.skipIf(process.platform !== "linux")(
  "a lock is taken over at once when its killed holder is a zombie process",
  async () => {
    // The shell becomes a program that never asks how its child ended.
    const parent = spawn(
      "sh",
      [
        "-c",
        '"$0" --import tsx --input-type=module --eval "$1" & exec sleep 60',
        process.execPath,
        holdingProgram(),
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const [pid] = (await once(parent.stdout, "data")) as [Buffer];
    process.kill(Number(pid), "SIGKILL");
    const lock = (await acquireLock(path))!;
    expect(await lock.isHeld()).toBe(true);
    // The process id still exists, though its process has ended.
    expect(process.kill(Number(pid), 0)).toBe(true);
    await lock.release();
    parent.kill("SIGKILL");
    await once(parent, "exit");
  },
  20_000,
);

test("a lock whose holder was killed is taken over at once", async () => {
  const child = spawn(
    process.execPath,
    ["--import", "tsx", "--input-type=module", "--eval", holdingProgram()],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  await once(child.stdout, "data");
  const refuse = ({ pid }: LockHolder): never => {
    throw new Error(`held by ${pid}`);
  };
  await expect(acquireLock(path, { onHeld: refuse })).rejects.toThrow(`held by ${child.pid}`);
  child.kill("SIGKILL");
  await once(child, "exit");
  const lock = (await acquireLock(path, { onHeld: refuse }))!;
  expect(await lock.isHeld()).toBe(true);
  await lock.release();
});

test("a lock from elsewhere counts until it has not been touched for a minute", async () => {
  writeFileSync(join(folder, "far.lock"), JSON.stringify({ pid: 1, host: "another.example" }));
  const far = join(folder, "far.lock");
  const refuse = ({ host }: LockHolder): never => {
    throw new Error(`held on ${host}`);
  };
  await expect(acquireLock(far, { onHeld: refuse })).rejects.toThrow("held on another.example");
  const past = new Date(Date.now() - 120_000);
  await utimes(far, past, past);
  const lock = (await acquireLock(far, { onHeld: refuse }))!;
  expect(await lock.isHeld()).toBe(true);
  await lock.release();
});

test("of many that find it stale, one gets it at a time", async () => {
  const old = join(folder, "old.lock");
  writeFileSync(old, JSON.stringify({ pid: 1, host: "another.example" }));
  const past = new Date(Date.now() - 120_000);
  await utimes(old, past, past);
  let holders = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      const lock = (await acquireLock(old))!;
      most = Math.max(most, ++holders);
      expect(JSON.parse(readFileSync(old, "utf8")).pid).toBe(process.pid);
      await new Promise((resolve) => setTimeout(resolve, 2));
      holders--;
      await lock.release();
    }),
  );
  expect(most).toBe(1);
  expect(existsSync(old)).toBe(false);
  expect(readdirSync(folder)).toEqual([]);
});
