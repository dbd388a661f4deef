/**
 * Records in other stores, by one suite: `node scripts/install-clients.mjs stores` installs the packages, and
 * `JETON_QDRANT=http://127.0.0.1:6333` names a Qdrant server.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { createRandom } from "../../src/core/index.ts";
import {
  createIndex,
  type Filter,
  openIndex,
  openLanceStore,
  openQdrantStore,
  type RecordStore,
  type RecordStoreOptions,
  type SearchIndex,
} from "../../src/retrieve/index.ts";
import { sampleRecords } from "../../src/retrieve/testing/sample-records.ts";
import { describeStore } from "../../src/retrieve/testing/store-conformance.ts";
import "../../src/testing/code-matchers.ts";
import { reportSkip } from "../../src/testing/test-data.ts";
import { startStandIn } from "./qdrant-stand-in.ts";

interface Packages {
  readonly lancedb: unknown;
  readonly arrow: unknown;
  readonly qdrant: unknown;
}

const isInstalled = existsSync(
  fileURLToPath(new URL("node_modules/@lancedb/lancedb", import.meta.url)),
);
const missing = isInstalled ? undefined : "needs node scripts/install-clients.mjs stores";
if (missing !== undefined) reportSkip(missing);
const url = process.env["JETON_QDRANT"];
const noServer = url ? missing : "needs JETON_QDRANT, the address of a Qdrant server";
if (!url) reportSkip(noServer!);

const load = (): Promise<Packages> =>
  import(new URL("packages.js", import.meta.url).href) as Promise<Packages>;

const folders: string[] = [];
async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "jeton-store-"));
  folders.push(folder);
  return folder;
}
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

function asStore(index: SearchIndex): RecordStore {
  return {
    rankings: ["bm25", "dense", "token", "sparse"],
    count: async () => index.size,
    put: (records) => index.put(records),
    delete: (ids) => index.delete(ids),
    search: (query) => index.search(query),
    close: () => index.close(),
  };
}

describeStore({
  name: "our own index, in a folder",
  isIndex: true,
  open: async () => asStore(await openIndex(await makeFolder(), { flushAt: 300 })),
});

describeStore({
  name: "LanceDB",
  skipped: missing,
  open: async (options) =>
    openLanceStore(await makeFolder(), { ...options, packages: await load() }),
});

const qdrantStore = async (address: string, options: RecordStoreOptions): Promise<RecordStore> => {
  const { qdrant } = await load();
  const collection = `jeton-${randomBytes(6).toString("hex")}`;
  return openQdrantStore({ ...options, url: address, collection, exact: true, qdrant });
};
const unsupported: readonly Filter[] = [
  { range: ["name", { gte: "it's 5" }] },
  { prefix: ["name", "it's 1"] },
  { prefix: ["tags", "t"] },
  { prefix: ["id", "r00"] },
];

describeStore({
  name: "Qdrant",
  skipped: noServer,
  unsupported,
  open: (options) => qdrantStore(url!, options),
});

const standIn = missing === undefined ? await startStandIn() : undefined;
afterAll(() => standIn?.close());

describeStore({
  name: "Qdrant's client and a stand-in for its server",
  skipped: missing,
  unsupported,
  open: (options) => qdrantStore(standIn!.url, options),
});

test.skipIf(missing !== undefined)("a collection of other vectors is refused", async () => {
  const { qdrant } = await load();
  const options = { url: standIn!.url, collection: "other", dense: 4, qdrant };
  await (await openQdrantStore(options)).close();
  await expect(openQdrantStore({ ...options, dense: 5 })).toRejectWithCode("store-option-invalid");
  await expect(openQdrantStore({ ...options, tokens: 8 })).toRejectWithCode("store-option-invalid");
});

describe.skipIf(missing !== undefined)("LanceDB", () => {
  const records = sampleRecords(400).map(({ sparse: _, ...record }) => record);

  test("a table that is opened again holds its records, and refuses other options", async () => {
    const folder = await makeFolder();
    const packages = await load();
    const options = { dense: 6, tokens: 8, fields: { part: "number" }, packages } as const;
    const first = await openLanceStore(folder, options);
    await first.put(records);
    await first.close();
    const second = await openLanceStore(folder, options);
    expect(await second.count()).toBe(400);
    await second.close();
    for (const other of [{ dense: 7 }, { tokens: 16 }, { fields: { page: "number" } as const }]) {
      await expect(openLanceStore(folder, { ...options, ...other })).toRejectWithCode(
        "store-option-invalid",
      );
    }
    await expect(openLanceStore(folder, { dense: 0, packages })).toRejectWithCode(
      "store-option-invalid",
    );
  });

  test("with an index over token vectors, exact scoring stays exact", async () => {
    const store = await openLanceStore(await makeFolder(), {
      dense: 6,
      tokens: 8,
      packages: await load(),
    });
    await store.put(records);
    await expect(store.indexTokens({ subVectors: 1 })).toRejectWithCode("store-option-invalid");
    await store.indexTokens({ partitions: 4, subVectors: 4 });
    const random = createRandom(3, "lance");
    const vectors = Float32Array.from({ length: 24 }, () => random.normal());
    const tokens = { dim: 8, vectors };
    const index = createIndex();
    await index.put(records);
    const query = { tokens, tokenSearch: { scoring: "exact" } } as const;
    const exact = (await index.search(query)).map(({ id }) => id);
    expect((await store.search(query)).map(({ id }) => id)).toEqual(exact);
    const quick = await store.search({ tokens, tokenSearch: { probes: 4, refine: 100 } });
    expect(quick.filter(({ id }) => exact.includes(id)).length).toBeGreaterThan(4);
    await store.close();
  });
});

test("a package that is not there is named", async () => {
  await expect(openQdrantStore({ url: "http://127.0.0.1:1", collection: "x" })).toRejectWithCode(
    "store-packages-missing",
  );
});
