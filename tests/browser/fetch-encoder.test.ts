/** `fetchEncoder` beside `loadEncoder` on the same folders, without a browser: a function stands for the network. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { embed, embedTokens, fetchEncoder } from "../../src/browser.ts";
import { writeSafetensors } from "../../src/checkpoint/index.ts";
import { createRandom } from "../../src/core/index.ts";
import { loadEncoder } from "../../src/model/index.ts";
import { bundledModel } from "../../src/testing/test-data.ts";

const texts = ["The cat sat on the mat.", "Une maison", "x"];
const bundled = join(dirname(bundledModel), "jeton-embed");
let root: string;

/** The bundled encoder, and one whose vectors a matrix of a module makes shorter. */
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "jeton-fetch-encoder-"));
  cpSync(bundled, join(root, "plain"), { recursive: true });
  const folder = join(root, "dense");
  cpSync(bundled, folder, { recursive: true });
  mkdirSync(join(folder, "2_Dense"));
  const random = createRandom(1, "projection");
  const data = Float32Array.from({ length: 16 * 128 }, () => random.normal());
  const tensor = { name: "linear.weight", dtype: "F32" as const, shape: [16, 128], data };
  await writeSafetensors(join(folder, "2_Dense/model.safetensors"), [tensor]);
  const shape = { in_features: 128, out_features: 16, bias: false };
  const activation_function = "torch.nn.modules.linear.Identity";
  const config = JSON.stringify({ ...shape, activation_function });
  writeFileSync(join(folder, "2_Dense/config.json"), config);
  const modules = JSON.parse(readFileSync(join(folder, "modules.json"), "utf8")) as object[];
  const dense = { idx: 2, path: "2_Dense", type: "sentence_transformers.models.Dense" };
  writeFileSync(join(folder, "modules.json"), JSON.stringify([...modules.slice(0, 2), dense]));
});
/** The same with its checkpoint below, as older versions of sentence-transformers keep it. */
beforeAll(() => {
  const inner = join(root, "below", "0_Transformer");
  cpSync(bundled, inner, { recursive: true });
  cpSync(join(bundled, "1_Pooling"), join(root, "below", "1_Pooling"), { recursive: true });
  const modules = JSON.parse(readFileSync(join(bundled, "modules.json"), "utf8")) as object[];
  const list = [{ ...modules[0], path: "0_Transformer" }, ...modules.slice(1)];
  writeFileSync(join(root, "below", "modules.json"), JSON.stringify(list));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const requested: string[] = [];
const send: typeof fetch = async (address) => {
  const { pathname } = new URL(String(address));
  requested.push(pathname);
  try {
    return new Response(readFileSync(join(root, pathname)));
  } catch {
    return new Response("no such file", { status: 404 });
  }
};

test.each([
  ["plain", 128],
  ["dense", 16],
  ["below", 128],
] as const)(
  "%s: vectors of texts and tokens are those of the folder on disk",
  async (name, size) => {
    const options = { format: "f32", threads: 1 } as const;
    await using loaded = await loadEncoder(join(root, name), { ...options, inline: true });
    await using fetched = await fetchEncoder(`http://models.example/${name}`, {
      ...options,
      fetch: send,
    });
    expect(fetched.name).toBe(name);
    expect(fetched.embeddingSize).toBe(size);
    expect(fetched.sentence).toEqual(loaded.sentence);
    expect(await embed(fetched, texts)).toEqual(await embed(loaded, texts));
    expect(await embedTokens(fetched, texts)).toEqual(await embedTokens(loaded, texts));
  },
);

test("a folder of a module is asked for by its path", () => {
  expect(requested).toContain("/plain/1_Pooling/config.json");
  expect(requested).toContain("/dense/2_Dense/model.safetensors");
});

test.each([
  ["modules.json", "{}", "encoder-module-invalid"],
  ["modules.json", "[", "config-invalid"],
  ["1_Pooling/config.json", "[]", "encoder-module-invalid"],
  ["1_Pooling/config.json", undefined, "encoder-module-invalid"],
  ["model.safetensors", "short", "safetensors-truncated"],
])("%s that holds %j ends in %s", async (path, content, code) => {
  const wrong: typeof fetch = async (address) => {
    if (!String(address).endsWith(`/plain/${path}`)) return send(address);
    return new Response(content ?? "no such file", { status: content === undefined ? 404 : 200 });
  };
  const opened = fetchEncoder("http://models.example/plain", { fetch: wrong });
  await expect(opened).rejects.toMatchObject({ code });
});
