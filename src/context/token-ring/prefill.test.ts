import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readReferenceCheckpoint } from "../../testing/reference-checkpoint.ts";
import { startReference } from "../../testing/reference-decoder.ts";
import { prefillInRing, readPrefillCheckpoint } from "./reproduction-prefill.ts";

test("a prefill of jeton-nano over one rank and over three gives the logits of the reference decoder", {
  timeout: 60_000,
}, async () => {
  const folder = fileURLToPath(new URL("../../../models/jeton-nano/", import.meta.url));
  const reference = readReferenceCheckpoint(folder);
  const ids = [5, 320, 17, 900, 44, 2001, 8, 77, 1234, 60, 3000, 12];
  const expected = startReference(reference.config, reference.tensors).append(ids);
  const checkpoint = await readPrefillCheckpoint(folder);
  for (const ranks of [1, 3]) {
    const logits = await prefillInRing(checkpoint, ids, ranks);
    expect(logits).toHaveLength(expected.length);
    let most = 0;
    for (const [i, value] of expected.entries()) {
      most = Math.max(most, Math.abs(value - logits[i]!));
    }
    expect(most).toBeLessThan(1e-9);
  }
});
