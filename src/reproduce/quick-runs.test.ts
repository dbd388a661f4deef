/** Quick runs stay small: what they train is counted, since tests never look at a clock. */
import { describe, expect, test } from "vitest";
import { quickScale as extensibleScale } from "../context/extensible-tokenization/reproduction.ts";
import { sizes as extensibleSizes } from "../context/extensible-tokenization/reproduction-training.ts";
import { quickSizes as landmarkSizes } from "../context/landmark-attention/reproduction.ts";
import { quickSizes as longHeadsSizes } from "../context/longheads/reproduction.ts";
import { window as smallWindow } from "../context/measure/reproduction-small-models.ts";
import { quickSizes as needleSizes } from "../evaluate/needle-threading/reproduction-policies.ts";
import { comparisonSizes } from "../model/byte/reproduction-models.ts";
import { quickSizes as m2Sizes } from "../retrieve/m2-bert-loco/reproduction.ts";
import { quickScale as xtrScale } from "../retrieve/xtr/reproduction.ts";
import { lengths as xtrLengths } from "../retrieve/xtr/reproduction-training.ts";
import { systems } from "../systems.ts";

/** Tokens or bytes that a quick run trains on, of all its models together. */
const trained: Readonly<Record<string, () => number>> = {
  // The most that one comparison of byte models trains: four kinds of models.
  "byte models": () => {
    const { steps, batch, bytes, seeds } = comparisonSizes(true);
    return 4 * seeds * steps * batch * bytes;
  },
  "landmark-attention": () => {
    const { seeds, steps, batch } = landmarkSizes;
    return 2 * seeds * steps * batch * smallWindow;
  },
  "needle-threading": () => {
    const { seeds, steps, batch } = needleSizes;
    return seeds * steps * batch * smallWindow;
  },
  longheads: () => {
    const { seeds, steps, batch } = longHeadsSizes;
    return seeds * steps * batch * smallWindow;
  },
  "extensible-tokenization": () => {
    const { steps, batch, windows } = extensibleScale;
    return steps * batch * (windows * extensibleSizes.window + extensibleSizes.chunk);
  },
  xtr: () => {
    const { seeds, steps, batch } = xtrScale;
    return 2 * seeds * steps * batch * (xtrLengths.documentLength + xtrLengths.queryLength);
  },
  "m2-bert-loco": () => {
    const { seeds, maskedSteps, masked, steps, negatives, long, rates } = m2Sizes;
    const pairs = rates.length * steps * 2 * (1 + negatives) * long;
    return seeds * (maskedSteps * 8 * masked + pairs);
  },
};

describe("a quick run", () => {
  test.each(Object.keys(trained))("of %s trains on at most 350,000 tokens", (name) => {
    const tokens = trained[name]!();
    expect(tokens).toBeGreaterThan(0);
    expect(tokens).toBeLessThanOrEqual(350_000);
  });

  const built = systems.filter(({ reproduction }) => reproduction !== undefined);
  test.each(built.map(({ slug }) => slug))("of %s measures at least one claim", async (slug) => {
    const system = built.find((one) => one.slug === slug)!;
    const { claims } = (await system.reproduction!()).reproduction;
    expect(claims.filter(({ quick }) => quick !== "full-only")).not.toEqual([]);
  });
});
