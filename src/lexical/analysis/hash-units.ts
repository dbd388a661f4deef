/** Hashes of words, unit by unit, so that a scan can compute them while it reads (FNV-1a of UTF-16 units, mixed once). */

/** Before the first unit. */
export const hashStart = 0x811c9dc5;

/** With one more unit. */
export function hashStep(hash: number, unit: number): number {
  return Math.imul(hash ^ unit, 0x01000193);
}

/** After the last unit: 32 bits without a sign. */
export function hashEnd(hash: number): number {
  const mixed = hash ^ (hash >>> 15);
  return Math.imul(mixed, 0x2c1b3c6d) >>> 0;
}

/** The hash of the units from `start` up to `end`. */
export function hashUnits(units: Uint16Array, start: number, end: number): number {
  let hash = hashStart;
  for (let at = start; at < end; at++) hash = hashStep(hash, units[at]!);
  return hashEnd(hash);
}
