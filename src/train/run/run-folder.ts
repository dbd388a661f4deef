/**
 * The folder of a run: its configuration, its log and its checkpoints, none of which an interruption
 * can spoil.
 *
 *     run.lock                          there while a process works here
 *     run.json                          what was asked for; a resumed run must ask for the same
 *     log.jsonl                         a line for every step
 *     data/                             tokenized corpora, and the tokenizer as it was
 *     checkpoints/step-00000100.safetensors
 *     loss.svg                          the loss curve
 *     model/                            the exported checkpoint folder
 */
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  stat,
  unlink,
} from "node:fs/promises";
import { join } from "node:path";
import {
  acquireLock,
  type FileLock,
  fileError,
  readJsonObject,
  writeFileAtomically,
} from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";

/** A line of the log. */
export interface LogEntry {
  readonly step: number;
  readonly loss: number;
  readonly gradientNorm: number;
  readonly learningRate: number;
  /** Tokens that counted, of all steps so far. */
  readonly tokens: number;
  /** Seconds of this step. */
  readonly seconds: number;
  /** Where an evaluation followed the step: mean loss and bits per byte of held-out text. */
  readonly heldOutLoss?: number;
  readonly heldOutBitsPerByte?: number;
  /** What the objective reports: the share that an MrT5's gate marked to go, as `deletedShare`. */
  readonly reported?: Readonly<Record<string, number>>;
}

/** An open run folder, locked by this process until `close`. */
export interface RunFolder {
  readonly path: string;
  /** True when an existing run is continued. */
  readonly isResumed: boolean;
  /** Steps of the checkpoints, ascending. */
  checkpoints(): Promise<number[]>;
  checkpointPath(step: number): string;
  /**
   * Checks that this process still holds the folder's lock: after minutes of suspension another
   * process may have taken it over.
   *
   * @throws JetonError `train-run-taken-over`
   */
  checkOwned(): Promise<void>;
  /** Removes all but the newest `keep` checkpoints. */
  prune(keep: number): Promise<void>;
  /** Drops log lines beyond a step and half-written ones of a crash; returns the rest. */
  openLog(lastStep: number): Promise<LogEntry[]>;
  /** Adds a line. @throws JetonError `disk-full` and its like */
  log(entry: LogEntry): Promise<void>;
  close(): Promise<void>;
}

/** Options of `openRunFolder`. */
export interface OpenRunFolderOptions {
  /** What to do with a run that is there. `refuse` begins one anew that did not come to its first step. */
  existing: "refuse" | "resume";
  /** Options to record that a resumed run may change. Plain JSON. */
  changeable?: Readonly<Record<string, unknown>>;
}

/**
 * Opens the folder of a new run, or of one to go on with. One process at a time has it, until `close`;
 * what a killed one left is taken over.
 *
 * @param configuration plain JSON
 *
 * @throws JetonError `train-run-busy` (with `details.holder`), `train-run-exists`,
 *   `train-configuration-changed`
 */
