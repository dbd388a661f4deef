import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { writeShardedSafetensors } from "../../checkpoint/index.ts";
import { createRandom } from "../../core/index.ts";
import { testData } from "../../testing/test-data.ts";
import { loadEncoder } from "./load-encoder.ts";
import { embedTokens } from "./tasks/embed.ts";

const { folder, skip } = testData("models/families/t5-v1-1");
const made: string[] = [];
afterAll(() => {
  for (const path of made) rmSync(path, { recursive: true, force: true });
});

const width = 16;

/** A copy of the T5 with XTR's projection, which is returned too. */
async function makeFolder(
  hidden: number,
  { outputs = width, listed = true } = {},
): Promise<{ path: string; matrix: Float32Array }> {
  const path = mkdtempSync(join(tmpdir(), "jeton-xtr-"));
  made.push(path);
  cpSync(folder, path, { recursive: true });
  const random = createRandom(1, "projection");
  const matrix = Float32Array.from({ length: outputs * hidden }, () => random.normal());
  mkdirSync(join(path, "2_Dense"));
  const tensor = {
    name: "linear.weight",
    dtype: "F32" as const,
    shape: [outputs, hidden],
    data: matrix,
  };
  await writeShardedSafetensors(join(path, "2_Dense"), [tensor]);
  const dense = {
    in_features: hidden,
    out_features: outputs,
    bias: false,
    activation_function: "torch.nn.modules.linear.Identity",
  };
  writeFileSync(join(path, "2_Dense/config.json"), JSON.stringify(dense));
  if (listed) {
    mkdirSync(join(path, "1_Pooling"));
    writeFileSync(join(path, "1_Pooling/config.json"), '{"pooling_mode_mean_tokens": true}');
    const module = (idx: number, inner: string, kind: string) => ({
      idx,
      name: String(idx),
      path: inner,
      type: `sentence_transformers.models.${kind}`,
    });
    const modules = [
      module(0, "", "Transformer"),
      module(1, "1_Pooling", "Pooling"),
      module(2, "2_Dense", "Dense"),
    ];
    writeFileSync(join(path, "modules.json"), JSON.stringify(modules));
  }
  return { path, matrix };
}

interface Expected {
  texts: { text: string; pair?: string | null; ids: number[]; lastHiddenState: number[][] }[];
}

describe.skipIf(skip)("XTR's layout", () => {
  const { texts } = skip
    ? { texts: [] }
    : (JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as Expected);

  test.each([true, false])(
    "tokens are projected to length 1 (modules.json: %s)",
    async (listed) => {
      const { path, matrix } = await makeFolder(48, { listed });
      await using model = await loadEncoder(path, { inline: true, threads: 1, format: "f32" });
      for (const { ids, lastHiddenState } of texts) {
        const { vectors } = await model.run({ ids, outputs: ["vectors"] });
        for (const [place, state] of lastHiddenState.entries()) {
          const projected = Array.from({ length: width }, (_, row) =>
            state.reduce((sum, value, at) => sum + value * matrix[row * 48 + at]!, 0),
          );
          const length = Math.hypot(...projected);
          for (const [at, value] of projected.entries()) {
            expect(vectors!.data[place * width + at]).toBeCloseTo(value / length, 3);
          }
        }
      }
      // Lower case, no markers, and the end keeps its vector.
      const text = "The KING is gone.";
      const [found] = await embedTokens(model, [text], { role: "query" });
      expect([...found!.ids]).toEqual([...model.tokenizer.encodeIds(text.toLowerCase())]);
    },
  );

  test("a matrix that keeps the width belongs to vectors of texts", async () => {
    const { path } = await makeFolder(48, { outputs: 48 });
    await using model = await loadEncoder(path, { inline: true, threads: 1, format: "f32" });
    expect(model.sentence.lateInteraction).toBeUndefined();
    expect(model.sentence.modules).toHaveLength(1);
  });
});
