/**
 * A drafter's learned state in a file, written atomically: a crash leaves the old state or the new one.
 */
import { readFile, stat } from "node:fs/promises";
import { fileError } from "../../checkpoint/files/file-error.ts";
import { writeFileAtomically } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import type { Drafter } from "./drafter.ts";

/** Larger files are rejected unread: no drafter's state reaches this size. */
const maxFile = 2 ** 28;

/**
 * Writes a drafter's learned state.
 *
 * @throws JetonError `drafter-remembers-nothing` where the drafter has no `save`; `disk-full`,
 *   `file-not-permitted` and their like
 */
export async function saveDrafter(drafter: Drafter, path: string): Promise<void> {
  if (!drafter.save) throw remembersNothing(drafter);
  await writeFileAtomically(path, drafter.save());
}

/**
 * Loads the state that a drafter of the same kind over the same model saved. After an error the drafter
 * keeps its state.
 *
 * @returns whether there was a file
 * @throws JetonError `drafter-state-damaged`, `drafter-state-version`, `drafter-state-other-kind`,
 *   `drafter-state-other-model`, `drafter-state-invalid`, `drafter-remembers-nothing`,
 *   `file-not-permitted` and their like
 */
export async function loadDrafter(drafter: Drafter, path: string): Promise<boolean> {
  if (!drafter.load) throw remembersNothing(drafter);
  let bytes: Uint8Array;
  try {
    const { size } = await stat(path);
    if (size > maxFile) {
      throw new JetonError(`${path} has ${size} bytes, expected at most ${maxFile}`, {
        code: "drafter-state-damaged",
        details: { path, found: size, expected: maxFile },
      });
    }
    bytes = await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw fileError(error, path);
  }
  drafter.load(bytes);
  return true;
}

function remembersNothing({ name }: Drafter): JetonError {
  return new JetonError(`the drafter ${name} learns nothing that could be kept`, {
    code: "drafter-remembers-nothing",
    details: { name },
  });
}
