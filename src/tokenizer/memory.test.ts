/** How much memory large vocabularies take, measured in a process of their own. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const data = process.env["JETON_DATA"];
if (data === undefined) console.log("memory of vocabularies skipped: JETON_DATA is not set");

/** Megabytes that a loaded tokenizer keeps after it has worked. */
function measure(path: string): number {
  const room = fileURLToPath(new URL("./index.ts", import.meta.url));
  const script = `
    import { readFileSync } from "node:fs";
    const { loadTokenizer } = await import(${JSON.stringify(room)});
    const text = ["en", "ko", "hi", "ru", "zh"]
      .map((name) => readFileSync(${JSON.stringify(join(data!, "text/pud"))} + "/" + name + ".txt", "utf8"))
      .join("\\n");
    const used = () => {
      gc();
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    const before = used();
    globalThis.tokenizer = await loadTokenizer(${JSON.stringify(path)});
    globalThis.tokenizer.decode(globalThis.tokenizer.encodeIds(text));
    console.log((used() - before) / 1e6);
  `;
  const node = ["--expose-gc", "--import", "tsx", "--input-type=module", "--eval", script];
  return Number(execFileSync(process.execPath, node, { encoding: "utf8" }));
}

describe.skipIf(data === undefined)("memory", { timeout: 60_000 }, () => {
  test.each(["cl100k_base", "o200k_base"])("%s stays under 60 MB", (name) => {
    const megabytes = measure(join(data!, "tokenizers", `${name}.tiktoken`));
    expect(megabytes).toBeGreaterThan(1);
    expect(megabytes).toBeLessThan(60);
  });
});
