import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openCheckpoint } from "../checkpoint/index.ts";
import { createRandom } from "../core/index.ts";
import { liveSessions, startInline } from "../tensor/index.ts";
import { createRandomCheckpoint } from "../testing/random-checkpoint.ts";
import { referenceGreedy } from "../testing/reference-decoder.ts";
import { referenceFamilies } from "../testing/tiny-config-variants.ts";
import { encodedReferenceFamilies } from "../testing/tiny-sparse-configs.ts";
import { decoderConfig } from "./decoder/config.ts";
import { nameTensors } from "./decoder/stored-names.ts";
import { fileBindings } from "./weights/trace-weights.ts";
import type { DecoderService, HandleStep } from "./worker/decoder-service.ts";
import * as decoderService from "./worker/decoder-service.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "jeton-families-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const dtypes = ["F32", "BF16", "F16"] as const;

const families = Object.keys({ ...referenceFamilies, ...encodedReferenceFamilies });

describe.each(families.map((family, index) => ({ family, index })))(
  "$family",
  ({ family, index }) => {
    test("logits and greedy ids equal an independent float64 reference", async () => {
      const path = join(folder, family);
      const made = await createRandomCheckpoint(path, {
        family,
        seed: index + 1,
        dtype: dtypes[index % 3]!,
        shards: 1 + (index % 2),
      });
      const random = createRandom(index, "prompt");
      await using checkpoint = await openCheckpoint(path);
      const config = decoderConfig(checkpoint.config);
      const { tensors } = nameTensors(checkpoint, config);
      const service = await startInline<DecoderService>(decoderService, "createDecoderService", {
        config,
        tensors,
        bindings: fileBindings(tensors),
        format: "f32",
        threads: 1,
        slots: 2,
      });
      const before = liveSessions();
      for (const [promptLength, chunk] of [
        [3, 3],
        // Grows beyond the original contexts of 24 tokens.
        [18, 5],
        [33, 7],
      ] as const) {
        const prompt = Array.from({ length: promptLength }, () => random.integer(config.vocabSize));
        const maxTokens = 12;
        const expected = referenceGreedy(made.config, made.tensors, prompt, { maxTokens });
        const { handle } = await service.open({ prefix: [], promptLength });
        const run = async (step: Omit<HandleStep, "handle">) =>
          (await service.forward([{ ...step, handle }]))[0]!;
        let result = await run({ ids: prompt.slice(0, chunk), logits: true });
        for (let at = chunk; at < promptLength; at += chunk) {
          result = await run({ ids: prompt.slice(at, at + chunk), logits: true });
        }
        let largest = 0;
        for (const [id, logit] of expected.logitsAfterPrompt.entries()) {
          largest = Math.max(largest, Math.abs(logit - result.logits![id]!));
        }
        expect(largest).toBeLessThan(1e-3);
        for (const [at, id] of expected.ids.entries()) {
          // Beyond a near-tie the texts may rightly differ.
          if (expected.margins[at]! < 1e-3) break;
          expect(result.topIds[0], `token ${at}`).toBe(id);
          result = await run({ ids: [id] });
        }
        await service.release(handle);
      }
      await service.close();
      expect(liveSessions()).toBe(before - 1);
    });
  },
);
