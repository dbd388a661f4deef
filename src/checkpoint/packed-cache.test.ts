import { spawnSync } from "node:child_process";
import {
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { JetonError } from "../core/index.ts";
import { openPackedCache, type PackedCacheEntry, type PackedCacheOptions } from "./packed-cache.ts";
import { openSafetensors } from "./safetensors/safetensors.ts";
import { type TensorToWrite, writeSafetensors } from "./safetensors/write-safetensors.ts";

let root: string;
let folder: string;
let source: string;
let cases = 0;
beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "jeton-packed-")));
});
afterAll(() => rm(root, { recursive: true, force: true }));
beforeEach(async () => {
  const own = join(root, `case-${cases++}`);
  await mkdir(own);
  folder = join(own, "packed");
  source = join(own, "model.safetensors");
  await writeSafetensors(source, [
    { name: "w", dtype: "F32", shape: [2], data: Float32Array.of(1, 2) },
  ]);
});

const tensors = (value: number, count = 1000): TensorToWrite[] => [
  {
    name: "w.quantized",
    dtype: "U8",
    shape: [count],
    data: () => [new Uint8Array(count).fill(value)],
  },
];
const openEntry = (changes: Partial<PackedCacheOptions> = {}): Promise<PackedCacheEntry> =>
  openPackedCache({ files: [source], version: "1", key: "int8", folder, ...changes });
/** Writes the entry, which must be absent, and gives its path. */
async function writeEntry(
  value: number,
  changes: Partial<PackedCacheOptions> = {},
  count?: number,
): Promise<string> {
  const entry = await openEntry(changes);
  if (entry.state !== "absent") throw new Error("expected no entry");
  const { path, warning } = await entry.write(tensors(value, count));
  if (warning) throw warning;
  return path;
}
async function firstByte(path: string): Promise<number> {
  await using file = await openSafetensors(path);
  return Number((await file.read("w.quantized")).data[0]);
}

describe("an entry", () => {
  test("is absent, then written, then found", async () => {
    const path = await writeEntry(7);
    expect(await openEntry()).toEqual({ state: "found", path });
    expect(await firstByte(path)).toBe(7);
    await using file = await openSafetensors(path);
    expect(file.tensors.get("w.quantized")!.offset % 4096).toBe(0);
    expect(await readdir(folder)).toEqual([path.slice(folder.length + 1)]);
  });

  test("belongs to its files, version and key", async () => {
    const path = await writeEntry(1);
    expect((await openEntry({ version: "2" })).state).toBe("absent");
    expect((await openEntry({ key: "int4" })).state).toBe("absent");
    expect((await openEntry({ files: [source, source] })).state).toBe("absent");
    // The same file by another path, as in the hub's cache, is the same.
    const link = join(root, "link.safetensors");
    await symlink(source, link);
    expect(await openEntry({ files: [link] })).toEqual({ state: "found", path });
    await utimes(source, new Date(), new Date(Date.now() + 5000));
    expect((await openEntry()).state).toBe("absent");
    await unlink(source);
    await expect(openEntry()).rejects.toMatchObject({ code: "file-not-found" });
  });

  const harms: [string, (path: string) => Promise<void>][] = [
    ["is removed", (path) => unlink(path)],
    ["is cut off", async (path) => truncate(path, (await stat(path)).size - 1)],
    ["is emptied", (path) => truncate(path, 0)],
    ["is overwritten", (path) => writeFile(path, "rubbish")],
    [
      "has one byte of its data changed",
      async (path) => {
        const handle = await open(path, "r+");
        await handle.write(Buffer.from([99]), 0, 1, (await stat(path)).size - 5);
        await handle.close();
      },
    ],
    [
      "is another's",
      async (path) => {
        const other = await writeEntry(5, { key: "other" });
        await rename(other, path);
      },
    ],
    ["is a safetensors file from elsewhere", (path) => writeSafetensors(path, tensors(3))],
    [
      "is a folder",
      async (path) => {
        await unlink(path);
        await mkdir(path);
      },
    ],
  ];
  test.each(harms)("that %s is made anew", async (_, harm) => {
    const path = await writeEntry(1);
    await harm(path);
    const entry = await openEntry();
    if (entry.state !== "absent") throw new Error("expected no entry");
    if ((await stat(path).catch(() => undefined))?.isDirectory())
      await rm(path, { recursive: true });
    expect(await entry.write(tensors(2))).toEqual({ path });
    expect(await firstByte(path)).toBe(2);
    expect((await openEntry()).state).toBe("found");
  });

  test("may be read while it is replaced", async () => {
    const path = await writeEntry(1);
    await using reading = await openSafetensors(path);
    await unlink(path);
    await writeEntry(2);
    expect((await reading.read("w.quantized")).data[0]).toBe(1);
  });
});

