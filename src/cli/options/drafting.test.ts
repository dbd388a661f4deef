import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createStyle } from "../terminal/style.ts";
import { createByteCheckpoint } from "../testing/byte-checkpoint.ts";
import { runCommand } from "../testing/run-command.ts";
import { DraftPainter, describeDrafting, drafterOptions } from "./drafting.ts";

let model = "";
beforeAll(async () => {
  model = await mkdtemp(join(tmpdir(), "jeton-drafting-"));
  createByteCheckpoint(model, { contextLength: 1024 });
});
afterAll(() => rm(model, { recursive: true, force: true }));

describe("jeton run --drafter", () => {
  const base = () => ["run", "-m", model, "-n", "24", "--ignore-eos", "--seed", "3"];
  const prompt = "abcabcabcabcabc";

  test("every drafter gives the text that none gives, and says what it brought", {
    timeout: 300_000,
  }, async () => {
    const { drafterNames } = await import("../../generate/index.ts");
    expect(drafterOptions.drafter.choices.filter((name) => name !== "none").sort()).toEqual(
      [...drafterNames].sort(),
    );
    for (const sampling of [["--greedy"], ["--temperature", "0.8"]]) {
      const plain = await runCommand([
        ...base(),
        ...sampling,
        "--json",
        "--drafter",
        "none",
        prompt,
      ]);
      expect(JSON.parse(plain.stdout)).not.toHaveProperty("drafting");
      for (const name of ["auto", "prompt-lookup", "token-recycling", "lookahead", "aded"]) {
        const args = [...base(), ...sampling, "--json", "--drafter", name, prompt];
        const { stdout, stderr } = await runCommand(args);
        const document = JSON.parse(stdout);
        expect(stderr).toBe("");
        expect(document.ids).toEqual(JSON.parse(plain.stdout).ids);
        expect(document.drafting.drafter).toBe(name);
        // The first token comes with the prompt.
        expect(document.drafting.tokens).toBe(23);
      }
    }
  });

  test("--show-drafts marks accepted draft tokens without changing the text", async () => {
    const args = [...base(), "--greedy", "--drafter", "prompt-lookup", prompt];
    const plain = await runCommand([...args, "-q"]);
    const shown = await runCommand([...args, "--show-drafts", "--stats"]);
    expect(shown.stdout.replace(/\[(.*?)\|prompt-lookup \d+\]/gs, "$1")).toBe(plain.stdout);
    expect(shown.stderr).toMatch(/drafter prompt-lookup: [\d.]+ tokens per forward pass/);
    const json = await runCommand([...args, "--show-drafts", "--json"]);
    const { ids, origins } = JSON.parse(json.stdout);
    expect(origins.map(({ id }: { id: number }) => id)).toEqual(ids);
    expect(origins[0].kind).toBe("decoded");
  });

  test("a drafter without its draft model is an error that says what is missing", async () => {
    const { status, stderr } = await runCommand([...base(), "--drafter", "dyspec", prompt]);
    expect(status).toBe(1);
    expect(stderr).toContain("draft-model-missing");
  });

  test("a named draft model drafts tokens", async () => {
    const args = [...base(), "--greedy", "--json", "--drafter", "draft-model", prompt];
    const { stdout } = await runCommand([...args, "--draft-model", model]);
    const { drafting } = JSON.parse(stdout);
    expect(drafting.drafted).toBeGreaterThan(0);
    // The draft is the model itself.
    expect(drafting.accepted).toBe(drafting.drafted);
  });
});

describe("statistics of speculative decoding, in words", () => {
  test("names drafters, depths and shares of time", () => {
    const lines = describeDrafting({
      drafter: "auto",
      forwardPasses: 4,
      tokens: 10,
      drafted: 12,
      accepted: 6,
      meanAcceptanceLength: 2.5,
      byDepth: [
        { depth: 1, tried: 3, accepted: 3 },
        { depth: 2, tried: 3, accepted: 1 },
      ],
      byDrafter: [
        { drafter: "lookahead", forwardPasses: 3, drafted: 12, accepted: 6 },
        { drafter: "none", forwardPasses: 1, drafted: 0, accepted: 0 },
      ],
      draftSeconds: 0.1,
      forwardSeconds: 0.8,
      verifySeconds: 0.1,
    });
    expect(lines.split("\n")).toEqual([
      "drafter auto: 2.50 tokens per forward pass (10 in 4), 6 of 12 draft tokens accepted",
      "forward passes by drafter: lookahead 3 (6 of 12), autoregressive 1",
      "accepted at depth 1: 100 %, 2: 33 %",
      "time: model 80 %, drafting 10 %, verifying 10 %",
    ]);
  });

  test("colours are the drafters'", () => {
    const output = {
      isTerminal: true,
      columns: 80,
      style: createStyle(true),
      write: () => Promise.resolve(),
    };
    const painter = new DraftPainter(output);
    const token = (drafter: string, depth: number) => ({
      id: 1,
      text: "x",
      logProbability: 0,
      origin: { kind: "accepted" as const, drafter, depth },
    });
    const [a, again, b, deep] = [
      painter.paint(token("a", 1)),
      painter.paint(token("a", 2)),
      painter.paint(token("b", 1)),
      painter.paint(token("a", 4)),
    ];
    expect(again).toBe(a);
    expect(b).not.toBe(a);
    expect(deep).toContain(a);
    expect(deep).not.toBe(a);
    expect(painter.legend()).toContain("drafted by");
  });
});
