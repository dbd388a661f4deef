/**
 * Builds the page as a static site: `npm run site [-- --out FOLDER] [--base URL]`. Any server of files can hold
 * it, in any folder. `--base` is the address at which it will be, for the links in its feeds.
 */
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writeData, writeServiceWorker } from "./build-studio.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** Copies the built page with the runtime and the bundled models into a folder. */
export async function buildSite(target, base = "./") {
  const library = join(root, "dist");
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  cpSync(join(library, "studio"), target, { recursive: true });
  const runtime = join(target, "onnxruntime");
  mkdirSync(runtime);
  for (const name of ["ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm", "LICENSE"]) {
    cpSync(join(library, "onnxruntime", name), join(runtime, name));
  }
  cpSync(join(root, "models"), join(target, "models"), { recursive: true });
  // WebGPU has a build of its own, which the package does not carry.
  for (const name of ["ort.webgpu.bundle.min.mjs", "ort-wasm-simd-threaded.asyncify.wasm"]) {
    cpSync(join(root, "node_modules/onnxruntime-web/dist", name), join(runtime, name));
  }
  // Nor has it the solver that one demonstration needs.
  const solver = join(root, "node_modules/highs");
  mkdirSync(join(target, "highs"));
  cpSync(join(solver, "LICENSE"), join(target, "highs/LICENSE"));
  for (const name of ["highs.mjs", "highs.wasm"]) {
    cpSync(join(solver, "build", name), join(target, "highs", name));
  }
  await writeData(library, target, { base, server: false, webgpu: true });
  writeServiceWorker(root, target);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { out: { type: "string", default: "site" }, base: { type: "string", default: "./" } },
  });
  const base = values.base.endsWith("/") ? values.base : `${values.base}/`;
  await buildSite(resolve(values.out), base);
  console.log(`${resolve(values.out)} holds the site`);
  if (base.startsWith(".")) {
    console.log("Links in its feeds are relative; feed readers want --base https://… of the site.");
  }
}
