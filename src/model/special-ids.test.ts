/** Which ids begin and end texts where the files of a checkpoint name different ones. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { JetonError } from "../core/index.ts";
import { bundledModel } from "../testing/test-data.ts";
import { loadModel } from "./load-model.ts";

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "jeton-special-ids-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

type Json = Record<string, unknown>;

/** What a copy of jeton-nano with other fields says (its own: BOS none, EOS 1, vocabulary 4099). */
async function open(
  files: { config?: Json; generation?: Json; tokenizer?: Json },
  text = "",
): Promise<{
  eos: readonly number[];
  bos: number | undefined;
  ids: number[];
  warnings: JetonError[];
}> {
  const folder = mkdtempSync(join(root, "model-"));
  cpSync(bundledModel, folder, { recursive: true });
  const change = (name: string, fields: Json | undefined): void => {
    if (!fields) return;
    const path = join(folder, name);
    const merged = { ...JSON.parse(readFileSync(path, "utf8")), ...fields };
    writeFileSync(path, JSON.stringify(merged));
  };
  change("config.json", files.config);
  change("generation_config.json", files.generation);
  change("tokenizer_config.json", files.tokenizer);
  const warnings: JetonError[] = [];
  const onWarning = (warning: JetonError) => void warnings.push(warning);
  await using model = await loadModel(folder, { inline: true, threads: 1, onWarning });
  const ids = [...model.tokenizer.encodeIds(text, { addSpecialTokens: false })];
  return { eos: model.eosTokenIds, bos: model.bosTokenId, ids, warnings };
}

describe("ids that end a text", () => {
  test("the bundled model's files agree", async () => {
    expect(await open({})).toMatchObject({ eos: [1], warnings: [] });
  });

  test("the tokenizer's end token counts beside those of the configs, and is said once", async () => {
    const { eos, warnings } = await open({ tokenizer: { eos_token: "<|user|>" } });
    expect(eos).toEqual([1, 2]);
    expect(warnings.map(({ code }) => code)).toEqual(["model-eos-disagrees"]);
    expect(warnings[0]!.details).toEqual({ tokenizer: 2, configs: [1, 1] });
  });

  test("ids of all three are one set, in lists or alone", async () => {
    const { eos, warnings } = await open({
      config: { eos_token_id: 7 },
      generation: { eos_token_id: [2, 7, 9] },
      tokenizer: { eos_token: "<|user|>" },
    });
    expect(eos).toEqual([7, 2, 9]);
    expect(warnings).toEqual([]);
  });

  test("the usual end token counts only where no file states one", async () => {
    const none = { eos_token_id: null };
    const unsaid = { config: none, generation: none, tokenizer: { eos_token: null } };
    expect((await open(unsaid)).eos).toEqual([1]);
    expect((await open({ ...unsaid, config: { eos_token_id: 5 } })).eos).toEqual([5]);
  });
});

test("an empty prompt begins with the generation config's BOS, then the config's", async () => {
  const of = async (files: Parameters<typeof open>[0]) => (await open(files)).bos;
  expect(await of({ config: { bos_token_id: 4 }, generation: { bos_token_id: 5 } })).toBe(5);
  expect(await of({ config: { bos_token_id: 4 }, generation: { bos_token_id: null } })).toBe(4);
});

test("a token that stands only in added_tokens_decoder is one id, and may end texts", async () => {
  const added = {
    content: "<|im_end|>",
    lstrip: false,
    rstrip: false,
    single_word: false,
    normalized: false,
    special: true,
  };
  const tokenizer = { added_tokens_decoder: { 4099: added }, eos_token: "<|im_end|>" };
  const { eos, ids, warnings } = await open({ tokenizer }, "hi<|im_end|>");
  expect(ids).toEqual([75, 76, 4099]);
  expect(eos).toEqual([1, 4099]);
  expect(warnings.map(({ code }) => code)).toEqual([
    "model-eos-disagrees",
    "model-vocabulary-disagrees",
  ]);
});
