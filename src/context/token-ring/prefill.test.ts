import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readReferenceCheckpoint } from "../../testing/reference-checkpoint.ts";
import { startReference } from "../../testing/reference-decoder.ts";
import { prefillInRing } from "./reproduction-prefill.ts";

test("a prefill of jeton-nano over three ranks gives the logits of one process", {
  timeout: 60_000,
}, async () => {
  const folder = fileURLToPath(new URL("../../../models/jeton-nano/", import.meta.url));
  const checkpoint = readReferenceCheckpoint(folder);
  const ids = [5, 320, 17, 900, 44, 2001, 8, 77, 1234, 60, 3000, 12];
  const expected = startReference(checkpoint.config, checkpoint.tensors).append(ids);
  const logits = await prefillInRing(checkpoint, ids, 3);
  expect(logits).toHaveLength(expected.length);
  let most = 0;
  for (const [i, value] of expected.entries()) most = Math.max(most, Math.abs(value - logits[i]!));
  expect(most).toBeLessThan(1e-9);
});
