/**
 * Ends vitest's output with the skipped tests, what would add them, and one plain line,
 * `N passed, N failed, N skipped`, for people and CI.
 */
import { relative } from "node:path";

/** As in `src/testing/test-data.ts`. */
const skipMarker = "[skipped tests]";

/** For `onConsoleLog`: hides the lines that only this reporter reads. */
export function isSkipLine(log) {
  return log.startsWith(skipMarker);
}

/** Lines that say what was skipped: `{ file, skipped }` per file, and the reasons by file. */
export function describeSkips(files, reasons) {
  const skipped = files.filter((file) => file.skipped > 0);
  if (skipped.length === 0) return [];
  const lines = ["", "skipped"];
  const data = new Set();
  for (const { file, skipped: count } of skipped) {
    const known = reasons.get(file) ?? [];
    for (const entry of known) if (entry.data !== undefined) data.add(entry.data);
    const why = [...new Set(known.map((entry) => entry.reason))].join("; ");
    lines.push(`  ${file}: ${count}${why === "" ? "" : ` (${why})`}`);
  }
  if (data.size > 0) {
    const names = [...data].filter((name) => name !== ".").sort();
    lines.push(
      `to run more: npx jeton data fetch ${names.join(" ")}`.trimEnd(),
      "then JETON_DATA=FOLDER npm test, with the folder that it prints",
    );
  }
  return [...lines, ""];
}

export default class SummaryReporter {
  #reasons = new Map();

  onUserConsoleLog({ content }) {
    for (const line of content.split("\n")) {
      if (!isSkipLine(line)) continue;
      const { file, ...entry } = JSON.parse(line.slice(skipMarker.length));
      const name = relative(process.cwd(), file);
      this.#reasons.set(name, [...(this.#reasons.get(name) ?? []), entry]);
    }
  }

  onTestRunEnd(modules) {
    const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    const files = [];
    let broken = 0;
    for (const module of modules) {
      const before = counts.skipped;
      for (const test of module.children.allTests()) counts[test.result().state]++;
      // A file that does not load has no tests, but it is a failure.
      broken += module.errors().length;
      const file = relative(process.cwd(), module.moduleId);
      files.push({ file, skipped: counts.skipped - before });
    }
    const { passed, failed, skipped } = counts;
    process.on("exit", () => {
      for (const line of describeSkips(files, this.#reasons)) console.log(line);
      console.log(`${passed} passed, ${failed + broken} failed, ${skipped} skipped`);
    });
  }
}
