/** Configurations of long encoders, and that a stretched one loads the weights of the shorter. */
import { expect, test } from "vitest";
import { encoderConfig } from "../../model/index.ts";
import { codeOf } from "../../testing/code-of.ts";
import { longEncoderConfig, stretchConfig } from "./m2-bert-loco.ts";

test("a configuration has the published switches", () => {
  const config = longEncoderConfig({ length: 256, hiddenSize: 64, layers: 2 });
  const { mixer, contextLength, gated } = encoderConfig({ vocab_size: 100, ...config });
  expect({ contextLength, gated }).toEqual({ contextLength: 256, gated: true });
  expect(mixer).toMatchObject({
    bidirectional: true,
    residualConvolution: true,
    blocks: 4,
    fillsTexts: false,
    poolsAll: false,
  });
  const published = longEncoderConfig({
    length: 256,
    hiddenSize: 64,
    layers: 2,
    masksPadding: false,
  });
  expect(encoderConfig({ vocab_size: 100, ...published }).mixer!.fillsTexts).toBe(true);
});

test("a longer one is a multiple", async () => {
  const config = longEncoderConfig({ length: 256, hiddenSize: 64, layers: 2 });
  expect(encoderConfig({ vocab_size: 9, ...stretchConfig(config, 1024) }).contextLength).toBe(1024);
  expect(await codeOf(() => stretchConfig(config, 300))).toBe("option-invalid");
  expect(await codeOf(() => stretchConfig({ model_type: "bert" }, 512))).toBe("option-invalid");
});
