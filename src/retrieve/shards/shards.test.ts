import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import "../../testing/code-matchers.ts";
import {
  connectTransport,
  findNatsServer,
  type NatsServer,
  startNatsServer,
  type Transport,
} from "../../transport/index.ts";
import { createIndex, type IndexSettings, openIndex, type SearchIndex } from "../open-index.ts";
import { sampleQueries, sampleQuery, sampleRecords } from "../testing/sample-records.ts";
import type { IndexRecord, SearchQuery } from "../types.ts";
import { connectShards } from "./connect-shards.ts";
import { decodeQuery, encodeQuery, subjects } from "./protocol.ts";
import { type ServeShardOptions, type ShardService, serveShard } from "./serve-shard.ts";

test("a query crosses as it is, ids of 32 bits too", () => {
  for (const query of [
    ...sampleQueries(),
    { sparse: { ids: Uint32Array.of(1, 2 ** 32 - 1), weights: Float32Array.of(1, 0.25) }, k: 3 },
  ]) {
    expect(decodeQuery(encodeQuery(query))).toEqual(query);
  }
});

const found = await findNatsServer();

async function fill(
  records: readonly IndexRecord[],
  settings: IndexSettings = {},
): Promise<SearchIndex> {
  const index = createIndex(settings);
  await index.put(records);
  return index;
}

/** Every third record in each. */
const divide = (records: readonly IndexRecord[], shards = 3): IndexRecord[][] =>
  Array.from({ length: shards }, (_, shard) => records.filter((_, i) => i % shards === shard));

