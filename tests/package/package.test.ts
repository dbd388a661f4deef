/**
 * The built package as it is installed, beside what it needs and without its optional packages: a copy in
 * a folder of its own.
 */
import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { testData } from "../../src/testing/test-data.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  dependencies: Record<string, string>;
};

let folder: string;
beforeAll(() => {
  execFileSync(process.execPath, [join(root, "scripts/build.mjs"), "--if-changed"]);
  folder = mkdtempSync(join(tmpdir(), "jeton-package-"));
  const modules = join(folder, "node_modules");
  for (const name of ["dist", "models", "package.json"]) {
    cpSync(join(root, name), join(modules, "jeton", name), { recursive: true });
  }
  for (const name of Object.keys(dependencies)) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(root, "node_modules", name), join(modules, name));
  }
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function jeton(...args: readonly string[]): {
  status: number | null;
  stdout: string;
  stderr: string;
} {
  const main = join(folder, "node_modules/jeton/dist/cli/main.js");
  // Nothing of the cache of packed weights, nor of this process's flags.
  const environment = { ...process.env, NODE_OPTIONS: "", JETON_CACHE: join(folder, "cache") };
  return spawnSync(process.execPath, [main, ...args], {
    cwd: folder,
    encoding: "utf8",
    env: environment,
  });
}

const notice =
  "jeton: onnxruntime-node is not installed, so models run in WebAssembly, several times slower; set " +
  "ONNXRUNTIME_NODE_INSTALL=skip in the environment and run: npm install onnxruntime-node\n";

test.each([
  ["f32", 1],
  ["f32", 2],
  ["int8", 2],
  ["int4", 2],
] as const)(
  "without the native runtime a model runs in %s on %i threads, with one line that says what to set",
  (format, threads) => {
    const args = ["run", "The emperor", "--greedy", "-n", "6", "--quiet"];
    const { status, stdout, stderr } = jeton(...args, "--format", format, `--threads=${threads}`);
    expect({ status, stderr }).toEqual({ status: 0, stderr: notice });
    expect(stdout).toMatch(/^, (who, in the same|with the same zeal)/);
  },
);

test("what needs no model says nothing of a missing runtime", () => {
  for (const args of [
    ["--help"],
    ["systems"],
    ["tokenize", join(root, "models/jeton-nano"), "a"],
  ]) {
    expect(jeton(...args)).toMatchObject({ status: 0, stderr: "" });
  }
});

test("plots name the packages that draw them, before anything is measured", () => {
  const { status, stdout, stderr } = jeton("reproduce", "lib-tokenizer", "--record");
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toContain("npm install vega vega-lite (plot-packages-missing)");
});

test("an application compiles against its types without the optional packages", () => {
  const file = join(folder, "application.mts");
  writeFileSync(
    file,
    `import { generate, loadModel } from "jeton";
     import { renderPlot } from "jeton/reproduce";
     import { compile } from "jeton/tensor";
     const model = await loadModel();
     for await (const { text } of generate(model, "Hi", { maxTokens: 3 })) console.log(text);
     await model.close();
     export { compile, renderPlot };`,
  );
  symlinkSync(join(root, "node_modules/@types"), join(folder, "node_modules/@types"));
  const { status, stdout } = spawnSync(
    process.execPath,
    [
      join(root, "node_modules/typescript/bin/tsc"),
      // The target's own library: what the types need beyond it they bring themselves.
      ...["--noEmit", "--strict", "--skipLibCheck", "false", "--target", "es2022"],
      ...["--module", "nodenext"],
      ...["--types", "node", file],
    ],
    { cwd: folder, encoding: "utf8" },
  );
  expect(stdout).toBe("");
  expect(status).toBe(0);
});

describe("requests of reproductions", () => {
  const load = async () => {
    const built = join(folder, "node_modules/jeton/dist/generate/measure/reproduction-tasks.js");
    return (await import(
      pathToFileURL(built).href
    )) as typeof import("../../src/generate/measure/reproduction-tasks.ts");
  };
  afterEach(() => vi.unstubAllEnvs());

  test.each(["prose", "code", "recall", "answer"] as const)(
    "of kind %s name the missing file where there is no data",
    async (kind) => {
      vi.stubEnv("JETON_DATA", "");
      vi.stubEnv("JETON_CACHE", join(folder, "empty-cache"));
      const { decodingTasks } = await load();
      await expect(decodingTasks({ kind, count: 3, seed: 1 })).toRejectWithCode("data-missing");
    },
  );

  const data = testData(".");
  test.skipIf(data.skip)("are made from the data folder", async () => {
    const { decodingTasks } = await load();
    const tasks = await decodingTasks({ kind: "code", count: 3, seed: 1 });
    expect(tasks.map(({ prompt }) => prompt.length > 100)).toEqual([true, true, true]);
  });
});
