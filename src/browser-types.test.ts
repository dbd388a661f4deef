/** The browser entry's declarations compile in a project without `@types/node`. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { afterAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
// Beside the installed packages, whose types a consumer has too.
const folder = mkdtempSync(join(root, "node_modules/.browser-types-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Writes the declarations of a source and of all that it imports. */
function declare(file: string): void {
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile).config,
    ts.sys,
    root,
  );
  const emitOptions = { ...options, emitDeclarationOnly: true, noCheck: true, incremental: false };
  const program = ts.createProgram([join(root, "src", file)], emitOptions);
  program.emit(undefined, (path, text) => {
    if (!path.endsWith(".d.ts")) return;
    const target = join(folder, relative(join(root, "dist"), path));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
  });
}

function errorsOf(consumer: string): string[] {
  const file = join(folder, "consumer.ts");
  writeFileSync(file, consumer);
  const program = ts.createProgram([file], {
    strict: true,
    noEmit: true,
    types: [],
    skipLibCheck: false,
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ["lib.es2023.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts", "lib.esnext.disposable.d.ts"],
  });
  return ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText, file: where }) =>
      [
        where?.fileName.slice(folder.length),
        ts.flattenDiagnosticMessageText(messageText, " "),
      ].join(": "),
    );
}

test("a page compiles against them; a wrong option does not", { timeout: 120_000 }, () => {
  declare("browser.ts");
  const page = (options: string) => `
    import { fetchModel, generate, locateWasm } from "./browser.js";
    locateWasm("/onnxruntime/");
    const model = await fetchModel("/models/nano");
    for await (const { text } of generate(model, [{ role: "user", content: "Hi" }], ${options})) {
      document.body.append(text);
    }
    await model.close();
    export {};`;
  expect(errorsOf(page('{ drafter: "auto", temperature: 0.8 }'))).toEqual([]);
  expect(errorsOf(page('{ temprature: "0.8" }'))).not.toEqual([]);
  expect(errorsOf(page("{ prefix: Buffer.of(1) }"))).not.toEqual([]);
});
