/** Ends vitest's output with one plain line, `N passed, N failed, N skipped`, for people and CI. */
export default class SummaryReporter {
  onTestRunEnd(modules) {
    const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    let broken = 0;
    for (const module of modules) {
      for (const test of module.children.allTests()) counts[test.result().state]++;
      // A file that does not load has no tests, but it is a failure.
      broken += module.errors().length;
    }
    const { passed, failed, skipped } = counts;
    process.on("exit", () => {
      console.log(`${passed} passed, ${failed + broken} failed, ${skipped} skipped`);
    });
  }
}
