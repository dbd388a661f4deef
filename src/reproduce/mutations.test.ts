/**
 * Making a method worse turns its verdict: drafts at other places, rows of other tokens, a predictor that
 * returns its own baseline. On the bundled model and texts that come with it, so that it runs everywhere.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRandom } from "../core/index.ts";
import { createPromptLookupDrafter, type Drafter } from "../generate/index.ts";
import { lengthClaim, lengthRatioClaim } from "../generate/measure/reproduction-claims.ts";
import {
  type DraftingMeasurement,
  measureRequests,
  type PlannedTask,
  planTasks,
} from "../generate/measure/reproduction-drafting.ts";
import { shuffleDrafts } from "../generate/measure/shuffled-drafts.ts";
import { type LoadedModel, loadModel } from "../model/index.ts";
import { bundledModel } from "../testing/test-data.ts";
import { mixtureMethod } from "../vocabulary/baselines.ts";
import { normalizeMixture } from "../vocabulary/mixture.ts";
import { adaptAndMeasure } from "../vocabulary/reproduction-measure.ts";
import { shuffleRows } from "../vocabulary/reproduction-methods.ts";
import { predictTables, type TransferMethod } from "../vocabulary/transfer.ts";
import { type ModelFiles, readModelFiles, withTables } from "../vocabulary/whole-model.ts";
import type { Claim } from "./define-reproduction.ts";
import { constantOf, ratioOfSums, type Sample } from "./sample.ts";
import { judge } from "./verdict.ts";

const card = readFileSync(join(bundledModel, "README.md"), "utf8").replace(/\s+/g, " ");
const verdictOf = (claim: Claim, samples: Parameters<typeof judge>[1]) =>
  judge(claim, samples, { thresholds: claim });

describe("drafts", () => {
  let model: LoadedModel;
  let tasks: readonly PlannedTask[];
  beforeAll(async () => {
    model = await loadModel(bundledModel, {
      format: "f32",
      exact: false,
      inline: true,
      threads: 1,
    });
    const pieces = Array.from({ length: 10 }, (_, at) => card.slice(180 * at, 180 * at + 150));
    const prompts = pieces.map((piece, at) => {
      // Begun for the third time: the model goes on copying.
      const prompt = `${piece}\n\n${piece}\n\n${piece.slice(0, 30)}`;
      return { kind: "recall" as const, name: String(at), prompt };
    });
    tasks = await planTasks(model, prompts, {
      sampling: { greedy: true },
      maxTokens: 24,
      minTokens: 4,
    });
  });
  afterAll(() => model.close());

  const lengthOf = (requests: readonly DraftingMeasurement[]): Sample =>
    ratioOfSums(
      requests.map(({ tokens, forwardPasses }) => ({ sum: tokens, weight: forwardPasses })),
    );
  const decode = async (drafter: Drafter): Promise<Sample> =>
    lengthOf(await measureRequests(model, tasks, { drafter, maxDraft: 8 }));
  const lookup = (): Drafter => createPromptLookupDrafter({ length: 8 });
  const shuffled = (key: string): Drafter => shuffleDrafts(lookup(), createRandom(1, key));
  const levels = { paper: { words: "none" }, reproduced: 1.3, partly: 1.2 };

  test("of prompt lookup pass where those of shuffled tokens turn the verdict", async () => {
    expect(tasks.length).toBeGreaterThanOrEqual(5);
    const control = await decode(shuffled("control"));
    const baseline = constantOf(1, tasks.length);
    for (const claim of [
      lengthClaim("length", "Copies are drafted.", levels),
      lengthRatioClaim("ratio", "More than one token a pass.", levels),
    ]) {
      const measured = await decode(lookup());
      expect(verdictOf(claim, { measured, baseline, control })).toMatchObject({
        verdict: "reproduced",
      });
      const mutated = await decode(shuffled("mutated"));
      const found = verdictOf(claim, { measured: mutated, baseline, control });
      expect(found.verdict).toBe("not reproduced");
    }
  });
});

describe("rows", () => {
  let model: ModelFiles;
  beforeAll(async () => {
    model = await readModelFiles(bundledModel);
  });

  const claim: Claim = {
    id: "rows",
    text: "The model reads its tokens better with these rows than with means of their bytes.",
    paper: { words: "none" },
    unit: "bits/byte",
    units: "texts",
    control: "rows shuffled among the tokens",
    direction: "lower",
    effect: "ratio",
    reproduced: 1.02,
    partly: 1.001,
    quick: "full-only",
  };
  const texts = Array.from({ length: 5 }, (_, at) => card.slice(200 * at, 200 * at + 100));
  const own: TransferMethod = mixtureMethod("own", ({ target }) =>
    target.forms.map((_, id) => ({ sources: [id], weights: [1] })),
  );
  /** Each token as the mean of the rows of its bytes. */
  const means: TransferMethod = mixtureMethod("means", ({ source, target }) =>
    target.forms.map((form, id) => {
      const bytes = [...(form ?? "")].map((byte) => source.vocabulary.ids.get(byte));
      if (bytes.length === 0 || bytes.includes(undefined)) return { sources: [id], weights: [1] };
      const shares = new Map<number, number>();
      for (const byte of bytes) shares.set(byte!, (shares.get(byte!) ?? 0) + 1);
      return normalizeMixture(shares);
    }),
  );
  const read = async (method: TransferMethod): Promise<Sample> => {
    const { source } = model;
    const tables = await predictTables(source, source.vocabulary, method, { seed: 1 });
    const { config, parameters } = withTables(model, tables);
    const { tokenizer } = source.vocabulary;
    const [bits] = await adaptAndMeasure(config, parameters, { tokenizer, heldOut: texts });
    return ratioOfSums(bits!);
  };

  test("pass where a predictor that returns means and shuffled rows turn the verdict", async () => {
    const [baseline, control] = [await read(means), await read(shuffleRows(own))];
    const judged = (measured: Sample) => verdictOf(claim, { measured, baseline, control });
    expect(judged(await read(own)).verdict).toBe("reproduced");
    expect(judged(baseline)).toMatchObject({ verdict: "not reproduced", effect: 1 });
    expect(judged(control)).toMatchObject({
      verdict: "not reproduced",
      control: { margin: [0, 0] },
    });
  }, 240_000);
});
