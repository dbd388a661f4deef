/**
 * A lock between processes: a file that exists while somebody works on something.
 *
 * Node has no advisory locks, so the holder names itself in the file and touches it while it lives; a
 * lock whose holder is gone, or has not touched it for a minute, is taken over. Whoever is guarded
 * must bear the rare case of two holders (a frozen process that wakes up): the lock saves work, and
 * atomic renames keep files whole.
 */
import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename, stat, unlink, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileError, systemCode } from "./file-error.ts";

const touchEvery = 10_000;
const staleAfter = 60_000;
const askEvery = 200;

export interface AcquireLockOptions {
  /** Called before every try; when it gives true, waiting ends without the lock. */
  isDone?: () => Promise<boolean>;
  signal?: AbortSignal | undefined;
}

/**
 * Waits until the lock is ours and gives the function that releases it; undefined when `isDone` came
 * first. Throws the signal's reason when it is aborted.
 */
export async function acquireLock(
  path: string,
  options: AcquireLockOptions = {},
): Promise<(() => Promise<void>) | undefined> {
  const { isDone, signal } = options;
  const owner = JSON.stringify({
    pid: process.pid,
    host: hostname(),
    key: randomBytes(8).toString("hex"),
  });
  for (;;) {
    signal?.throwIfAborted();
    if (await isDone?.()) return undefined;
    if (await tryCreate(path, owner)) return holdLock(path, owner);
    if (await isStale(path)) await removeStale(path);
    else await sleep(askEvery, undefined, signal ? { signal } : {}).catch(() => {});
  }
}

async function tryCreate(path: string, owner: string): Promise<boolean> {
  try {
    await mkdir(dirname(path), { recursive: true });
    const handle = await open(path, "wx");
    try {
      await handle.writeFile(owner);
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw fileError(error, path);
  }
}

function holdLock(path: string, owner: string): () => Promise<void> {
  const timer = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, touchEvery);
  timer.unref();
  return async () => {
    clearInterval(timer);
    const present = await readFile(path, "utf8").catch(() => undefined);
    if (present === owner) await unlink(path).catch(() => {});
  };
}

async function isStale(path: string): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(path);
    const age = Date.now() - mtimeMs;
    if (age > staleAfter) return true;
    const text = await readFile(path, "utf8");
    // Just created and not yet written; if its maker died in that moment, age decides.
    if (text === "") return false;
    const { pid, host } = JSON.parse(text) as { pid?: unknown; host?: unknown };
    return host === hostname() && typeof pid === "number" && !isAlive(pid);
  } catch {
    // Gone in the meantime, or not a lock of ours: ask again.
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) !== "ESRCH";
  }
}

/** Of several processes that find a lock stale, one moves it away; the others find it gone. */
async function removeStale(path: string): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString("hex")}`;
  await rename(path, aside).catch(() => {});
  await unlink(aside).catch(() => {});
}
