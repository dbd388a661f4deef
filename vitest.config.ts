import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "tests/**/*.test.ts"],
    // Workers inherit the flags of the process that starts them: tsx lets them load TypeScript sources.
    pool: "forks",
    execArgv: ["--import", "tsx"],
    maxWorkers: 2,
    setupFiles: ["./scripts/property-seed.mjs", "./src/testing/code-matchers.ts"],
    reporters: ["default", "./scripts/summary-reporter.mjs"],
    // Lines for the summary reporter alone.
    onConsoleLog: (log) => !log.startsWith("[skipped tests]"),
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