export async function openRunFolder(
  path: string,
  configuration: Readonly<Record<string, unknown>>,
  options: OpenRunFolderOptions,
): Promise<RunFolder> {
  const lockPath = join(path, "run.lock");
  const lock = (await acquireLock(lockPath, {
    onHeld: (holder) => {
      throw new JetonError(
        `${path} is in use: process ${holder.pid} on ${holder.host} trains in it (${lockPath})`,
        { code: "train-run-busy", details: { path, holder } },
      );
    },
  }))!;
  try {
    return await openLocked(path, configuration, options, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/**
 * Reads what a run was asked for, the changeable part apart; undefined where there is no run.
 */
export async function readRunConfiguration(path: string): Promise<
  | {
      readonly configuration: Readonly<Record<string, unknown>>;
      readonly changeable: Readonly<Record<string, unknown>>;
    }
  | undefined
> {
  const known = await readJsonObject(join(path, "run.json")).catch((error: unknown) => {
    if (JetonError.isInstance(error) && error.code === "file-not-found") return undefined;
    throw error;
  });
  if (known === undefined) return undefined;
  const { changeable = {}, ...configuration } = known;
  return { configuration, changeable: changeable as Record<string, unknown> };
}

async function openLocked(
  path: string,
  configuration: Readonly<Record<string, unknown>>,
  { existing, changeable }: OpenRunFolderOptions,
  lock: FileLock,
): Promise<RunFolder> {
  const file = join(path, "run.json");
  const checkpointFolder = join(path, "checkpoints");
  const dataFolder = join(path, "data");
  await mkdir(checkpointFolder, { recursive: true }).catch((error: unknown) => {
    throw fileError(error, checkpointFolder);
  });
  let known = await readRunConfiguration(path);
  if (known !== undefined && existing === "refuse") {
    if (await hasBegun(path)) {
      throw new JetonError(`${path} holds a run already: resume it, or choose another folder`, {
        code: "train-run-exists",
        details: { path },
      });
    }
    // A run that stopped before its first step has learned nothing: another configuration may follow.
    await rm(dataFolder, { recursive: true, force: true });
    known = undefined;
  }
  if (known !== undefined) checkSame(file, known.configuration, configuration);
  if (known === undefined || changeable !== undefined) {
    const document = { ...configuration, ...(changeable && { changeable }) };
    await writeFileAtomically(file, `${JSON.stringify(document, null, 2)}\n`);
  }
  // Temporary files of a process that was killed.
  for (const folder of [path, checkpointFolder, dataFolder]) {
    for (const name of await readdir(folder).catch(() => [] as string[])) {
      if (/^\..*\.tmp$/.test(name)) await unlink(join(folder, name)).catch(() => {});
    }
  }
  return new LockedRunFolder(path, known !== undefined, lock);
}

const logPath = (path: string): string => join(path, "log.jsonl");

async function hasBegun(path: string): Promise<boolean> {
  const log = await stat(logPath(path)).catch(() => undefined);
  return (log?.size ?? 0) > 0 || (await listCheckpoints(path)).length > 0;
}

/** Steps whose checkpoints are there, ascending. */
async function listCheckpoints(path: string): Promise<number[]> {
  return (await readdir(join(path, "checkpoints")))
    .map((name) => /^step-(\d+)\.safetensors$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}

class LockedRunFolder implements RunFolder {
  readonly path: string;
  readonly isResumed: boolean;
  readonly #lock: FileLock;
  #log: FileHandle | undefined;

  constructor(path: string, isResumed: boolean, lock: FileLock) {
    this.path = path;
    this.isResumed = isResumed;
    this.#lock = lock;
  }

  checkpoints(): Promise<number[]> {
    return listCheckpoints(this.path);
  }

  checkpointPath(step: number): string {
    const name = `step-${String(step).padStart(8, "0")}.safetensors`;
    return join(this.path, "checkpoints", name);
  }

  async prune(keep: number): Promise<void> {
    for (const step of (await this.checkpoints()).slice(0, -keep)) {
      await unlink(this.checkpointPath(step));
    }
  }

  async checkOwned(): Promise<void> {
    if (await this.#lock.isHeld()) return;
    throw new JetonError(
      `another process has taken ${this.path} over, believing this one gone: nothing more is written`,
      { code: "train-run-taken-over", details: { path: this.path } },
    );
  }

  async openLog(lastStep: number): Promise<LogEntry[]> {
    const file = logPath(this.path);
    const text = await readFile(file, "utf8").catch(() => "");
    const entries = text.split("\n").flatMap((line) => parseEntry(line));
    const kept = entries.filter(({ step }) => step <= lastStep);
    await writeFileAtomically(file, kept.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
    this.#log = await open(file, "a");
    return kept;
  }

  async log(entry: LogEntry): Promise<void> {
    try {
      await this.#log!.writeFile(`${JSON.stringify(entry)}\n`);
    } catch (error) {
      throw fileError(error, logPath(this.path));
    }
  }

  async close(): Promise<void> {
    await this.#log?.close();
    this.#log = undefined;
    await this.#lock.release();
  }
}

/** A line of the log; a crash may have cut the last one short. */
function parseEntry(line: string): LogEntry[] {
  try {
    return [JSON.parse(line) as LogEntry];
  } catch {
    return [];
  }
}

function checkSame(
  file: string,
  known: Readonly<Record<string, unknown>>,
  configuration: Readonly<Record<string, unknown>>,
): void {
  // Both sides drop the values that JSON cannot hold.
  const wanted = JSON.parse(JSON.stringify(configuration)) as Record<string, unknown>;
  const changed = [...new Set([...Object.keys(known), ...Object.keys(wanted)])].filter(
    (key) => JSON.stringify(known[key]) !== JSON.stringify(wanted[key]),
  );
  if (changed.length === 0) return;
  const list = changed
    .map((key) => `${key} was ${JSON.stringify(known[key])}, is ${JSON.stringify(wanted[key])}`)
    .join("; ");
  throw new JetonError(`${file}: the run cannot go on with another configuration: ${list}`, {
    code: "train-configuration-changed",
    details: { changed, file },
  });
}
