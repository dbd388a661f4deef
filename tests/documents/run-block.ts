/** Runs code of documents in a project that has installed the package. */
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { transform } from "esbuild";
import type { CodeBlock } from "./code-blocks.ts";
import { type PackedProject, repository } from "./packed-project.ts";

/** How a program ended. */
export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * A folder inside the project with the files that documents name: `path/to/checkpoint`, `models/`, `book.txt`, …
 *
 * @param name of the folder
 */
export function makeWorkplace(project: PackedProject, name: string): string {
  const folder = join(project.folder, name);
  const models = join(project.folder, "node_modules/jeton/models");
  mkdirSync(join(folder, "path/to"), { recursive: true });
  cpSync(join(models, "jeton-nano"), join(folder, "path/to/checkpoint"), { recursive: true });
  symlinkSync(models, join(folder, "models"));
  const text = "One two three. Four five six: the emperor of the West was advised by the senate. ";
  writeFileSync(join(folder, "book.txt"), `${text.repeat(20)}\n`.repeat(10));
  mkdirSync(join(folder, "prose"));
  writeFileSync(join(folder, "prose/one.txt"), `${text.repeat(20)}\n`.repeat(10));
  mkdirSync(join(folder, "code"));
  writeFileSync(join(folder, "code/one.ts"), "export const value: number = 1;\n".repeat(200));
  cpSync(join(models, "jeton-nano"), join(folder, "chat-model"), { recursive: true });
  writeFileSync(
    join(folder, "chat-model/chat_template.jinja"),
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:",
  );
  const vocabulary = join(models, "jeton-nano/tokenizer.json");
  mkdirSync(join(folder, "tokenizers/german"), { recursive: true });
  mkdirSync(join(folder, "path/to/gpt2"));
  for (const copy of ["tokenizer.json", "path/to/tokenizer.json", "path/to/gpt2/tokenizer.json"]) {
    cpSync(vocabulary, join(folder, copy));
  }
  cpSync(vocabulary, join(folder, "tokenizers/german/tokenizer.json"));
  cpSync(join(models, "jeton-nano/model.safetensors"), join(folder, "model.safetensors"));
  cpSync(join(models, "jeton-nano-draft"), join(folder, "small-folder"), { recursive: true });
  return folder;
}

/** A port that is free now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" ? address!.port : 0));
    });
  });
}

/** Name of the file that holds a block. */
export const nameOfBlock = ({ file, line, language }: CodeBlock, extension = language): string =>
  `${file.replace(/[/.]/g, "-")}-line-${line}.${extension}`;

/**
 * Runs a block in a folder as it stands: shell lines in bash, programs in Node, TypeScript without its types. The ports
 * 8080 and 8081 alone become ones that are free. Background processes of a shell block end with it.
 */
export async function runBlock(
  block: CodeBlock,
  project: PackedProject,
  folder: string,
): Promise<Outcome> {
  let code = block.code;
  for (const port of ["8080", "8081"]) {
    if (code.includes(port)) code = code.replaceAll(port, String(await freePort()));
  }
  if (block.language === "sh") {
    return runProgram("bash", ["-euo", "pipefail", "-c", code], project, folder);
  }
  const name = nameOfBlock(block, "mjs");
  const script =
    block.language === "ts"
      ? (await transform(code, { loader: "ts", target: "es2022" })).code
      : code;
  writeFileSync(join(folder, name), script);
  return runProgram(process.execPath, [name], project, folder);
}

/** Runs a program to its end, then ends what is left of its process group. */
export function runProgram(
  program: string,
  args: readonly string[],
  project: PackedProject,
  folder: string,
): Promise<Outcome> {
  const child = spawn(program, args, {
    cwd: folder,
    env: project.env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  child.on("exit", () => {
    try {
      process.kill(-child.pid!, "SIGTERM");
    } catch {
      // The group has ended.
    }
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, stdout, stderr }));
  });
}

/**
 * Checks programs under the strictest options, all in one run of the compiler.
 *
 * @returns errors by file name
 */
export async function checkTypes(
  files: ReadonlyMap<string, string>,
  project: PackedProject,
): Promise<string> {
  const folder = join(project.folder, "type-check");
  mkdirSync(folder, { recursive: true });
  for (const [name, code] of files) writeFileSync(join(folder, name), `${code}\nexport {};\n`);
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        target: "es2022",
        lib: ["es2023", "esnext.disposable", "dom", "dom.iterable"],
        module: "nodenext",
        types: ["node"],
        strict: true,
        noUncheckedIndexedAccess: true,
        exactOptionalPropertyTypes: true,
        noImplicitOverride: true,
        noPropertyAccessFromIndexSignature: true,
        verbatimModuleSyntax: true,
        allowJs: true,
        checkJs: true,
        noEmit: true,
        skipLibCheck: false,
      },
      files: [...files.keys()],
    }),
  );
  const compiler = join(repository, "node_modules/typescript/bin/tsc");
  const { stdout } = await runProgram(process.execPath, [compiler, "-p", "."], project, folder);
  return stdout;
}
