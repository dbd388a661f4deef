/**
 * Installs the package as its users do, from the packed tarball into a new project, and tries it:
 *
 *     node scripts/check-package.mjs [--reproduce all|NAME,NAME] [--runtimes bun,deno] [--keep]
 *
 * The install runs twice: with the download of onnxruntime-node's GPU build switched off, and with a
 * download that cannot succeed. Both must give a command that runs the bundled model. Reproductions run
 * quickly, with the data folder that JETON_DATA names. Sizes are printed, and what is too large fails.
 * With --runtimes a program runs in Bun and Deno too, which their npm packages bring.
 */
import { spawnSync } from "node:child_process";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
/** Megabytes of node_modules: 8 % above what was measured. */
const maxMegabytes = { native: 380, webAssembly: 68 };

const { values } = parseArgs({
  options: {
    reproduce: { type: "string", default: "lib-tokenizer,token-recycling,aded" },
    runtimes: { type: "string", default: "" },
    keep: { type: "boolean", default: false },
  },
});

function run(cwd, environment, command, ...args) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, ...environment },
    maxBuffer: 1 << 26,
    shell: process.platform === "win32",
  });
  return { status, stdout, stderr };
}

function mustRun(cwd, environment, command, ...args) {
  const { status, stdout, stderr } = run(cwd, environment, command, ...args);
  if (status === 0) return { stdout, stderr };
  throw new Error(`${[command, ...args].join(" ")} ended with ${status}\n${stdout}\n${stderr}`);
}

function sizeOf(path) {
  const status = lstatSync(path);
  if (!status.isDirectory()) return status.size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}

/** A new project with the package in it. */
function install(name, tarball, environment) {
  const project = join(folder, name);
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{"private":true}\n');
  const args = ["install", "--omit=dev", "--no-audit", "--no-fund", tarball];
  const { stderr } = mustRun(project, environment, "npm", ...args);
  const megabytes = sizeOf(join(project, "node_modules")) / 1e6;
  console.log(`${name}: ${megabytes.toFixed(0)} MB in node_modules`);
  if (megabytes > maxMegabytes[name]) throw new Error(`expected at most ${maxMegabytes[name]} MB`);
  // npm tells of install scripts, its own business; the rest would be ours.
  const warnings = stderr
    .split("\n")
    .filter((line) => /warn/i.test(line) && !/install-scripts/.test(line));
  if (warnings.length > 0) throw new Error(`npm warned:\n${warnings.join("\n")}`);
  return project;
}

function tryCommand(project, isNative) {
  const args = ["--no-install", "jeton", "run", "The emperor", "--greedy", "-n", "8", "--quiet"];
  const { stdout, stderr } = mustRun(project, {}, "npx", ...args);
  const lines = stderr.split("\n").filter(Boolean);
  const wanted = isNative ? lines.length === 0 : /ONNXRUNTIME_NODE_INSTALL=skip/.test(lines);
  if (!wanted || lines.length > 1 || stdout.trim() === "") {
    throw new Error(`jeton run printed ${JSON.stringify({ stdout, stderr })}`);
  }
  console.log(`jeton run: ${JSON.stringify(stdout.trim())}${isNative ? "" : " (WebAssembly)"}`);
}

function reproduce(project) {
  const names =
    values.reproduce === "all" ? ["--all"] : values.reproduce.split(",").filter(Boolean);
  if (!process.env.JETON_DATA || names.length === 0) return;
  if (names.includes("--all"))
    mustRun(project, {}, "npm", "install", "--no-audit", "highs@^1.15.3");
  for (const name of names) {
    const started = Date.now();
    mustRun(project, {}, "npx", "--no-install", "jeton", "reproduce", name, "--quick", "--quiet");
    console.log(`jeton reproduce ${name} --quick: ${((Date.now() - started) / 1000).toFixed(0)} s`);
  }
}

/** Loads, drafts, quantizes and closes; prints the text of each format. */
const program = `
import { complete, loadModel } from "jeton";
for (const format of ["f32", "int8", "int8-channel", "int4"]) {
  const model = await loadModel(undefined, { format });
  const options = { greedy: true, maxTokens: 16 };
  const { text } = await complete(model, "The emperor", options);
  const drafted = await complete(model, "The emperor", { ...options, drafter: "auto" });
  console.log(JSON.stringify({ format, text, same: drafted.text === text }));
  await model.close();
}
`;

/** What Node prints, every other runtime must print. */
function tryRuntimes(project) {
  writeFileSync(join(project, "program.mjs"), program);
  const { stdout } = mustRun(project, {}, process.execPath, "program.mjs");
  for (const name of values.runtimes.split(",").filter(Boolean)) {
    mustRun(project, {}, "npm", "install", "--no-audit", "--no-fund", "--no-save", name);
    const run = name === "deno" ? ["deno", "run", "--allow-all"] : [name, "run"];
    const version = mustRun(project, {}, "npx", "--no-install", name, "--version").stdout.split(
      "\n",
    )[0];
    const given = mustRun(project, {}, "npx", "--no-install", ...run, "program.mjs");
    if (given.stdout !== stdout || given.stderr !== "") {
      throw new Error(`${name} ${version} printed ${given.stdout}${given.stderr}, Node ${stdout}`);
    }
    console.log(`${name} ${version}: what Node prints`);
  }
}

const folder = mkdtempSync(join(tmpdir(), "jeton-package-"));
try {
  mustRun(root, {}, "npm", "pack", "--pack-destination", folder);
  const tarball = join(
    folder,
    readdirSync(folder).find((name) => name.endsWith(".tgz")),
  );
  console.log(`tarball: ${(sizeOf(tarball) / 1e6).toFixed(1)} MB`);
  // A proxy that is not there stands for a network that does not reach the download.
  const dead = "http://127.0.0.1:9";
  const blocked = { GLOBAL_AGENT_HTTPS_PROXY: dead, GLOBAL_AGENT_HTTP_PROXY: dead };
  const bare = install("webAssembly", tarball, { ...blocked, ONNXRUNTIME_NODE_INSTALL: "cuda12" });
  tryCommand(bare, false);
  const project = install("native", tarball, { ONNXRUNTIME_NODE_INSTALL: "skip" });
  tryCommand(project, true);
  reproduce(project);
  tryRuntimes(project);
} finally {
  if (!values.keep) rmSync(folder, { recursive: true, force: true });
}
