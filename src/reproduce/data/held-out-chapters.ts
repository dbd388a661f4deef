/**
 * The data folder's Gibbon, from which bundled models learn prose.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** Chapters that no bundled model is trained on, by their files' names. */
export const heldOutChapters = ["09_Chapter_IX", "31_Chapter_XXXI", "52_Chapter_LII"] as const;

/**
 * Reads the chapters that models learn from, or those that are held out, in the order of their files' names.
 *
 * @param folder the data registry's `text/gibbon`
 * @returns paragraphs by chapter, as `gibbonParagraphs` gives them
 */
export async function readGibbon(folder: string, isHeldOut: boolean): Promise<string[][]> {
  const files = (await readdir(folder)).filter((file) => isHeldOutChapter(file) === isHeldOut);
  const texts = await Promise.all(files.sort().map((file) => readFile(join(folder, file), "utf8")));
  return texts.map(gibbonParagraphs);
}

/** Whether a file of the folder is one of them. */
export function isHeldOutChapter(file: string): boolean {
  return heldOutChapters.some((chapter) => file === `${chapter}.txt`);
}

/** Paragraphs of a chapter on one line each, without footnotes and their numbers. */
export function gibbonParagraphs(text: string): string[] {
  return text
    .replace(/^ *\d+[a-z]* \(return\)\s*\[[\s\S]*?\]\s*\n\s*\n/gm, "")
    .split(/\n\s*\n/)
    .map((paragraph) =>
      paragraph
        .replace(/\s+/g, " ")
        .replace(/_/g, "")
        .replace(/(?<=[a-z.,;:!?’”)]) \d+[a-z]?\b(?! (years|thousand|hundred|men|miles|feet))/g, "")
        .trim(),
    )
    .filter((paragraph) => paragraph !== "" && !/\(return\)|\[|\]/.test(paragraph));
}
