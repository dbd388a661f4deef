/** Resident set of the process; a browser keeps that figure from its pages, where it is 0. */
export function residentBytes(): number {
  return typeof process === "undefined" ? 0 : (process.memoryUsage?.().rss ?? 0);
}
