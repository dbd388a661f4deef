import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { afterAll, describe, expect, test } from "vitest";
import { createRandom } from "../core/index.ts";
import "../testing/code-matchers.ts";
import { openIndex, type SearchIndex } from "./open-index.ts";
import { changeOf, stateAfter } from "./testing/steps.ts";

/** `JETON_INDEX_KILLS=200 npx vitest run src/retrieve/killed-index.test.ts` for a long run. */
const kills = Number(process.env["JETON_INDEX_KILLS"] ?? 10);

const root = mkdtempSync(join(tmpdir(), "jeton-killed-"));
afterAll(() => rmSync(root, { recursive: true }));

const script = fileURLToPath(
  new URL("../../node_modules/.cache/jeton/index-until-killed.mjs", import.meta.url),
);

/** Starts the script, kills it some milliseconds after some steps, and gives the last acknowledged step. */
async function runAndKill(
  folder: string,
  first: number,
  steps: number,
  wait: number,
): Promise<number> {
  const child = spawn(process.execPath, [script, folder, String(first)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  let output = "";
  let last = first - 1;
  const enough = new Promise<void>((resolve) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      const done = [...output.matchAll(/^done (\d+)\n/gm)];
      last = Number(done.at(-1)?.[1] ?? last);
      if (done.length >= steps) resolve();
    });
  });
  await Promise.race([enough, exited]);
  await sleep(wait);
  child.kill("SIGKILL");
  const [, signal] = (await exited) as [number | null, string | null];
  expect(signal).toBe("SIGKILL");
  return last;
}

/** Every acknowledged record is found, once, as it was last put; one more step may have begun. */
async function check(index: SearchIndex, last: number): Promise<void> {
  const state = stateAfter(last);
  const unsure = new Set(
    [changeOf(last + 1)].flatMap(({ put, remove }) => [...put.map(({ id }) => id), ...remove]),
  );
  const found = new Set(index.ids());
  for (const [id, text] of state) {
    if (unsure.has(id)) continue;
    expect(index.get(id)?.text, id).toBe(text);
    const hits = await index.search({ text: text.split(" ")[0]! });
    expect(hits.map((hit) => hit.id)).toEqual([id]);
    found.delete(id);
  }
  expect([...found].filter((id) => !unsure.has(id))).toEqual([]);
}

