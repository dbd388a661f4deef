/** Answers in texts that are longer than a model reads. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { writeShardedSafetensors } from "../../../checkpoint/index.ts";
import {
  encodeReference,
  ReferenceWeights,
} from "../../../testing/reference-encoder/reference-encoder.ts";
import { referenceEncoders } from "../../../testing/reference-encoder/reference-encoder-families.ts";
import { saveTokenizer, trainTokenizer } from "../../../tokenizer/index.ts";
import { loadEncoder } from "../load-encoder.ts";
import { findSpans } from "./classify.ts";

const folder = mkdtempSync(join(tmpdir(), "jeton-spans-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function openAnswers(contextLength: number) {
  const { config, plan } = referenceEncoders["electra"]!();
  const weights = new ReferenceWeights(22);
  encodeReference(plan, weights, [5]);
  weights.get("qa_outputs.weight", 2, 32);
  weights.get("qa_outputs.bias", 2);
  const tensors = [...weights.tensors].map(([name, tensor]) => ({ name, dtype: "F32", ...tensor }));
  await writeShardedSafetensors(folder, tensors as never);
  const architectures = ["ElectraForQuestionAnswering"];
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, architectures }));
  const texts = ["a rose is a rose king queen castle where"];
  await saveTokenizer(folder, await trainTokenizer({ kind: "wordpiece", texts, vocabSize: 60 }));
  return loadEncoder(folder, { inline: true, threads: 1, format: "f32", contextLength });
}

const question = "where is a king";
const words = ["a", "rose", "is", "king", "queen", "castle"];
const text = Array.from({ length: 30 }, (_, at) => words[(at * at + 3 * at) % 6]!).join(" ");

test("windows hold the whole question, share half of their text, and reach its end", async () => {
  const contextLength = 22;
  await using model = await openAnswers(contextLength);
  const { ids, typeIds, offsets } = model.tokenizer.encode(question, { pair: text });
  const from = model.tokenizer.encode(question).ids.length;
  const end = ids.length - 1;
  expect(end - from).toBeGreaterThan(2 * contextLength - from);
  const capacity = contextLength - from - 1;
  const expected: { start: number; end: number; score: number }[] = [];
  for (let at = from; ; at += capacity - Math.floor(capacity / 2)) {
    const until = Math.min(at + capacity, end);
    const pick = <T>(all: ArrayLike<T>): T[] =>
      Array.from(all).filter(
        (_, place) => place < from || place >= end || (place >= at && place < until),
      );
    const own = { ids: pick<number>(ids), types: pick<number>(typeIds) };
    const { span } = await model.run({ ...own, outputs: ["span"] });
    const places = pick(offsets);
    const count = until - at;
    const shares = [0, 1].map((side) => {
      const powers = [0, ...Array.from({ length: count }, (_, i) => from + i)].map((place) =>
        Math.exp(span!.data[2 * place + side]!),
      );
      const total = powers.reduce((a, b) => a + b, 0);
      return powers.slice(1).map((power) => power / total);
    });
    for (let a = 0; a < count; a++) {
      for (let b = a; b < Math.min(count, a + 3); b++) {
        const [start, last] = [places[from + a]![0], places[from + b]![1]];
        const score = shares[0]![a]! * shares[1]![b]!;
        const known = expected.find((one) => one.start === start && one.end === last);
        if (known) known.score = Math.max(known.score, score);
        else expected.push({ start, end: last, score });
      }
    }
    if (until === end) break;
  }
  expected.sort((a, b) => b.score - a.score);
  const found = await findSpans(model, question, text, { maxTokens: 3, topK: 1000 });
  expect(found).toHaveLength(expected.length);
  for (const [at, { start, end: last, score, text: part }] of found.entries()) {
    expect(part).toBe(text.slice(start, last));
    expect(score).toBeCloseTo(expected[at]!.score, 5);
  }
  expect(found.some(({ end: last }) => last === text.length)).toBe(true);
});

test("a question that leaves nothing of the text is answered by nothing", async () => {
  await using model = await openAnswers(7);
  expect(await findSpans(model, question, "a rose is a rose", { topK: 9 })).toEqual([]);
});
