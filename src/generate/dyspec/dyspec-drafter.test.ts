import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type LoadedModel, loadModel } from "../../model/index.ts";
import { complete } from "../generate.ts";
import { describeDrafter } from "../testing/drafter-conformance.ts";
import {
  describeDrafterDistribution,
  testDrafterDistribution,
} from "../testing/drafter-distribution.ts";
import { testModelFolder } from "../testing/test-model.ts";
import { createDyspecDrafter, NgramModel } from "./index.ts";
import { pruneAfterSampling } from "./reproduction-pruned.ts";

const data = process.env["JETON_DATA"];
const folder = data ? join(data, "models/tinystories-260k") : "";
const available = existsSync(folder);

const drafts = new Map<LoadedModel, Promise<LoadedModel>>();
/** The same model in a coarser format: a draft whose probabilities mostly agree with the model's. */
function draftOf(model: LoadedModel): Promise<LoadedModel> {
  let draft = drafts.get(model);
  if (!draft) {
    draft = loadModel(testModelFolder, { format: "int4", threads: 1, slots: 16 });
    drafts.set(model, draft);
  }
  return draft;
}
afterAll(async () => {
  for (const draft of drafts.values()) await (await draft).close();
});

function ngrams(model: LoadedModel): NgramModel {
  const draft = new NgramModel();
  const text = "Once upon a time, Lily had a red ball. The cat sat. Tom had a red ball. ";
  draft.learn(model.tokenizer.encodeIds(text.repeat(3)));
  return draft;
}

describeDrafter({
  name: "dyspec",
  open: async (model) => createDyspecDrafter(model, { draft: await draftOf(model) }),
  samples: true,
});
describeDrafter({
  name: "dyspec-by-layer-calibrated",
  open: async (model) =>
    createDyspecDrafter(model, {
      draft: await draftOf(model),
      algorithm: "by-layer",
      calibrate: true,
    }),
  samples: true,
});
describeDrafter({
  name: "dyspec-ngram-best",
  open: (model) => createDyspecDrafter(model, { draft: ngrams(model), children: "best" }),
});

describeDrafterDistribution({
  name: "dyspec",
  open: (model, draft) => createDyspecDrafter(model, { draft }),
});
describeDrafterDistribution({
  name: "dyspec by layer, calibrated",
  open: (model, draft) =>
    createDyspecDrafter(model, { draft, algorithm: "by-layer", calibrate: true }),
});

test("pruning a tree after sampling changes the distribution, and the test detects it", async () => {
  const result = await testDrafterDistribution(
    {
      name: "dyspec, pruned",
      open: (model, draft) => pruneAfterSampling(createDyspecDrafter(model, { draft }), 0.15),
    },
    { runs: 4000, sampling: { temperature: 1 } },
  );
  expect(result.pValue).toBeLessThan(1e-6);
});

describe.skipIf(!available)("dyspec on tinystories-260k", () => {
  test("a draft equal to the model is accepted to the end of every path", async () => {
    const model = await loadModel(folder, { format: "f32", threads: 1, slots: 2 });
    const drafter = createDyspecDrafter(model, { draft: model, maxDepth: 4, maxNodes: 8 });
    for (const temperature of [0, 1]) {
      const { drafting } = await complete(model, "Once upon a time", {
        temperature,
        seed: 2,
        drafter,
        maxTokens: 41,
        ignoreEos: true,
      });
      // With equal distributions the first sampled sibling is always accepted, and the best token is the choice.
      const rejections = drafting!.byDepth.filter(({ tried, accepted }) => tried > accepted);
      expect(rejections).toEqual([]);
    }
    await drafter.close();
    await model.close();
  });

  test("another vocabulary is rejected with the first token that differs", async () => {
    const model = await loadModel(folder, { inline: true, threads: 1 });
    const other = Object.create(model, {
      tokenizer: { value: { ...model.tokenizer, idToToken: (id: number) => `other-${id}` } },
    }) as LoadedModel;
    expect(() => createDyspecDrafter(model, { draft: other })).toThrow(/token 0/);
    await model.close();
  });
});
