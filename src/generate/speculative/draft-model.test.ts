import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type LoadedModel, loadModel } from "../../model/index.ts";
import { createRandomCheckpoint } from "../../testing/random-checkpoint.ts";
import { createDyspecDrafter } from "../dyspec/index.ts";
import { complete } from "../generate.ts";
import { describeDrafter } from "../testing/drafter-conformance.ts";
import { describeDrafterDistribution } from "../testing/drafter-distribution.ts";
import { testModelFolder } from "../testing/test-model.ts";
import { createDraftModelDrafter } from "./draft-model.ts";

const data = process.env["JETON_DATA"];
const tiny = data ? join(data, "models/tinystories-260k") : "";
const available = existsSync(tiny);

// A good draft (the model itself, coarsely quantized) and one whose draft tokens are random.
describeDrafter({
  name: "draft-model",
  samples: true,
  open: async (model) =>
    createDraftModelDrafter(
      model,
      await loadModel(testModelFolder, { format: "int4", threads: 1, slots: 8, inline: true }),
      {
        closeDraft: true,
        minConfidence: 0.2,
      },
    ),
});

describeDrafterDistribution({
  name: "draft-model",
  open: (model, draft) => createDraftModelDrafter(model, draft, { minConfidence: 0.2 }),
});

describe.skipIf(!available)("draft model", () => {
  let model: LoadedModel;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "jeton-draft-model-"));
    model = await loadModel(tiny, { threads: 1, inline: true });
  });
  afterAll(async () => {
    await model.close();
    await rm(folder, { recursive: true, force: true });
  });

  const options = { greedy: true, maxTokens: 60, ignoreEos: true } as const;

  test("a draft equal to the model is accepted in full, and its cache follows the text", async () => {
    const draft = await loadModel(tiny, { threads: 1, inline: true });
    const drafter = createDraftModelDrafter(model, draft, { length: 5, minConfidence: 0 });
    const autoregressive = await complete(model, "Once upon a time", options);
    const drafted = await complete(model, "Once upon a time", { ...options, drafter });
    expect(drafted.ids).toEqual(autoregressive.ids);
    expect(drafted.drafting!.accepted).toBe(drafted.drafting!.drafted);
    expect(drafted.drafting!.meanAcceptanceLength).toBeGreaterThan(5);
    expect(draft.openSequences).toBe(0);
    await draft.close();
  });

  test("a useless draft changes no text", async () => {
    createRandomCheckpoint(folder, {
      family: "llama",
      seed: 5,
      tokenizer: join(tiny, "tokenizer.json"),
    });
    const draft = await loadModel(folder, { threads: 1, inline: true });
    const drafter = createDraftModelDrafter(model, draft, { minConfidence: 0 });
    const autoregressive = await complete(model, "Once upon a time", options);
    const drafted = await complete(model, "Once upon a time", { ...options, drafter });
    expect(drafted.ids).toEqual(autoregressive.ids);
    expect(drafted.drafting!.drafted).toBeGreaterThan(100);
    await draft.close();
  });

  test("a text beyond the draft's context, and a draft without free slots, are decoded without drafts", async () => {
    const draft = await loadModel(tiny, { threads: 1, inline: true, contextLength: 30, slots: 1 });
    const drafter = createDraftModelDrafter(model, draft);
    const autoregressive = await complete(model, "Once upon a time", options);
    const held = await draft.openSequence();
    const full = await complete(model, "Once upon a time", { ...options, drafter });
    expect(full.ids).toEqual(autoregressive.ids);
    expect(full.drafting!.drafted).toBe(0);
    await held.release();
    const short = await complete(model, "Once upon a time", { ...options, drafter });
    expect(short.ids).toEqual(autoregressive.ids);
    expect(short.drafting!.drafted).toBeGreaterThan(0);
    await draft.close();
  });

  test("a text with a token outside the draft's vocabulary is decoded without drafts", async () => {
    const draft = await loadModel(tiny, { threads: 1, inline: true });
    // The draft's vocabulary becomes smaller than the model's.
    Object.assign(draft, { config: { ...draft.config, vocabSize: 400 } });
    const prompt = [1, 410, 403, 5];
    const autoregressive = await complete(model, prompt, options);
    for (const drafter of [
      createDraftModelDrafter(model, draft),
      createDyspecDrafter(model, { draft }),
    ]) {
      const { ids, drafting } = await complete(model, prompt, { ...options, drafter });
      expect(ids).toEqual(autoregressive.ids);
      expect(drafting!.drafted).toBe(0);
    }
    await draft.close();
  });

  test("another vocabulary is rejected", async () => {
    const other = {
      name: "other",
      config: { vocabSize: 3 },
      tokenizer: { idToToken: (id: number) => `token ${id}` },
    } as unknown as LoadedModel;
    expect(() => createDraftModelDrafter(model, other)).toThrow(
      /other cannot draft for .*: token 0 is "token 0" there/,
    );
    const larger = Object.create(model, {
      config: { value: { ...model.config, vocabSize: 600 } },
    }) as LoadedModel;
    expect(() => createDraftModelDrafter(model, larger)).toThrow(
      /token 512 is .* there, expected no such token/,
    );
  });
});
