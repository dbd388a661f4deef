import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile, readlink, rm, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { codeOf } from "../../testing/code-of.ts";
import { openCheckpoint } from "../checkpoint.ts";
import type { DownloadProgress } from "./hub-progress.ts";
import { commit, token } from "./testing/fake-hub.ts";
import {
  cache,
  describing,
  environment,
  hub,
  remains,
  resolveTiny,
  sha256,
  sharded,
  useFakeHub,
  weights,
} from "./testing/hub-fixture.ts";

useFakeHub();

/** A file that holds its own name. */
const named = (path: string): [string, Buffer] => [path, Buffer.from(JSON.stringify(path))];

/** `modules.json` with a transformer in the first of these folders. */
const listOf = (
  transformer: string,
  others: readonly string[],
  first = "Transformer",
): [string, Buffer] => {
  const line = (path: string, kind: string) => ({
    path,
    type: `sentence_transformers.models.${kind}`,
  });
  const lines = [line(transformer, first), ...others.map((path) => line(path, "Dense"))];
  return ["modules.json", Buffer.from(JSON.stringify(lines))];
};

describe("a download", () => {
  test("fills the cache as Python does, with what a checkpoint needs, and opens", async () => {
    const reports: DownloadProgress[] = [];
    const folder = await resolveTiny({ onProgress: (progress) => reports.push(progress) });
    expect(folder).toBe(cache("snapshots", commit));
    expect((await readdir(folder)).sort()).toEqual(
      [...Object.keys(describing), "model.safetensors"].sort(),
    );
    const body = weights.get("model.safetensors")!;
    expect(await readlink(join(folder, "model.safetensors"))).toBe(`../../blobs/${sha256(body)}`);
    expect((await readFile(join(folder, "model.safetensors"))).equals(body)).toBe(true);
    expect(await readFile(cache("refs", "main"), "utf8")).toBe(commit);
    expect(await remains()).toEqual([]);
    await using checkpoint = await openCheckpoint(folder);
    expect(checkpoint.tensors.get("w")?.file).toBe(cache("blobs", sha256(body)));

    const last = reports.at(-1)!;
    expect(last.bytes).toBe(last.totalBytes);
    expect(last.totalBytes).toBe(body.length + Object.values(describing).join("").length);
    expect(last).toMatchObject({ files: 4, filesDone: 4 });
    for (const [i, report] of reports.slice(1).entries()) {
      expect(report.bytes).toBeGreaterThanOrEqual(reports[i]!.bytes);
    }
  });

  test("happens once: the cache answers without the hub, and through a moved branch only on request", async () => {
    const folder = await resolveTiny();
    hub.requests = [];
    expect(await resolveTiny()).toBe(folder);
    expect(await resolveTiny({ revision: commit })).toBe(folder);
    expect(hub.requests).toEqual([]);
    hub.head = "f".repeat(40);
    hub.files = new Map([...weights, ["config.json", Buffer.from('{"model_type":"gemma"}')]]);
    expect(await resolveTiny()).toBe(folder);
    const moved = await resolveTiny({ update: true });
    expect(moved).toBe(cache("snapshots", "f".repeat(40)));
    expect(await readFile(join(moved, "config.json"), "utf8")).toContain("gemma");
    expect(hub.contentRequests("model.safetensors")).toEqual([]); // the same content is not sent twice
    expect(await resolveTiny()).toBe(moved);
  });

  test("sharded: the shards that the index names and no others, with empty and nested files on request", async () => {
    hub.files = new Map([...sharded, ["empty.txt", Buffer.alloc(0)]]);
    const folder = await resolveTiny();
    expect((await readdir(folder)).filter((name) => name.includes("safetensors")).sort()).toEqual([
      "model-00001-of-00003.safetensors",
      "model-00002-of-00003.safetensors",
      "model-00003-of-00003.safetensors",
      "model.safetensors.index.json",
    ]);
    await using checkpoint = await openCheckpoint(folder);
    expect((await checkpoint.readFloat32("c"))[99_999]).toBeCloseTo(Math.sin(299_999), 6);
    await resolveTiny({ files: ["onnx/model.onnx", "empty.txt"] });
    expect(await readFile(join(folder, "onnx", "model.onnx"), "utf8")).toBe("graph");
    expect(await readlink(join(folder, "onnx", "model.onnx"))).toMatch(
      /^\.\.\/\.\.\/\.\.\/blobs\/[0-9a-f]{40}$/,
    );
    expect((await stat(join(folder, "empty.txt"))).size).toBe(0);
    expect(await codeOf(resolveTiny({ files: ["absent.txt"] }))).toBe("hub-file-not-found");
  });

  test("a sentence encoder comes with its modules, their weights and its settings", async () => {
    const own = [
      "modules.json",
      "sentence_bert_config.json",
      "config_sentence_transformers.json",
      "1_Pooling/config.json",
      "2_Dense/config.json",
      "2_Dense/model.safetensors",
    ];
    const other = ["2_Dense/pytorch_model.bin", "onnx/model.safetensors", "openvino/config.json"];
    hub.files = new Map([
      ...weights,
      ...[...own, ...other].map(named),
      listOf("", ["1_Pooling", "2_Dense"]),
    ]);
    const folder = await resolveTiny();
    for (const path of own) expect(existsSync(join(folder, path)), path).toBe(true);
    for (const path of other) expect(existsSync(join(folder, path)), path).toBe(false);
  });

  test.each(["0_Transformer", "parts/0_BERT"])(
    "an older sentence encoder comes with the checkpoint in %s",
    async (path) => {
      const below = (name: string): string => `${path}/${name}`;
      const own = [
        ...["config.json", "sentence_bert_config.json", "vocab.txt", "tokenizer_config.json"].map(
          below,
        ),
        ...["own/config.json", "own/model.safetensors", "config_sentence_transformers.json"],
      ];
      const other = [below("pytorch_model.bin"), "1_Other/config.json", "onnx/config.json"];
      for (const [name, from] of [
        ["single", weights],
        ["sharded", sharded],
      ] as const) {
        const stored = [...from].filter(([file]) => /^model[\w.-]*$/.test(file));
        const there = stored.map(([file, body]): [string, Buffer] => [below(file), body]);
        hub.head = createHash("sha1")
          .update(path + name)
          .digest("hex");
        hub.files = new Map([...there, ...[...own, ...other].map(named), listOf(path, ["own"])]);
        const folder = await resolveTiny({ update: true });
        for (const file of own) expect(existsSync(join(folder, file)), file).toBe(true);
        for (const file of other) expect(existsSync(join(folder, file)), file).toBe(false);
        for (const [file] of there) expect(existsSync(join(folder, file)), file).toBe(true);
        hub.requests = [];
        expect(await resolveTiny()).toBe(folder);
        expect(hub.requests).toEqual([]);
        // As Python leaves it: without the list of files that tells a complete snapshot.
        await rm(cache(".jeton"), { recursive: true });
        expect(await resolveTiny({ offline: true })).toBe(folder);
        await rm(join(folder, there.at(-1)![0]));
        expect(await codeOf(resolveTiny({ offline: true }))).toBe("hub-offline");
      }
    },
  );

  test.each(["", "0_StaticEmbedding/"])(
    "a static model in %j comes without a config.json",
    async (path) => {
      const own = [`${path}tokenizer.json`, "config_sentence_transformers.json"];
      const body = weights.get("model.safetensors")!;
      hub.head = createHash("sha1").update(`static ${path}`).digest("hex");
      const list = listOf(path, [], "StaticEmbedding");
      hub.files = new Map([[`${path}model.safetensors`, body], ...own.map(named), list]);
      const folder = await resolveTiny({ update: true });
      const there = [...own, `${path}model.safetensors`];
      for (const file of there) expect(existsSync(join(folder, file)), file).toBe(true);
      // As Python leaves it: without the list of files that tells a complete snapshot.
      await rm(cache(".jeton"), { recursive: true });
      expect(await resolveTiny({ offline: true })).toBe(folder);
      await rm(join(folder, `${path}model.safetensors`));
      expect(await codeOf(resolveTiny({ offline: true }))).toBe("hub-offline");
    },
  );

  test("without weights: configuration and tokenizer alone; the weights come later", async () => {
    const folder = await resolveTiny({ weights: false });
    expect((await readdir(folder)).sort()).toEqual(Object.keys(describing).sort());
    hub.requests = [];
    expect(await resolveTiny({ weights: false })).toBe(folder);
    expect(hub.requests).toEqual([]);
    await resolveTiny();
    expect(existsSync(join(folder, "model.safetensors"))).toBe(true);
    expect(hub.contentRequests("config.json")).toEqual([]);
  });

  test("sends the token to the hub and not to its store", async () => {
    environment["HF_TOKEN"] = ` ${token}\n`;
    await resolveTiny();
    const servers = new Set(
      hub.requests.map(({ server, authorization }) => `${server} ${authorization}`),
    );
    expect(servers).toEqual(new Set([`hub Bearer ${token}`, "store undefined"]));
  });

  test("takes what Python has fetched, and offline is content with it", async () => {
    // As huggingface_hub leaves it: no list of ours, and no tokenizer yet.
    await resolveTiny();
    await rm(cache(".jeton"), { recursive: true });
    await unlink(join(cache("snapshots", commit), "tokenizer.json"));
    expect(await resolveTiny({ offline: true })).toBe(cache("snapshots", commit));
    hub.requests = [];
    await resolveTiny();
    expect(existsSync(join(cache("snapshots", commit), "tokenizer.json"))).toBe(true);
    expect(hub.contentRequests("model.safetensors")).toEqual([]);
  });

  test("a tag or branch after the name; a mirror that lists names only", async () => {
    hub.hasTree = false;
    expect(await resolveTiny({}, "team/tiny@v1.0")).toBe(cache("snapshots", commit));
    expect(await readFile(cache("refs", "v1.0"), "utf8")).toBe(commit);
    expect(
      (await readFile(join(cache("snapshots", commit), "model.safetensors"))).equals(
        weights.get("model.safetensors")!,
      ),
    ).toBe(true);
    expect(await codeOf(resolveTiny({}, "team/tiny@absent"))).toBe("hub-revision-not-found");
    expect(await codeOf(resolveTiny({ revision: "main" }, "team/tiny@v1.0"))).toBe(
      "model-name-invalid",
    );
  });
});
