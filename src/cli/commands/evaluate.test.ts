import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EvaluateDocument, TokenizerStudyDocument } from "../json-output.ts";
import { runCommand } from "../testing/run-command.ts";

/** An endpoint that answers with the value of the last key of a prompt, read from its JSON. */
const server = createServer(async (request, response) => {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  const { messages } = JSON.parse(text) as { messages: { content: string }[] };
  const prompt = messages[0]!.content;
  const key = /Key: "([^"]+)"/.exec(prompt)?.[1];
  const number = /pass key is (\d+)/.exec(prompt)?.[1];
  const content = number ?? new RegExp(`"${key}": "([^"]+)"`).exec(prompt)?.[1] ?? "nothing";
  response.end(JSON.stringify({ choices: [{ message: { content } }] }));
});
let folder: string;
let endpoint: string[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jeton-evaluate-"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  endpoint = ["--endpoint", `http://127.0.0.1:${port}/v1`, "--endpoint-model", "reader", "--quiet"];
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await new Promise((resolve) => server.close(resolve));
});

describe("jeton evaluate", () => {
  test("needle-threading: JSON, the contour as SVG, answers that are kept", async () => {
    const [svg, answers] = [join(folder, "contour.svg"), join(folder, "answers.jsonl")];
    const line = ["evaluate", "needle-threading", ...endpoint, "--tasks", "single,threading"];
    const more = ["--pairs", "25,50", "--depths", "0,100", "--thread-lengths", "2"];
    const files = ["--svg", svg, "--answers", answers, "--json", "--repeats", "2"];
    const { status, stdout, stderr } = await runCommand([...line, ...more, ...files]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const { model, cells, limits } = JSON.parse(stdout) as EvaluateDocument;
    expect(model).toBe("reader");
    // One lookup is answered; the end of a chain is not, since the program looks up once.
    expect(cells.map(({ group, accuracy }) => `${group} ${accuracy}`)).toEqual([
      ...Array(4).fill("single 1"),
      ...["forward", "backward", "forward", "backward"].map((way) => `threading, ${way} 0`),
    ]);
    expect(limits[0]?.limits[0]).toMatchObject({ characters: 4000, isLowerBound: true });
    expect(await readFile(svg, "utf8")).toMatch(/^<svg /);
    expect((await readFile(answers, "utf8")).split("\n")).toHaveLength(1 + 16 + 1);
  });

  test("passkey and kv-retrieval, as tables", async () => {
    const passkey = await runCommand([
      ...["evaluate", "passkey", ...endpoint, "--lengths", "400,900", "--depths", "0,50"],
      ...["--repeats", "2"],
    ]);
    expect(passkey.stdout).toMatch(/ 400 +100 \(34-100\) +100 \(34-100\)\n/);
    const file = join(folder, "records.jsonl");
    const [a, b, c, d] = ["a", "b", "c", "d"].map((letter) => {
      const group = letter.repeat(4);
      return `${letter.repeat(8)}-${group}-${group}-${group}-${letter.repeat(12)}`;
    });
    const record = {
      ordered_kv_records: [
        [a, b],
        [c, d],
      ],
      key: c,
      value: d,
    };
    await writeFile(file, `${JSON.stringify(record)}\n`);
    const line = ["evaluate", "kv-retrieval", ...endpoint, "--depths", "0,100", "--file", file];
    const found = await runCommand([...line, "--json"]);
    expect(found.stderr).toBe("");
    const { cells } = JSON.parse(found.stdout) as EvaluateDocument;
    expect(cells.map(({ accuracy, questions }) => [accuracy, questions])).toEqual([
      [1, 1],
      [1, 1],
    ]);
  });

  test.each([
    [["needle-threading", "--tasks", "singel"], "option-value-invalid"],
    [["needle-threading", "--pairs", "25,x"], "option-value-invalid"],
    [["passkey", "--endpoint", "http://localhost"], "option-missing"],
    [["passkey", "--endpoint-model", "m"], "option-misplaced"],
    [["passkey", "--completions"], "option-misplaced"],
    [["kv-retrieval", "--file", "f", "--pairs", "3"], "option-misplaced"],
    [["passkey", "--endpoint", "http://localhost", "--model", "m"], "option-misplaced"],
  ])("%j is bad usage", async (args, code) => {
    const { status, stderr } = await runCommand(["evaluate", ...args]);
    expect(status).toBe(2);
    expect(stderr).toContain(`(${code})`);
  });

  test("needle-threading --tokenizers: the cost of a pair, without a model", async () => {
    const path = fileURLToPath(new URL("../../../models/jeton-nano/", import.meta.url));
    const line = ["evaluate", "needle-threading", "--tokenizers", path];
    const { stdout } = await runCommand([...line, "--json"]);
    const [cost] = JSON.parse(stdout) as TokenizerStudyDocument;
    expect(cost?.contextLength).toBe(1024);
    // 80 characters a pair, however many tokens.
    expect(cost!.tokensPerPair * cost!.charactersPerToken).toBeCloseTo(80, 9);
    expect((await runCommand(line)).stdout).toContain("characters a token");
  });

  test("lengths that are too short, and a file that is none, are said", async () => {
    const short = await runCommand(["evaluate", "passkey", ...endpoint, "--lengths", "10"]);
    expect(short.stderr).toContain("(passkey-option-invalid)");
    const none = await runCommand(["evaluate", "kv-retrieval", ...endpoint, "--file", "no-file"]);
    expect(none.stderr).toContain("(file-unreadable)");
    const file = join(folder, "wrong.jsonl");
    await writeFile(file, '{"key": 1}\n');
    const wrong = await runCommand(["evaluate", "kv-retrieval", ...endpoint, "--file", file]);
    expect(wrong.stderr).toContain("(kv-retrieval-line-invalid)");
  });
});