describe("a process that is killed while it indexes", { timeout: 60_000 + 5_000 * kills }, () => {
  test(`${kills} times at random moments: nothing acknowledged is lost, nothing is there twice`, async () => {
    buildSync({
      entryPoints: [fileURLToPath(new URL("./testing/index-until-killed.ts", import.meta.url))],
      outfile: script,
      bundle: true,
      platform: "node",
      format: "esm",
      packages: "external",
    });
    const folder = join(root, "index");
    const random = createRandom(Date.now());
    let last = -1;
    for (let kill = 0; kill < kills; kill++) {
      // The lock of a killed process is stale at once: its process is gone.
      last = await runAndKill(folder, last + 1, 1 + random.integer(20), random.integer(12));
      const reader = await openIndex(folder, { readOnly: true });
      if (kill % 5 === 0 || kill === kills - 1) await check(reader, last);
      expect(reader.size).toBeGreaterThan(last);
      await reader.close();
    }
    const index = await openIndex(folder);
    await check(index, last);
    await index.merge();
    await check(index, last);
    await index.close();
    const names = readdirSync(folder);
    expect(names.filter((name) => /tmp|lock/.test(name))).toEqual([]);
    expect(names.filter((name) => name.startsWith("segment-"))).toHaveLength(1);
  });

  test("cut at any byte, the log opens with every whole change", async () => {
    const folder = join(root, "cut");
    const index = await openIndex(folder);
    const ends = [0];
    const log = () => join(folder, readdirSync(folder).find((name) => name.startsWith("log-"))!);
    for (let step = 0; step < 3; step++) {
      await index.put(changeOf(step).put);
      ends.push(readFileSync(log()).length);
    }
    const whole = readFileSync(log());
    for (let bytes = 0; bytes <= whole.length; bytes += 37) {
      writeFileSync(log(), whole.subarray(0, bytes));
      const reader = await openIndex(folder, { readOnly: true });
      expect(reader.size).toBe(2 * (ends.filter((end) => end <= bytes).length - 1));
      await reader.close();
    }
    // Damage before the last change is no torn write.
    const damaged = Buffer.from(whole);
    damaged[20]! ^= 1;
    writeFileSync(log(), damaged);
    await expect(openIndex(folder, { readOnly: true })).toRejectWithCode("index-log-damaged");
    writeFileSync(log(), whole);
    appendFileSync(log(), new Uint8Array(100));
    const reader = await openIndex(folder, { readOnly: true });
    expect(reader.size).toBe(6);
    await reader.close();
    await index.close();
  });

  test("damage of a length, and a hole of zeros, is told from a torn write", async () => {
    const folder = join(root, "lengths");
    const index = await openIndex(folder);
    const log = () => join(folder, readdirSync(folder).find((name) => name.startsWith("log-"))!);
    await index.put(changeOf(0).put);
    const first = readFileSync(log()).length;
    await index.put(changeOf(1).put);
    const whole = readFileSync(log());
    await index.put(changeOf(2).put);
    const last = readFileSync(log());
    const long = Buffer.from(last);
    long[2]! ^= 0xff;
    const hole = Buffer.from(last).fill(0, first, whole.length);
    const begun = Buffer.from(last).fill(0, first, first + 8);
    for (const damaged of [long, hole, begun]) {
      writeFileSync(log(), damaged);
      await expect(openIndex(folder, { readOnly: true })).toRejectWithCode("index-log-damaged");
    }
    writeFileSync(log(), last);
    await index.close();
  });

  test("a damaged manifest is named; one of version 1 without a checksum opens", async () => {
    const folder = join(root, "manifest");
    const index = await openIndex(folder);
    await index.put(changeOf(0).put);
    await index.delete([changeOf(0).put[0]!.id]);
    await index.close();
    const path = join(folder, "manifest.json");
    const manifest = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
    const { settings } = manifest as { settings: object };
    const changed = [
      { ...manifest, segments: [] },
      { ...manifest, settings: { ...settings, invertFrom: 1 } },
      { ...manifest, crc: undefined },
    ];
    for (const wrong of changed) {
      writeFileSync(path, JSON.stringify(wrong));
      await expect(openIndex(folder)).toRejectWithCode("index-invalid");
      expect(readdirSync(folder).filter((name) => name.startsWith("segment-"))).toHaveLength(1);
    }
    writeFileSync(path, JSON.stringify({ ...manifest, version: 1, crc: undefined }));
    const old = await openIndex(folder);
    expect(old.size).toBe(changeOf(0).put.length - 1);
    await old.close();
  });

  test("a damaged text is named when it is read", async () => {
    const folder = join(root, "text");
    const index = await openIndex(folder);
    await index.put([{ id: "a", text: "an unusual text" }]);
    await index.close();
    const path = join(folder, readdirSync(folder).find((name) => name.startsWith("segment-"))!);
    const bytes = readFileSync(path);
    bytes[bytes.indexOf("an unusual text")]! ^= 1;
    writeFileSync(path, bytes);
    const reader = await openIndex(folder, { readOnly: true });
    expect(() => reader.get("a")).toThrowCode("segment-invalid");
    await expect(reader.search({ text: "unusual" })).toRejectWithCode("segment-invalid");
    await reader.close();
  });

  test("a damaged segment is named, not searched", async () => {
    const folder = join(root, "damaged");
    const index = await openIndex(folder);
    await index.put(changeOf(0).put);
    await index.close();
    const path = join(folder, readdirSync(folder).find((name) => name.startsWith("segment-"))!);
    const whole = readFileSync(path);
    for (const at of [0, 12, 40, whole.length - 30]) {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= 0x55;
      writeFileSync(path, damaged);
      await expect(openIndex(folder, { readOnly: true })).toRejectWithCode("segment-invalid");
    }
    writeFileSync(path, whole.subarray(0, whole.length - 200));
    await expect(openIndex(folder, { readOnly: true })).toRejectWithCode("segment-invalid");
  });
});
