/** `jeton inspect M --routing`: the report says what the routers of the model chose. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadModel } from "../../model/index.ts";
import { errorOf } from "../../testing/code-of.ts";
import { createRandomCheckpoint } from "../../testing/random-checkpoint.ts";
import { bundledModel } from "../../testing/test-data.ts";
import type { RoutingDocument } from "../json-output.ts";
import { byteTokenizerJson } from "../testing/byte-tokenizer.ts";
import { runCommand } from "../testing/run-command.ts";

const prose = "The king had three sons, and the king said to his sons: <go>. ".repeat(9);
const code = "function add(a, b) {\n  return a + b;\n}\n".repeat(12);
/** `decoder_sparse_step` 2: the second and the fourth of four layers. */
const sparseLayers = [1, 3];
const experts = 4;

let folder = "";
let model = "";
let texts: string[] = [];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "jeton-routing-"));
  model = join(folder, "a<b&c");
  createRandomCheckpoint(model, { family: "qwen2-moe", seed: 3, vocabulary: 257 });
  writeFileSync(join(model, "tokenizer.json"), byteTokenizerJson());
  texts = Object.entries({ "prose.txt": prose, "code.txt": code }).map(([name, text]) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** How often each expert of each sparse layer is chosen, by steps of the model itself. */
async function countChoices(): Promise<{ tokens: number; counts: number[][] }> {
  await using loaded = await loadModel(model, { format: "f32", threads: 1, inline: true });
  const length = Math.min(512, loaded.contextLength);
  const counts = sparseLayers.map(() => new Array<number>(experts).fill(0));
  let tokens = 0;
  for (const text of [prose, code]) {
    const ids = loaded.tokenizer.encodeIds(text);
    for (let at = 0; at < ids.length; at += length) {
      const chunk = ids.slice(at, at + length);
      const sequence = await loaded.openSequence();
      const { expertChoices } = await sequence.step({ ids: chunk, results: "all", routing: true });
      await sequence.release();
      tokens += chunk.length;
      for (const [place, expert] of expertChoices!.entries()) {
        counts[Math.floor(place / 2) % sparseLayers.length]![expert]!++;
      }
    }
  }
  return { tokens, counts };
}

const routing = (): string[] => texts.flatMap((path) => ["--routing", path]);

describe("jeton inspect --routing", () => {
  test("the document and the plot hold the shares of the choices", async () => {
    const svg = join(folder, "loads.svg");
    const args = ["inspect", model, ...routing(), "--svg", svg, "--json"];
    const { status, stdout } = await runCommand(args);
    expect(status).toBe(0);
    const report = JSON.parse(stdout) as RoutingDocument;
    const { tokens, counts } = await countChoices();
    expect(report).toMatchObject({
      name: model,
      tokens,
      experts,
      perToken: 2,
      domains: ["prose.txt", "code.txt"],
    });
    expect(report.layers.map(({ layer }) => layer)).toEqual(sparseLayers);
    const plot = readFileSync(svg, "utf8");
    for (const [
      at,
      { layer, loads, unused, information, topTokens, ...rest },
    ] of report.layers.entries()) {
      expect(loads).toEqual(counts[at]!.map((count) => expect.closeTo(count / (2 * tokens), 9)));
      expect(unused).toBe(counts[at]!.filter((count) => count === 0).length);
      for (const share of [...Object.values(information), rest.tableAgreement] as number[]) {
        expect(share).toBeGreaterThanOrEqual(-0.1);
        expect(share).toBeLessThanOrEqual(1);
      }
      // A random router reads the token more than its place.
      expect(information.token).toBeGreaterThan(information.position!);
      expect(topTokens.map((ofExpert) => ofExpert.length <= 5)).toEqual(loads.map(() => true));
      for (const [expert, load] of loads.entries()) {
        expect(plot).toContain(
          `<title>layer ${layer}, expert ${expert}: ${(100 * load).toFixed(2)} %</title>`,
        );
      }
    }
    expect(plot.match(/<rect /g)).toHaveLength(1 + sparseLayers.length * experts);
    // The name of the model is text, not markup.
    expect(plot).toContain("a&#60;b&#38;c");
    expect(plot).not.toContain("a<b");
  });

  test("models of other kinds have no experts, as dense ones have none", async () => {
    const kinds = {
      bert: ["an encoder", "loadEncoder opens it"],
      t5: ["an encoder-decoder", "jeton run runs it"],
    };
    for (const [family, [kind, advice]] of Object.entries(kinds)) {
      const other = join(folder, family);
      mkdirSync(other);
      writeFileSync(join(other, "config.json"), JSON.stringify({ model_type: family }));
      // A file of weights that holds none: its length, and its empty header.
      writeFileSync(join(other, "model.safetensors"), Buffer.from("\x02\0\0\0\0\0\0\0{}"));
      const { status, stderr } = await runCommand(["inspect", other, ...routing()]);
      expect(status).toBe(1);
      expect(stderr).toContain(`(${family}) is ${kind}, which has no experts (model-experts-none)`);
      const opened = await errorOf(loadModel(other));
      expect(opened.code).toBe("model-family-unknown");
      expect(opened.message).toContain(`(${family}) is ${kind}, expected a decoder`);
      expect(opened.message).toContain(advice);
    }
  });

  test("the table has a line for each sparse layer, with its least and most used expert", async () => {
    const { status, stdout } = await runCommand(["inspect", model, ...routing()]);
    expect(status).toBe(0);
    const { tokens, counts } = await countChoices();
    expect(stdout).toContain(`${experts} experts, 2 for each of ${tokens} tokens`);
    for (const [at, layer] of sparseLayers.entries()) {
      const shares = counts[at]!.map((count) => count / (2 * tokens));
      const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
      const line = stdout.split("\n").find((text) => new RegExp(`^${layer} `).test(text))!;
      expect(line.match(/[\d.]+ %/g)!.slice(0, 2)).toEqual([
        percent(Math.min(...shares)),
        percent(Math.max(...shares)),
      ]);
    }
    expect(stdout).toContain("expert 0: ");
  });

  test("texts that are too short for shares have none; those without tokens are refused", async () => {
    const empty = join(folder, "empty.txt");
    writeFileSync(empty, "");
    // The token that begins every text.
    const { stdout } = await runCommand(["inspect", model, "--routing", empty, "--json"]);
    const { tokens, layers } = JSON.parse(stdout) as RoutingDocument;
    expect(tokens).toBe(1);
    for (const { information, tableAgreement, loads } of layers) {
      expect(information).toEqual({ token: null, position: null, domain: null });
      expect(tableAgreement).toBeNull();
      expect(loads.reduce((a, b) => a + b)).toBeCloseTo(1, 9);
    }
    const table = await runCommand(["inspect", model, "--routing", empty]);
    expect(table.stdout).not.toContain("NaN");
    expect(table.stdout).toMatch(/^1 .*–\s+–\s+–\s+–$/m);
    const bare = join(folder, "bare");
    createRandomCheckpoint(bare, { family: "mixtral", seed: 3, layers: 1, vocabulary: 257 });
    const { post_processor: _, ...tokenizer } = JSON.parse(byteTokenizerJson()) as object & {
      post_processor: object;
    };
    writeFileSync(join(bare, "tokenizer.json"), JSON.stringify(tokenizer));
    const { status, stderr } = await runCommand(["inspect", bare, "--routing", empty]);
    expect([status, stderr.includes("routing-text-empty")]).toEqual([1, true]);
  });

  test("says what it cannot do", async () => {
    const codeFor = async (...args: string[]): Promise<unknown> => {
      const { status, stderr } = await runCommand(["inspect", ...args]);
      return [status, stderr.includes("has no experts")];
    };
    expect(await codeFor(bundledModel, "--routing", texts[0]!)).toEqual([1, true]);
    expect((await codeFor(model, bundledModel, "--routing", texts[0]!)) as unknown).toEqual([
      2,
      false,
    ]);
    expect(await codeFor(model, "--routing", texts[0]!, "--qtok")).toEqual([2, false]);
    expect(await codeFor(model, "--routing", join(folder, "absent.txt"))).toEqual([1, false]);
  });
});
