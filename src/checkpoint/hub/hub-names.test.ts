import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JetonError } from "../../core/index.ts";
import { codeOf, errorOf } from "../../testing/code-of.ts";
import { resolveModel } from "./hub.ts";
import { parseHubName } from "./hub-name.ts";
import { readHubSettings } from "./hub-settings.ts";
import { environment, hub, resolveTiny, root, useFakeHub } from "./testing/hub-fixture.ts";

useFakeHub();

describe("names", () => {
  test("a folder is itself; what looks like a path and is none is an error", async () => {
    expect(await resolveModel(root)).toBe(root);
    await writeFile(join(root, "a-file"), "");
    for (const name of [
      join(root, "absent"),
      join(root, "a-file"),
      "./absent/folder",
      "../absent",
      "~/absent",
      "a\\b",
      "/",
      "..",
    ]) {
      if (existsSync(name) && name !== join(root, "a-file")) continue;
      expect(await codeOf(resolveModel(name, { environment }))).toBe("model-not-found");
    }
  });

  test.each([
    "",
    "tiny",
    "a/b/c",
    "a//b",
    "/b",
    "a/",
    "a/..",
    "../b",
    "a/.b",
    "-a/b",
    "a/b.",
    "a--b/c",
    "a/b.git",
    "a b/c",
    "a/b@",
    "a/b@x@y",
    "a/b@../x",
    "a/b@x/../y",
    "a/b@-x",
    "a/b@x.lock",
    "a/b@x//y",
    "a/b\0",
    "é/b",
    `${"x".repeat(97)}/b`,
  ])("%j is no name", (name) => {
    expect(() => parseHubName(name)).toThrow(JetonError);
  });

  test("no accepted name leads out of the cache", () => {
    const letters = fc.constantFrom(
      "a",
      "B",
      "0",
      "_",
      "-",
      ".",
      "/",
      "@",
      "\\",
      "..",
      "~",
      "\0",
      ":",
      "%2e",
      "\n",
    );
    fc.assert(
      fc.property(
        fc.array(letters, { maxLength: 8 }).map((parts) => parts.join("")),
        (text) => {
          let parsed: ReturnType<typeof parseHubName>;
          try {
            parsed = parseHubName(text);
          } catch (error) {
            if (!JetonError.isInstance(error)) throw error;
            return;
          }
          const { owner, name, revision = "main" } = parsed;
          expect(join("/cache", `models--${owner}--${name}`, "refs", revision)).toBe(
            `/cache/models--${owner}--${name}/refs/${revision}`,
          );
          expect(`${owner}${name}`).not.toMatch(/[/\\:%\n\0]/);
          expect(revision).not.toMatch(/[\\:%\n\0]/);
        },
      ),
      { numRuns: 5000 },
    );
    expect(parseHubName("Qwen/Qwen2.5-0.5B@refs/pr/7")).toEqual({
      owner: "Qwen",
      name: "Qwen2.5-0.5B",
      revision: "refs/pr/7",
    });
  });
});

describe("settings", () => {
  test("the environment's precedence is that of Python", async () => {
    const folder = join(root, "token-home");
    await mkdir(folder);
    await writeFile(join(folder, "token"), "hf_fromFile\n");
    await writeFile(join(folder, "other"), "hf_fromPath");
    const read = (variables: Record<string, string>) =>
      readHubSettings({ environment: { HF_HOME: folder, ...variables } });
    expect(await read({})).toEqual({
      endpoint: "https://huggingface.co",
      cacheFolder: join(folder, "hub"),
      token: "hf_fromFile",
      offline: false,
    });
    expect((await read({ HF_HUB_CACHE: "/x/y", HUGGINGFACE_HUB_CACHE: "/z" })).cacheFolder).toBe(
      "/x/y",
    );
    expect((await read({ HF_TOKEN: "hf_named" })).token).toBe("hf_named");
    expect((await read({ HF_TOKEN_PATH: join(folder, "other") })).token).toBe("hf_fromPath");
    expect((await read({ HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" })).token).toBeUndefined();
    expect((await read({ HF_ENDPOINT: "http://mirror.example/hf/" })).endpoint).toBe(
      "http://mirror.example/hf",
    );
    for (const value of ["1", "true", "YES", "on"])
      expect((await read({ HF_HUB_OFFLINE: value })).offline).toBe(true);
    for (const value of ["", "0", "false"])
      expect((await read({ HF_HUB_OFFLINE: value })).offline).toBe(false);
    expect((await readHubSettings({ environment: { XDG_CACHE_HOME: "/c" } })).cacheFolder).toBe(
      "/c/huggingface/hub",
    );
    expect(await codeOf(read({ HF_ENDPOINT: "ftp://x" }))).toBe("hub-endpoint-invalid");
    const spoilt = await errorOf(read({ HF_TOKEN: "hf_a\nInjected: header" }));
    expect(spoilt.code).toBe("hub-token-invalid");
    expect(spoilt.message).not.toContain("hf_a");
  });
});

test("a large file passes through at a good pace and whole", async () => {
  const body = randomBytes(16 * 1024 * 1024);
  hub.files = new Map([
    ["config.json", Buffer.from("{}")],
    ["model.safetensors", body],
  ]);
  const folder = await resolveTiny();
  expect((await readFile(join(folder, "model.safetensors"))).equals(body)).toBe(true);
});
