/** `scripts/build.mjs` in a small repository whose compiler waits until the test lets it go on. */
import { type ChildProcess, spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

const repository = fileURLToPath(new URL("../..", import.meta.url));

/** Writes half of the files, says so, waits, and writes the other half; fails after that if it is told to. */
const compiler = `
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
const at = process.argv.indexOf("--outDir");
const out = at < 0 ? "dist" : process.argv[at + 1];
const name = process.env.BUILD_NAME;
mkdirSync(out + "/tensor", { recursive: true });
writeFileSync(out + "/first.js", name);
writeFileSync(out + "/tensor/wasm-runtime.js", 'import "onnxruntime-web"; import "onnxruntime-web/wasm";');
writeFileSync(name + ".half", "");
while (!existsSync(name + ".go")) await wait(5);
writeFileSync(out + "/last.js", name);
process.exit(existsSync(name + ".fail") ? 2 : 0);
`;
const runtime = [
  ...["ort.node.min.mjs", "ort.wasm.bundle.min.mjs"],
  ...["ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"],
];

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "jeton-build-"));
  const files: Record<string, string> = {
    "package.json": '{ "type": "module" }',
    "package-lock.json": "{}",
    "tsconfig.json": "{}",
    "tsconfig.build.json": "{}",
    "src/first.ts": "",
    "node_modules/typescript/package.json": '{ "type": "module" }',
    "node_modules/typescript/bin/tsc": compiler,
    "node_modules/onnxruntime-web/package.json": "{}",
  };
  for (const name of runtime) files[`node_modules/onnxruntime-web/dist/${name}`] = "";
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  for (const name of ["scripts/build.mjs", "scripts/copy-wasm-runtime.mjs"]) {
    cpSync(join(repository, name), join(root, name));
  }
  // The page has a bundler of its own, which this repository has no need of.
  writeFileSync(join(root, "scripts/build-studio.mjs"), "export async function buildStudio() {}\n");
  for (const name of ["studio", "reproductions"]) mkdirSync(join(root, name));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Starts a build; it is halfway when this resolves. */
async function startBuild(name: string, ...args: string[]): Promise<() => Promise<number | null>> {
  const child: ChildProcess = spawn(process.execPath, ["scripts/build.mjs", ...args], {
    cwd: root,
    env: { ...process.env, NODE_OPTIONS: "", BUILD_NAME: name },
    stdio: "ignore",
  });
  const status = new Promise<number | null>((resolve) => child.once("exit", resolve));
  await vi.waitFor(() => expect(existsSync(join(root, `${name}.half`))).toBe(true), 20_000);
  return () => {
    writeFileSync(join(root, `${name}.go`), "");
    return status;
  };
}

/** The build that each file of dist/ is of; undefined where it is not there. */
function whose(): (string | undefined)[] {
  return ["first.js", "last.js"].map((name) => {
    const file = join(root, "dist", name);
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  });
}

const leftovers = (): string[] => readdirSync(root).filter((name) => name.startsWith(".dist"));

test("two builds at once: dist is whole when either has ended, and after the second", async () => {
  const finishFirst = await startBuild("one", "--if-changed");
  const finishSecond = await startBuild("two", "--if-changed");
  expect(await finishFirst()).toBe(0);
  expect(whose()).toEqual(["one", "one"]);
  // The second finds that its sources are built.
  expect(await finishSecond()).toBe(0);
  expect(whose()).toEqual(["one", "one"]);
  expect(leftovers()).toEqual([]);
});

test("a build that is asked for takes the place of the one before it only when it is whole", async () => {
  expect(await (await startBuild("one"))()).toBe(0);
  const finish = await startBuild("two");
  expect(whose()).toEqual(["one", "one"]);
  expect(await finish()).toBe(0);
  expect(whose()).toEqual(["two", "two"]);
  expect(existsSync(join(root, "dist/onnxruntime/ort.node.min.mjs"))).toBe(true);
  expect(leftovers()).toEqual([]);
});

test("a build that fails leaves the one before it as it was", async () => {
  expect(await (await startBuild("one"))()).toBe(0);
  writeFileSync(join(root, "two.fail"), "");
  expect(await (await startBuild("two"))()).not.toBe(0);
  expect(whose()).toEqual(["one", "one"]);
  expect(leftovers()).toEqual([]);
});
