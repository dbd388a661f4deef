/**
 * What the published package holds, and why. Each file must match one line; each line must match files. Sizes are of
 * the files as packed.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { beforeAll, expect, test } from "vitest";
import { packOnce, repository } from "./packed-project.ts";

/** Part of the package, and what it is for. */
const parts: readonly (readonly [files: RegExp, reason: string])[] = [
  [/^(?:package\.json|README\.md|LICENSE)$/, "npm always packs them"],
  [/^dist\/onnxruntime\//, "the WebAssembly runtime: browsers, and Node without the native one"],
  [/^dist\/studio\//, "the page of `jeton studio`"],
  [/^reproductions\/[\w-]+\.json$/, "recorded results: `jeton systems --digest`"],
  [/^dist\/.*\.js$/, "the library and the command, reproductions included, with their comments"],
  [/^dist\/.*\.d\.ts$/, "its types"],
  [/^src\/.*README\.md$/, "each system's idea, example and measurement"],
  [/^models\/jeton-nano\//, "the bundled model, with its card and the list of its sources"],
  [
    /^models\/jeton-embed\//,
    "the bundled encoder, for `index`, `search` and `embed`, with its card and its sources",
  ],
  [/^models\/jeton-compressor\//, "a compressor for jeton-nano, for the page's packed texts"],
  [
    /^models\/jeton-hypernetwork\//,
    "hypernetworks for jeton-nano, for the page's new vocabularies",
  ],
  [/^models\/jeton-experts\//, "a small model with experts, for the page's routing"],
  [/^models\/jeton-landmark\//, "a small model with landmarks, for the page's pass keys"],
  [/^models\/jeton-lexinvariant\//, "two small models of letters, for the page"],
  [/^models\/jeton-mrt5\//, "a small encoder-decoder with a delete gate, for the page"],
  [/^models\/jeton-nano-draft\//, "its draft model, for `dyspec`, `draft-model` and `auto`"],
];

let packed: ReturnType<typeof packOnce>["packed"];
beforeAll(() => {
  packed = packOnce().packed;
}, 120_000);

test("every file of the package is there for a reason", () => {
  const unexplained = packed.files
    .map(({ path }) => path)
    .filter((path) => !parts.some(([files]) => files.test(path)));
  expect(unexplained).toEqual([]);
  for (const [files, reason] of parts) {
    expect(
      packed.files.some(({ path }) => files.test(path)),
      reason,
    ).toBe(true);
  }
});

test("no tests, no maps of sources, nothing but what the repository holds", () => {
  for (const { path } of packed.files) {
    expect(path).not.toMatch(/\.test\.|\/testing\/|\.map$|\.tgz$|node_modules/);
  }
});

test("every entry of package.json is packed, with its types", () => {
  const text = readFileSync(join(repository, "package.json"), "utf8");
  const { exports, bin } = JSON.parse(text) as {
    exports: Record<string, string | Record<string, string>>;
    bin: Record<string, string>;
  };
  const names = new Set(packed.files.map(({ path }) => `./${path}`));
  const entries = [...Object.values(exports), bin].flatMap((entry) =>
    typeof entry === "string" ? [entry] : Object.values(entry),
  );
  expect(entries.filter((entry) => !names.has(entry))).toEqual([]);
  expect(readdirSync(join(repository, "models")).length).toBe(9);
});

/** What came to the package beside the library, jeton-nano and its draft model. */
const additions: readonly RegExp[] = [
  // The runtime is there so that 450 MB of other builds are not installed beside the package.
  /^dist\/onnxruntime\//,
  /^dist\/studio\//,
  /^reproductions\//,
  /^models\/(?!jeton-nano(?:-draft)?\/)/,
];

test("the library with jeton-nano is smaller than 15 MB, all of the package than 31 MB", () => {
  const apart = packed.files
    .filter(({ path }) => additions.some((files) => files.test(path)))
    .map(({ path }) => gzipSync(readFileSync(join(repository, path))).length)
    .reduce((sum, size) => sum + size, 0);
  expect(packed.size - apart).toBeLessThan(15_000_000);
  expect(packed.size).toBeLessThan(31_000_000);
});
