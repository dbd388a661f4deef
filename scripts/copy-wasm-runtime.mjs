/**
 * Puts the files of onnxruntime-web that jeton needs into the built package, so that its users need
 * not install all builds of that package with their source maps.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What the built module imports, by the name that its source has for it. */
const entries = {
  '"onnxruntime-web"': "ort.node.min.mjs",
  '"onnxruntime-web/wasm"': "ort.wasm.bundle.min.mjs",
};
/** What these load. */
const files = ["ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"];
const license = `MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction, including
without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the
following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT
LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO
EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER
IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR
THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`;

/** Copies into `onnxruntime` of a build of the repository `root`, and lets the built module load from there. */
export function copyWasmRuntime(root, build) {
  const source = join(root, "node_modules/onnxruntime-web");
  const target = join(build, "onnxruntime");
  mkdirSync(target, { recursive: true });
  for (const file of files) copyFileSync(join(source, "dist", file), join(target, file));
  for (const entry of Object.values(entries)) {
    const script = readFileSync(join(source, "dist", entry), "utf8");
    writeFileSync(join(target, entry), script.replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n"));
  }
  writeFileSync(join(target, "LICENSE"), license);
  const {
    name,
    version,
    license: licenseName,
    repository,
  } = readJson(join(source, "package.json"));
  const description = { name, version, license: licenseName, repository, private: true };
  writeFileSync(join(target, "package.json"), `${JSON.stringify(description, null, 2)}\n`);

  const module = join(build, "tensor/wasm-runtime.js");
  let text = readFileSync(module, "utf8");
  for (const [name, entry] of Object.entries(entries)) {
    if (text.split(name).length !== 2) throw new Error(`${module} does not name ${name} once`);
    text = text.replace(name, `"../onnxruntime/${entry}"`);
  }
  writeFileSync(module, text);
}

const readJson = (file) => JSON.parse(readFileSync(file, "utf8"));
