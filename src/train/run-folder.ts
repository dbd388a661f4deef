/**
 * The folder of a run: its configuration, its log and its checkpoints, none of which an interruption
 * can spoil.
 *
 *     run.json                          what was asked for; a resumed run must ask for the same
 *     log.jsonl                         a line for every step
 *     data/                             tokenized corpora
 *     checkpoints/step-00000100.safetensors
 *     loss.svg                          the loss curve
 *     model/                            the exported checkpoint folder
 */
import { type FileHandle, mkdir, open, readdir, readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import { readJsonObject, writeFileAtomically } from "../checkpoint/index.ts";
import { JetonError } from "../core/index.ts";

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
}

export interface RunFolder {
  readonly path: string;
  /** True when `run.json` was there already. */
  readonly isResumed: boolean;
  /** Steps of the checkpoints, ascending. */
  checkpoints(): Promise<number[]>;
  checkpointPath(step: number): string;
  /** Removes all but the newest `keep` checkpoints. */
  prune(keep: number): Promise<void>;
  /** Drops log lines beyond a step and what a crash left half-written; returns the rest. */
  openLog(lastStep: number): Promise<LogEntry[]>;
  log(entry: LogEntry): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the folder of a new run, or of one to go on with.
 *
 * @param configuration plain JSON
 * @param options `existing`: what to do with a run that is there: `refuse` or `resume`
 *
 * @throws JetonError `train-run-exists`, `train-configuration-changed`
 */
export async function openRunFolder(
  path: string,
  configuration: Readonly<Record<string, unknown>>,
  options: { existing: "refuse" | "resume" },
): Promise<RunFolder> {
  const file = join(path, "run.json");
  const checkpointFolder = join(path, "checkpoints");
  const logPath = join(path, "log.jsonl");
  await mkdir(checkpointFolder, { recursive: true });
  const known = await readJsonObject(file).catch((error: unknown) => {
    if (JetonError.isInstance(error) && error.code === "file-not-found") return undefined;
    throw error;
  });
  if (known === undefined) {
    await writeFileAtomically(file, `${JSON.stringify(configuration, null, 2)}\n`);
  } else if (options.existing === "refuse") {
    throw new JetonError(`${path} holds a run already: resume it, or choose another folder`, {
      code: "train-run-exists",
      details: { path },
    });
  } else {
    checkSame(file, known, configuration);
  }
  // Temporary files of a process that was killed.
  for (const folder of [path, checkpointFolder, join(path, "data")]) {
    for (const name of await readdir(folder).catch(() => [] as string[])) {
      if (/^\..*\.tmp$/.test(name)) await unlink(join(folder, name)).catch(() => {});
    }
  }
  let log: FileHandle | undefined;
  const checkpointPath = (step: number): string =>
    join(checkpointFolder, `step-${String(step).padStart(8, "0")}.safetensors`);
  const checkpoints = async (): Promise<number[]> =>
    (await readdir(checkpointFolder))
      .map((name) => /^step-(\d+)\.safetensors$/.exec(name)?.[1])
      .filter((digits) => digits !== undefined)
      .map(Number)
      .sort((a, b) => a - b);
  return {
    path,
    isResumed: known !== undefined,
    checkpoints,
    checkpointPath,
    async prune(keep) {
      for (const step of (await checkpoints()).slice(0, -keep)) await unlink(checkpointPath(step));
    },
    async openLog(lastStep) {
      const text = await readFile(logPath, "utf8").catch(() => "");
      const entries = text.split("\n").flatMap((line) => parseEntry(line));
      const kept = entries.filter(({ step }) => step <= lastStep);
      await writeFileAtomically(
        logPath,
        kept.map((entry) => `${JSON.stringify(entry)}\n`).join(""),
      );
      log = await open(logPath, "a");
      return kept;
    },
    async log(entry) {
      await log!.writeFile(`${JSON.stringify(entry)}\n`);
    },
    async close() {
      await log?.close();
      log = undefined;
    },
  };
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
  // What JSON cannot hold is dropped on both sides.
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
