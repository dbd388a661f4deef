/** Chapters of the data folder's Gibbon that no bundled model is trained on, by their files' names. */
export const heldOutChapters = ["09_Chapter_IX", "31_Chapter_XXXI", "52_Chapter_LII"] as const;

/** Whether a file of the folder is one of them. */
export function isHeldOutChapter(file: string): boolean {
  return heldOutChapters.some((chapter) => file === `${chapter}.txt`);
}
