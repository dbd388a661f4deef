import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Drafter } from "./drafter.ts";
import { loadDrafter, saveDrafter } from "./drafter-file.ts";
import { openState, sealState } from "./drafter-state.ts";

/** Learns one list of numbers. */
function listDrafter(values: number[]): Drafter & { values: number[] } {
  const about = { kind: "list", key: "test" };
  return {
    values,
    name: "list",
    candidates: 0,
    begin: () => ({ propose: () => ({ ids: [], parents: [] }), observe() {}, end() {} }),
    save() {
      return sealState({ ...about, fields: {}, body: Int32Array.from(this.values) });
    },
    load(bytes) {
      this.values = Array.from(openState(bytes, about).body);
    },
    close() {},
  };
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "jeton-drafter-file-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("the state of a drafter in a file", () => {
  test("another drafter loads it; no other file is left in the folder", async () => {
    const path = join(folder, "deep", "list.state");
    const fresh = listDrafter([]);
    expect(await loadDrafter(fresh, path)).toBe(false);
    await saveDrafter(listDrafter([1]), path);
    await saveDrafter(listDrafter([4, 5]), path);
    expect(await loadDrafter(fresh, path)).toBe(true);
    expect(fresh.values).toEqual([4, 5]);
    expect(await readdir(join(folder, "deep"))).toEqual(["list.state"]);
  });

  test("a half-written file is rejected, and the drafter stays as it was", async () => {
    const path = join(folder, "list.state");
    await saveDrafter(listDrafter([1, 2, 3]), path);
    const whole = await readFile(path);
    await writeFile(path, whole.subarray(0, whole.length - 8));
    const fresh = listDrafter([7]);
    await expect(loadDrafter(fresh, path)).rejects.toMatchObject({ code: "drafter-state-damaged" });
    expect(fresh.values).toEqual([7]);
  });

  test("failures of reading and writing are reported", async () => {
    await mkdir(join(folder, "list.state"));
    const path = join(folder, "list.state");
    await expect(loadDrafter(listDrafter([]), path)).rejects.toMatchObject({
      code: "file-is-folder",
    });
    const forgetful: Drafter = {
      name: "forgetful",
      candidates: 0,
      begin: () => ({ propose: () => ({ ids: [], parents: [] }), observe() {}, end() {} }),
      close() {},
    };
    await expect(saveDrafter(forgetful, path)).rejects.toMatchObject({
      code: "drafter-remembers-nothing",
    });
  });
});
