/**
 * A lock between processes: a file that exists while a process holds it.
 *
 * Node has no advisory locks, so the holder names itself in the file and touches it while it lives; a
 * lock whose holder is gone, or has not touched it for a minute, is taken over. Guarded work
 * must tolerate the rare case of two holders (a frozen process that wakes up): the lock saves work, and
 * atomic renames keep files whole.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { link, mkdir, open, readFile, rename, stat, unlink, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileError, systemCode } from "./file-error.ts";

const touchEvery = 10_000;
const staleAfter = 60_000;
const askEvery = 200;

/** The process that holds a lock, as it named itself. */
export interface LockHolder {
  readonly pid: number;
  readonly host: string;
}

/** Options of `acquireLock`. */
export interface AcquireLockOptions {
  /** Called before every try; when it gives true, waiting ends without the lock. */
  isDone?: () => Promise<boolean>;
  /** Called before every wait with the current holder; an error that it throws ends the waiting. */
  onHeld?: (holder: LockHolder) => void;
  signal?: AbortSignal | undefined;
}

/** A lock that this process has. */
export interface FileLock {
  /** False once another process has taken the lock over, because this one did not touch it in time. */
  isHeld(): Promise<boolean>;
  release(): Promise<void>;
}

/**
 * Waits until the lock is ours; undefined when `isDone` came first. The file is created at `path`, its
 * folder too where it does not exist.
 *
 * @throws the signal's reason; what `onHeld` throws; JetonError `disk-full` and its like
 */
export async function acquireLock(
  path: string,
  options: AcquireLockOptions = {},
): Promise<FileLock | undefined> {
  const { isDone, onHeld, signal } = options;
  const owner = JSON.stringify({
    pid: process.pid,
    host: hostname(),
    key: randomBytes(8).toString("hex"),
  });
  for (;;) {
    signal?.throwIfAborted();
    if (await isDone?.()) return undefined;
    if (await tryCreate(path, owner)) return holdLock(path, owner);
    const present = await readLock(path);
    // Gone in the meantime.
    if (present === undefined) continue;
    if (isStale(present)) {
      await removeStale(path, present.text);
      continue;
    }
    if (present.holder !== undefined) onHeld?.(present.holder);
    await sleep(askEvery, undefined, signal ? { signal } : {}).catch(() => {});
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

function holdLock(path: string, owner: string): FileLock {
  const timer = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, touchEvery);
  timer.unref();
  const isHeld = async (): Promise<boolean> =>
    (await readFile(path, "utf8").catch(() => undefined)) === owner;
  return {
    isHeld,
    async release() {
      clearInterval(timer);
      if (await isHeld()) await unlink(path).catch(() => {});
    },
  };
}

/** A lock file as it was found. */
interface PresentLock {
  readonly text: string;
  readonly age: number;
  /** Undefined where the file was just created and not yet written, or is no lock of ours. */
  readonly holder: LockHolder | undefined;
}

async function readLock(path: string): Promise<PresentLock | undefined> {
  try {
    const { mtimeMs } = await stat(path);
    const text = await readFile(path, "utf8");
    return { text, age: Date.now() - mtimeMs, holder: readHolder(text) };
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw fileError(error, path);
  }
}

function readHolder(text: string): LockHolder | undefined {
  try {
    const { pid, host } = JSON.parse(text) as Partial<LockHolder>;
    return typeof pid === "number" && typeof host === "string" ? { pid, host } : undefined;
  } catch {
    return undefined;
  }
}

/** True when the holder is gone; where that cannot be told, age decides. */
function isStale({ age, holder }: PresentLock): boolean {
  if (age > staleAfter) return true;
  return holder !== undefined && holder.host === hostname() && !isAlive(holder.pid);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return systemCode(error) !== "ESRCH";
  }
  return !isZombie(pid);
}

/** True for a killed process whose parent has not reaped it yet, as happens in containers. */
function isZombie(pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The state follows the name in brackets, which may hold anything.
    return /^\s*[ZX]/.test(text.slice(text.lastIndexOf(")") + 1));
  } catch {
    return false;
  }
}

/**
 * Of several processes that find a lock stale, one moves it away; the others find it gone, or find
 * that they moved the new lock of a quicker one, and put that back.
 */
async function removeStale(path: string, stale: string): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString("hex")}`;
  await rename(path, aside).catch(() => {});
  const moved = await readFile(aside, "utf8").catch(() => stale);
  if (moved !== stale) await link(aside, path).catch(() => {});
  await unlink(aside).catch(() => {});
}
