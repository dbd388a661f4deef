import { describe, expect, test } from "vitest";
import { referenceFamilies } from "../../testing/random-checkpoint.ts";
import { decoderConfig } from "./config.ts";

const tiny = {
  vocabulary: 512,
  width: 64,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 24,
  feedForward: 96,
};

function contextOf(ropeScaling: Record<string, unknown> | null, positions: number): number {
  const file = referenceFamilies["llama"]!(tiny);
  return decoderConfig({
    ...file,
    max_position_embeddings: positions,
    rope_scaling: ropeScaling,
  } as Parameters<typeof decoderConfig>[0]).contextLength;
}

describe("the context length", () => {
  test("is what the file states, or what its scaling stretches it to", () => {
    expect(contextOf(null, 512)).toBe(512);
    expect(contextOf({ type: "linear", factor: 4 }, 512)).toBe(512);
    expect(contextOf({ rope_type: "dynamic", factor: 4 }, 512)).toBe(2048);
    const yarn = { rope_type: "yarn", factor: 4 };
    expect(contextOf(yarn, 512)).toBe(2048);
    // Qwen's cards add this to a file that states the length before scaling, or a little more.
    expect(contextOf({ ...yarn, original_max_position_embeddings: 512 }, 512)).toBe(2048);
    expect(contextOf({ ...yarn, original_max_position_embeddings: 512 }, 640)).toBe(2048);
    // Other files state the length after it.
    expect(contextOf({ ...yarn, original_max_position_embeddings: 128 }, 512)).toBe(512);
  });
});
