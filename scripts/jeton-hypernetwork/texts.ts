/** Prose for the hypernetworks of jeton-nano, in pieces of a few hundred bytes. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { locateData } from "../../src/data/index.ts";
import { gibbonParagraphs, isHeldOutChapter } from "../../src/reproduce/data/held-out-chapters.ts";

/** Pieces of Gibbon's chapters: those of the training, or the ones that no bundled model is trained on. */
export async function gibbonPieces(heldOut: boolean): Promise<string[]> {
  const folder = await locateData("text/gibbon");
  const names = (await readdir(folder)).filter((name) => isHeldOutChapter(name) === heldOut).sort();
  const pieces: string[] = [];
  for (const name of names) {
    for (const paragraph of gibbonParagraphs(await readFile(join(folder, name), "utf8"))) {
      pieces.push(...(paragraph.match(/.{200,400}?[.;,] /g) ?? []));
    }
  }
  return pieces;
}

/** Steps of a training, and texts of a step. */
export const training = { steps: 500, batch: 8 } as const;
