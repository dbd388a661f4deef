/** What decides which tokens or words of a sequence are masked. */
import { createRandom, type Random } from "../../core/index.ts";

/** Random numbers for a sequence, by its ids and the seed alone, so that a resumed run masks the same. */
export function maskRandom(seed: number, ids: Int32Array): Random {
  return createRandom(seed, "mask", hashOf(ids));
}

/** A number that differs for different sequences of ids (FNV-1a). */
function hashOf(ids: Int32Array): number {
  let hash = 0x811c9dc5;
  for (const id of ids) hash = Math.imul(hash ^ id, 0x01000193) >>> 0;
  return hash;
}