// Skipped, and shown as skipped, where nats-server is not installed.
describe.skipIf(found === undefined)("shards on NATS", () => {
  const records = sampleRecords(120);
  let server: NatsServer;
  let client: Transport;
  beforeAll(async () => {
    server = await startNatsServer();
    client = await connectTransport(server);
  });
  afterAll(async () => {
    await client?.close();
    await server?.close();
  });
  const opened: Transport[] = [];
  afterEach(async () => {
    for (const transport of opened.splice(0)) await transport.close();
  });

  /** A replica with a connection of its own. */
  async function serve(
    index: SearchIndex,
    options: ServeShardOptions,
  ): Promise<{ service: ShardService; transport: Transport }> {
    const transport = await connectTransport(server);
    opened.push(transport);
    const service = serveShard(transport, index, options);
    await transport.flush();
    return { service, transport };
  }

  async function serveAll(name: string, parts: readonly (readonly IndexRecord[])[]) {
    return Promise.all(
      parts.map(async (part, i) =>
        serve(await fill(part), { name, shard: i + 1, shards: parts.length }),
      ),
    );
  }

  test("by hand: how rare a word is counts over all shards", async () => {
    const castle = { id: "a", text: "king castle" };
    const horse = { id: "b", text: "king horse" };
    const river = { id: "c", text: "river stone" };
    await serveAll("hand", [[castle], [horse, river]]);
    const index = await connectShards(client, { name: "hand" });
    const { hits, records: searched, lost } = await index.search({ text: "king horse" });
    expect(lost).toEqual([]);
    expect(searched).toBe(3);
    // "king" is in two of three records, "horse" in one; all have two terms, the mean.
    const weight = (holding: number) => Math.log(1 + (3 - holding + 0.5) / (holding + 0.5));
    const part = 1 / (1 + 1.2);
    expect(hits.map(({ id }) => id)).toEqual(["b", "a"]);
    expect(hits[0]!.score).toBeCloseTo(part * (weight(2) + weight(1)), 10);
    expect(hits[1]!.score).toBeCloseTo(part * weight(2), 10);
  });

  test("every query is answered as by one index, to the bit, with explanations", async () => {
    await serveAll("same", divide(records));
    const whole = await fill(records);
    const index = await connectShards(client, { name: "same" });
    expect(index.shards).toBe(3);
    for (const query of sampleQueries()) {
      for (const one of [query, { ...query, explain: true, k: 25 }]) {
        const answer = await index.search(one);
        expect(answer).toEqual({ hits: await whole.search(one), records: 120, lost: [] });
      }
    }
    expect((await index.search({ text: "zebra" })).hits).toEqual([]);
  });

  test("answers larger than a message come in parts", async () => {
    await using small = await startNatsServer({ maxPayload: 16_384 });
    const texts = Array.from({ length: 8 }, (_, i) => ({
      id: `t${i}`,
      text: `king ${"stone wall ".repeat(2000)}${i}`,
    }));
    const own = await connectTransport(small);
    const other = await connectTransport(small);
    const service = serveShard(own, await fill(texts), { name: "large" });
    await own.flush();
    const index = await connectShards(other, { name: "large" });
    const { hits } = await index.search({ text: "king" });
    expect(hits).toEqual(await (await fill(texts)).search({ text: "king" }));
    expect(service.answered).toBe(1);
    await own.close();
    await other.close();
  });

  test("replicas share the searches; one that ends is replaced, before and in the middle of a search", async () => {
    const [first, second] = divide(records, 2);
    const [lost, kept] = [await fill(first!), await fill(first!)];
    const a = await serve(lost, { name: "replicas", shard: 1, shards: 2 });
    const b = await serve(kept, { name: "replicas", shard: 1, shards: 2 });
    await serve(await fill(second!), { name: "replicas", shard: 2, shards: 2 });
    const index = await connectShards(client, { name: "replicas" });
    const query: SearchQuery = { ...sampleQuery(), k: 20 };
    const expected = { hits: await (await fill(records)).search(query), records: 120, lost: [] };
    for (let i = 0; i < 40; i++) expect(await index.search(query)).toEqual(expected);
    expect(a.service.answered).toBeGreaterThan(0);
    expect(a.service.answered + b.service.answered).toBe(40);
    // Each search that the first replica has begun ends in the middle: it forgets what it began.
    const search = index.search(query);
    const forget = setInterval(() => void a.service.close(), 0);
    expect(await search).toEqual(expected);
    clearInterval(forget);
    await a.transport.close();
    for (let i = 0; i < 5; i++) expect(await index.search(query)).toEqual(expected);
  });

  test("a replica that begins a search and is gone gives way to another one", async () => {
    const name = "gone";
    const transport = await connectTransport(server);
    opened.push(transport);
    // It takes the first search, and only that: its address for further steps does not exist.
    let begun = 0;
    const stops: (() => void)[] = [];
    const vanishing: Transport = {
      ...transport,
      respond(subject, handler, options) {
        if (subject.includes(".replica.")) return () => {};
        const stop = transport.respond(
          subject,
          (message) => {
            if (subject.endsWith(".any")) {
              begun++;
              for (const one of stops) one();
            }
            return handler(message);
          },
          options,
        );
        stops.push(stop);
        return stop;
      },
    };
    serveShard(vanishing, await fill(records), { name });
    await serve(await fill(records), { name });
    const index = await connectShards(client, { name });
    const expected = await (await fill(records)).search({ text: "king" });
    while (begun === 0) {
      // The step after the first finds nothing; the search begins anew with the other replica.
      expect(await index.search({ text: "king" })).toEqual({
        hits: expected,
        records: 120,
        lost: [],
      });
    }
  });

  test("a lost shard is named, and the others answer as one index", async () => {
    const parts = divide(records);
    const served = await serveAll("lost", parts);
    const index = await connectShards(client, { name: "lost" });
    await served[1]!.transport.close();
    const rest = await fill([...parts[0]!, ...parts[2]!]);
    for (const query of sampleQueries()) {
      const { hits, records: searched, lost } = await index.search(query);
      expect(lost).toEqual([
        { shard: 2, code: "transport-no-responder", reason: expect.stringContaining("2") },
      ]);
      expect(searched).toBe(80);
      expect(hits).toEqual(await rest.search(query));
    }
    for (const { transport } of served) await transport.close();
    await expect(index.search({ text: "king" })).toRejectWithCode("index-shards-lost");
  });

  test("a replica that hangs costs the deadline: another one answers, or the shard is lost", async () => {
    const name = "hanging";
    const hanging = await connectTransport(server);
    opened.push(hanging);
    let asked = 0;
    const hang = (): Promise<never> => {
      asked++;
      return new Promise(() => {});
    };
    hanging.respond(subjects.any(name, 1), hang, { queue: "replicas" });
    hanging.respond(subjects.all(name, 1), hang);
    await hanging.flush();
    const [first, second] = divide(records, 2);
    const replica = await serve(await fill(first!), { name, shard: 1, shards: 2 });
    await serve(await fill(second!), { name, shard: 2, shards: 2 });
    const index = await connectShards(client, { name, deadline: 0.15 });
    const query = { text: "king" };
    const expected = await (await fill(records)).search(query);
    while (asked < 3)
      expect(await index.search(query)).toEqual({ hits: expected, records: 120, lost: [] });
    await replica.transport.close();
    const { lost, hits } = await index.search(query);
    expect(lost.map(({ shard, code }) => [shard, code])).toEqual([[1, "transport-deadline"]]);
    expect(hits).toEqual(await (await fill(second!)).search(query));
  });

  test("64 searches while another process's index grows, is flushed and merged", async () => {
    const folder = await mkdtemp(join(tmpdir(), "jeton-shard-"));
    const live = await openIndex(folder, { flushAt: 10, invertFrom: 60 });
    await live.put(records.slice(0, 20));
    await serve(live, { name: "growing" });
    const index = await connectShards(client, { name: "growing" });
    const query: SearchQuery = { ...sampleQuery(), k: 30, explain: true };
    const searches: ReturnType<typeof index.search>[] = [];
    for (let i = 0; i < 64; i++) {
      searches.push(index.search(query));
      await live.put(records.slice(20 + i, 21 + i));
      await live.delete([records[i % 20]!.id]);
    }
    for (const { hits, lost } of await Promise.all(searches)) {
      expect(lost).toEqual([]);
      expect(new Set(hits.map(({ id }) => id)).size).toBe(hits.length);
      for (const { text, id } of hits) {
        expect(text).toBe(records.find((record) => record.id === id)!.text);
      }
    }
    expect((await index.search(query)).hits).toEqual(await live.search(query));
    await live.close();
    await rm(folder, { recursive: true });
  });

  test("another index takes the place of the first; searches that began end with theirs", async () => {
    const [old, fresh] = [await fill(records.slice(0, 60)), await fill(records)];
    const { service } = await serve(old, { name: "replaced" });
    const index = await connectShards(client, { name: "replaced" });
    const searches = Array.from({ length: 10 }, () => index.search({ text: "king" }));
    await service.replace(fresh);
    await old.close();
    const expected = [
      {
        hits: await (await fill(records.slice(0, 60))).search({ text: "king" }),
        records: 60,
        lost: [],
      },
      { hits: await fresh.search({ text: "king" }), records: 120, lost: [] },
    ];
    for (const answer of await Promise.all(searches)) expect(expected).toContainEqual(answer);
    expect(await index.search({ text: "king" })).toEqual(expected[1]);
  });

  test("what cannot be is rejected", async () => {
    await expect(connectShards(client, { name: "none" })).toRejectWithCode("index-shards-lost");
    await expect(connectShards(client, { name: "a.b" })).toRejectWithCode("shard-option-invalid");
    for (const options of [{ deadline: 1e9 }, { deadline: 0 }, { timeout: 3 }]) {
      await expect(connectShards(client, { name: "a", ...options })).toRejectWithCode(
        "shard-option-invalid",
      );
    }
    const empty = createIndex();
    for (const options of [
      { name: "" },
      { name: "a", shard: 2 },
      { name: "a", shard: 0, shards: 2 },
      { name: "a", shards: 1.5 },
      { name: "a", patience: 0 },
      { name: "a", replicas: 2 },
    ]) {
      expect(() => serveShard(client, empty, options)).toThrowCode("shard-option-invalid");
    }
    const name = "wrong";
    await serve(await fill(records.slice(0, 10)), { name, shard: 1, shards: 2 });
    await serve(await fill(records.slice(5, 15)), { name, shard: 2, shards: 2 });
    const index = await connectShards(client, { name });
    await expect(index.search({ text: "king queen castle", k: 100 })).toRejectWithCode(
      "index-shards-overlap",
    );
    await expect(index.search({ text: "a", k: 0 })).toRejectWithCode("search-query-invalid");
    await expect(index.search({ text: "a", filter: { eq: ["a"] } as never })).toRejectWithCode(
      "filter-invalid",
    );
    await expect(index.search({ text: "a" }, { signal: AbortSignal.abort("over") })).rejects.toBe(
      "over",
    );
    await serve(await fill([], { bm25: { variant: "plus" } }), { name: "mixed", shards: 2 });
    await serve(await fill([]), { name: "mixed", shard: 2, shards: 2 });
    const mixed = await connectShards(client, { name: "mixed" });
    await expect(mixed.search({ text: "a" })).toRejectWithCode("index-shards-differ");
  });
});
