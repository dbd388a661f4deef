// Bundles the page into dist/: `node build.mjs`, then serve that folder with any server of files.
import { cpSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

await build({
  entryPoints: ["main.ts"],
  bundle: true,
  format: "esm",
  target: "es2022",
  outfile: "dist/main.js",
});
cpSync("index.html", "dist/index.html");
// The WebAssembly runtime lies beside the page's script.
for (const name of ["ort-wasm-simd-threaded.wasm", "ort-wasm-simd-threaded.mjs"]) {
  cpSync(fileURLToPath(import.meta.resolve(`jeton/${name}`)), `dist/${name}`);
}
const model = new URL("models/jeton-nano", import.meta.resolve("jeton/package.json"));
cpSync(fileURLToPath(model), "dist/model", { recursive: true });
