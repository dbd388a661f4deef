import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { completeFrom } from "../../generate/index.ts";
import { testData } from "../../testing/test-data.ts";
import { loadEncoder } from "../encoder/index.ts";
import { loadSeq2Seq } from "./load-seq2seq.ts";

interface Expected {
  texts: {
    text: string;
    pair?: string | null;
    ids: number[];
    lastHiddenState: number[][];
    firstLogits: number[];
    greedyIds: number[];
  }[];
  steps: number;
}

function difference(found: ArrayLike<number>, expected: readonly number[]): number {
  expect(found.length).toBe(expected.length);
  return expected.reduce(
    (largest, value, at) => Math.max(largest, Math.abs(value - found[at]!)),
    0,
  );
}

describe("T5 v1.1", () => {
  const { folder, skip } = testData("models/families/t5-v1-1");

  test.skipIf(skip)("states, logits and greedy ids equal the expected values", async () => {
    await using model = await loadSeq2Seq(folder, { inline: true, threads: 1, format: "f32" });
    const { texts, steps } = JSON.parse(
      readFileSync(join(folder, "expected.json"), "utf8"),
    ) as Expected;
    const sources = await model.encode(texts.map(({ ids }) => ids));
    for (const [index, text] of texts.entries()) {
      if (!text.pair) expect([...model.tokenizer.encodeIds(text.text)]).toEqual(text.ids);
      expect(difference(sources[index]!.states!, text.lastHiddenState.flat())).toBeLessThan(1e-4);
      const decoder = await model.read(text.ids);
      const sequence = await decoder.openSequence();
      const { logits } = await sequence.step({ ids: [decoder.bosTokenId!], logits: true });
      expect(difference(logits!, text.firstLogits)).toBeLessThan(5e-4);
      await sequence.release();
      await decoder.close();
      const options = { greedy: true, maxTokens: steps } as const;
      const { ids } = await completeFrom(model, text.ids, options);
      expect(ids).toEqual(text.greedyIds);
    }
    expect((await model.memory()).cache).toBe(0);
  });

  test.skipIf(skip)("its encoder alone gives the same states", async () => {
    await using model = await loadEncoder(folder, { inline: true, threads: 1, format: "f32" });
    const { texts } = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as Expected;
    for (const { ids, lastHiddenState } of texts) {
      const { states } = await model.run({ ids, outputs: ["states"] });
      expect(difference(states!.data, lastHiddenState.flat())).toBeLessThan(1e-4);
    }
  });
});

describe("MrT5", () => {
  const { folder, skip } = testData("models/families/mrt5");
  interface Mode {
    states: number[][];
    logits: number[][];
    greedyIds: number[];
  }
  interface Text {
    text: string;
    ids: number[];
    decoderIds: number[];
    gateLogits: number[];
    gate: number[];
    kept: number[];
    soft: Mode;
    hard: Mode;
  }
  const read = () =>
    JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as {
      texts: Text[];
      steps: number;
      variants: {
        text: number;
        mode: "soft" | "hard" | "none";
        softmax1?: boolean;
        threshold?: number;
        kept: number[];
        states: number[][];
        logits: number[];
      }[];
      emptyRow: { text: number; threshold: number };
    };

  test.skipIf(skip)("gate, kept positions, states, logits and ids in both modes", async () => {
    await using model = await loadSeq2Seq(folder, { inline: true, threads: 1, format: "f32" });
    const { texts, steps } = read();
    for (const mode of ["soft", "hard"] as const) {
      const soft = mode === "soft";
      const sources = await model.encode(
        texts.map(({ ids }) => ids),
        { soft },
      );
      for (const [index, text] of texts.entries()) {
        expect([...model.tokenizer.encodeIds(text.text)]).toEqual(text.ids);
        const { states, gate } = sources[index]!;
        expect(difference(gate!.logits, text.gateLogits)).toBeLessThan(5e-4);
        expect(difference(gate!.values, text.gate)).toBeLessThan(5e-4);
        if (!soft) expect([...gate!.kept]).toEqual(text.kept);
        expect(difference(states!, text[mode].states.flat())).toBeLessThan(2e-4);
        const decoder = await model.read(text.ids, { soft });
        const sequence = await decoder.openSequence();
        const { logits } = await sequence.step({
          ids: text.decoderIds,
          logits: true,
          results: "all",
        });
        expect(difference(logits!, text[mode].logits.flat())).toBeLessThan(5e-4);
        await sequence.release();
        await decoder.close();
        const found = await completeFrom(model, text.ids, { greedy: true, maxTokens: steps, soft });
        const end = text[mode].greedyIds.indexOf(1);
        expect(found.ids).toEqual(text[mode].greedyIds.slice(0, end < 0 ? undefined : end));
      }
    }
  });

  test.skipIf(skip)("other thresholds, none, and a row that would lose everything", async () => {
    await using model = await loadSeq2Seq(folder, { inline: true, threads: 1, format: "f32" });
    const { texts, variants, emptyRow } = read();
    for (const { text, mode, softmax1, threshold, kept, states } of variants) {
      if (softmax1 === false) continue;
      const given = mode === "none" ? -Infinity : threshold;
      const options = {
        soft: mode === "soft",
        ...(given !== undefined && { threshold: given }),
      };
      const [found] = await model.encode([texts[text]!.ids], options);
      if (mode === "hard") expect([...found!.gate!.kept]).toEqual(kept);
      expect(difference(found!.states!, states.flat())).toBeLessThan(2e-4);
    }
    const { threshold } = emptyRow;
    await expect(
      model.encode(
        texts.map(({ ids }) => ids),
        { threshold },
      ),
    ).rejects.toMatchObject({ code: "seq2seq-source-emptied" });
  });
});