describe("the limit", () => {
  test("removes what was used longest ago, and only that", async () => {
    const maxBytes = 100_000;
    const limited = (key: string): Partial<PackedCacheOptions> => ({ key, maxBytes });
    const paths: string[] = [];
    for (let i = 0; i < 3; i++) {
      paths.push(await writeEntry(i, limited(`k${i}`), 24_000));
      // Used in the order of writing, long ago.
      const { mtime } = await stat(paths[i]!);
      await utimes(paths[i]!, new Date(Date.now() - 1_000_000 + i * 1000), mtime);
    }
    expect((await openEntry(limited("k0"))).state).toBe("found"); // now the last used
    await writeFile(join(folder, "notes.txt"), "not an entry");
    await writeEntry(3, limited("k3"), 24_000);
    expect((await openEntry(limited("k0"))).state).toBe("found");
    expect((await openEntry(limited("k1"))).state).toBe("absent");
    expect((await openEntry(limited("k2"))).state).toBe("found");
    expect((await openEntry(limited("k3"))).state).toBe("found");
    await writeEntry(4, limited("k4"), 80_000);
    expect((await readdir(folder)).filter((name) => name !== "notes.txt")).toHaveLength(1);
    let total = 0;
    for (const name of await readdir(folder)) total += (await stat(join(folder, name))).size;
    expect(total).toBeLessThanOrEqual(maxBytes);
  });

  test("an entry larger than the limit is not written, and says so", async () => {
    const kept = await writeEntry(1, { key: "kept" });
    for (const maxBytes of [0, 50_000]) {
      const entry = await openEntry({ maxBytes });
      if (entry.state !== "absent") throw new Error("expected no entry");
      const { path, warning } = await entry.write(tensors(1, 60_000));
      expect(path).toBeUndefined();
      expect(warning?.details["reason"]).toBe("packed-cache-too-small");
    }
    expect(await firstByte(kept)).toBe(1);
  });

  test("abandoned temporary files go, fresh ones stay", async () => {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, ".old.1-2.tmp"), "");
    await utimes(join(folder, ".old.1-2.tmp"), 0, 0);
    await writeFile(join(folder, ".fresh.1-2.tmp"), "");
    await writeEntry(1);
    const left = await readdir(folder);
    expect(left).not.toContain(".old.1-2.tmp");
    expect(left).toContain(".fresh.1-2.tmp");
  });
});

describe("a cache that cannot be written", () => {
  test("gives a warning: the folder's path leads through a file", async () => {
    await writeFile(join(root, "a-file"), "");
    const entry = await openEntry({ folder: join(root, "a-file", "packed") });
    if (entry.state !== "absent") throw new Error("expected no entry");
    const { path, warning } = await entry.write(tensors(1));
    expect(path).toBeUndefined();
    expect(JetonError.isInstance(warning)).toBe(true);
    expect(warning?.code).toBe("packed-cache-unwritable");
  });

  test("gives a warning: a full disk, a read-only file system", (context) => {
    // A file system of one megabyte in a name space of its own.
    const script = `
      import { openPackedCache } from ${JSON.stringify(new URL("./packed-cache.ts", import.meta.url).href)};
      import { readdir } from "node:fs/promises";
      import { execFileSync } from "node:child_process";
      const options = { files: [${JSON.stringify(source)}], version: "1", folder: process.argv[1] };
      const tensors = (count) => [{ name: "w", dtype: "U8", shape: [count], data: () => [new Uint8Array(count)] }];
      const report = [];
      const attempt = async (key, count) => {
        const entry = await openPackedCache({ ...options, key });
        const result = entry.state === "found" ? entry : await entry.write(tensors(count));
        report.push([entry.state, result.path !== undefined, result.warning?.details.reason ?? ""]);
      };
      await attempt("small", 1000);
      await attempt("large", 2_000_000);
      report.push((await readdir(options.folder)).length);
      execFileSync("mount", ["-o", "remount,ro", options.folder]);
      await attempt("small", 1000);
      await attempt("other", 1000);
      console.log(JSON.stringify(report));`;
    const mount = join(root, "tiny-disk");
    const command = `mkdir -p "$1" && mount -t tmpfs -o size=1m none "$1" || exit 77; exec "$2" --import tsx --input-type=module -e "$3" -- "$1"`;
    const { status, stdout, stderr } = spawnSync(
      "unshare",
      ["-rm", "sh", "-c", command, "sh", mount, process.execPath, script],
      { encoding: "utf8", cwd: fileURLToPath(new URL("../..", import.meta.url)) },
    );
    if (status === 77 || status === null || /unshare/.test(stderr)) {
      console.info("skipped: no small file system can be mounted here");
      context.skip();
    }
    expect(stderr).toBe("");
    expect(JSON.parse(stdout)).toEqual([
      ["absent", true, ""],
      ["absent", false, "disk-full"],
      1,
      ["found", true, ""],
      ["absent", false, "file-system-read-only"],
    ]);
  });

  test("errors of the tensors themselves are thrown, also those of files they are read from", async () => {
    const entry = await openEntry();
    if (entry.state !== "absent") throw new Error("expected no entry");
    const failing = (error: unknown): TensorToWrite[] => [
      ...tensors(1),
      {
        name: "bad",
        dtype: "U8",
        shape: [1],
        data: () => {
          throw error;
        },
      },
    ];
    const closed = new JetonError("closed", { code: "file-closed" });
    await expect(entry.write(failing(closed))).rejects.toBe(closed);
    const plain = new Error("plain");
    await expect(entry.write(failing(plain))).rejects.toMatchObject({ message: "plain" });
    await expect(entry.write([...tensors(1), ...tensors(2)])).rejects.toMatchObject({
      code: "tensor-name-duplicate",
    });
    expect(await readdir(folder)).toEqual([]);
  });
});

test("the folder comes from JETON_CACHE", async () => {
  const environment = { JETON_CACHE: join(root, "from-environment") };
  const entry = await openPackedCache({ files: [source], version: "1", key: "k", environment });
  if (entry.state !== "absent") throw new Error("expected no entry");
  const { path } = await entry.write(tensors(1));
  expect(path?.startsWith(join(root, "from-environment", "packed"))).toBe(true);
  expect((await readFile(path!)).length).toBeGreaterThan(1000);
});
