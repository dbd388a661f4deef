/** Prose for the hypernetworks of jeton-nano, in pieces of a few hundred bytes. */
import { locateData } from "../../src/data/index.ts";
import { readGibbon } from "../../src/reproduce/data/held-out-chapters.ts";

/** Pieces of Gibbon's chapters: those of the training, or the ones that no bundled model is trained on. */
export async function gibbonPieces(heldOut: boolean): Promise<string[]> {
  const chapters = await readGibbon(await locateData("text/gibbon"), heldOut);
  return chapters.flat().flatMap((paragraph) => paragraph.match(/.{200,400}?[.;,] /g) ?? []);
}

/** Steps of a training, and texts of a step. */
export const training = { steps: 500, batch: 8 } as const;
