/** Which bytes the baselines without a gate keep: at random, or the beginning of every segment. */
import type { Random } from "../../core/index.ts";

/**
 * Random deletion: each text deletes a share drawn around the target, at places drawn uniformly.
 *
 * @param deviation of the share. Default 0.05
 * @returns 1 where a byte is kept; at least one is
 */
export function keepRandomly(
  length: number,
  target: number,
  random: Random,
  deviation = 0.05,
): Float32Array {
  const share = Math.min(1, Math.max(0, target + deviation * random.normal()));
  const places = Array.from({ length }, (_, place) => ({ place, key: random.uniform() }));
  places.sort((a, b) => a.key - b.key);
  const keep = new Float32Array(length).fill(1);
  const deleted = Math.min(length - 1, Math.round(share * length));
  for (const { place } of places.slice(0, deleted)) keep[place] = 0;
  return keep;
}

/** Whether an id ends a segment: white space, ASCII punctuation, or an id that is no byte. */
function isSeparator(id: number): boolean {
  if (id < 3 || id > 258) return true;
  const byte = id - 3;
  const isLetter =
    (byte >= 0x30 && byte <= 0x39) ||
    (byte >= 0x41 && byte <= 0x5a) ||
    (byte >= 0x61 && byte <= 0x7a);
  return byte < 0x80 && !isLetter;
}

/**
 * Fixed deletion: of each segment, which ends with a separator, the first ceil((1 - target) · length) bytes
 * are kept.
 *
 * @param ids of ByT5
 */
export function keepFirstOfSegments(ids: ArrayLike<number>, target: number): Float32Array {
  const keep = new Float32Array(ids.length);
  let start = 0;
  for (let place = 0; place < ids.length; place++) {
    if (!isSeparator(ids[place]!) && place < ids.length - 1) continue;
    const length = place + 1 - start;
    keep.fill(1, start, start + Math.ceil((1 - target) * length));
    start = place + 1;
  }
  return keep;
}
