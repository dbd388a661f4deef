/** Records in a Qdrant collection, through its official client. */
import { createHash } from "node:crypto";
import { JetonError } from "../../core/index.ts";
import type { Filter } from "../filter.ts";
import type { RankedRecord, RankingName } from "../fusion.ts";
import type { FieldValue, IndexRecord, SearchQuery } from "../types.ts";
import { toQdrantFilter } from "./qdrant-filter.ts";
import {
  checkStoreOptions,
  cutRows,
  loadPackage,
  prepareRecords,
  queryRows,
  type RecordStore,
  type RecordStoreOptions,
  type StoredRecord,
  searchStore,
  vectorRankings,
} from "./record-store.ts";

/** Options of `openQdrantStore`. */
export interface OpenQdrantStoreOptions extends RecordStoreOptions {
  /** Address of the server, e.g. `"http://127.0.0.1:6333"`. */
  readonly url: string;
  /** The server's API key. Default: none. */
  readonly apiKey?: string;
  /** Name of the collection; it is made where it does not exist. */
  readonly collection: string;
  /** True: dense vectors are compared with those of all records; false (default): through Qdrant's graph, approximately. */
  readonly exact?: boolean;
  /** The package `@qdrant/js-client-rest`, where it cannot be imported by its name. */
  readonly qdrant?: unknown;
}

type Vector = readonly number[];

interface Point {
  readonly id: string;
  readonly vector: Readonly<Record<string, unknown>>;
  readonly payload: Payload;
}

interface Payload {
  readonly id: string;
  readonly text: string;
  readonly fields: Readonly<Record<string, FieldValue>>;
  /** Names of the fields: an empty list counts as a field that is there. */
  readonly has: readonly string[];
  readonly spans?: readonly number[];
}

interface VectorParameters {
  readonly size: number;
}

/** What is used of the client. */
interface Client {
  collectionExists(name: string): Promise<{ readonly exists: boolean }>;
  getCollection(name: string): Promise<{
    readonly config: {
      readonly params: { readonly vectors?: Readonly<Record<string, VectorParameters>> };
    };
  }>;
  createCollection(name: string, options: object): Promise<unknown>;
  upsert(name: string, options: { wait: boolean; points: readonly Point[] }): Promise<unknown>;
  delete(name: string, options: { wait: boolean; points: readonly string[] }): Promise<unknown>;
  count(name: string, options: { exact: boolean }): Promise<{ readonly count: number }>;
  retrieve(
    name: string,
    options: { ids: readonly string[]; with_payload: boolean; with_vector: boolean | string[] },
  ): Promise<
    readonly {
      readonly payload?: Payload | null;
      readonly vector?: Readonly<Record<string, unknown>> | null;
    }[]
  >;
  query(
    name: string,
    options: object,
  ): Promise<{
    readonly points: readonly { readonly score: number; readonly payload?: unknown }[];
  }>;
}

/** Records of one request at most. */
const batchSize = 64;

/**
 * Opens a collection. Dense vectors are searched through Qdrant's graph unless `exact` is set; token vectors by `max_sim` over all records that a
 * filter leaves (their graph is switched off, as Qdrant advises), so that scoring is exact with every `tokenSearch`.
 * Words (BM25) do not rank here. Ranges of texts and prefixes cannot be filtered by.
 *
 * @throws JetonError `store-packages-missing`, `store-option-invalid`, and the client's errors
 */
export async function openQdrantStore(options: OpenQdrantStoreOptions): Promise<RecordStore> {
  checkStoreOptions(options);
  const { url, apiKey, collection, dense, tokens } = options;
  const { QdrantClient } = (options.qdrant ??
    (await loadPackage("@qdrant/js-client-rest", "@qdrant/js-client-rest@1.18.0"))) as {
    QdrantClient: new (settings: object) => Client;
  };
  const client = new QdrantClient({ url, ...(apiKey !== undefined && { apiKey }) });
  const { exists } = await client.collectionExists(collection);
  if (exists) await checkCollection(client, options);
  else {
    await client.createCollection(collection, {
      vectors: {
        ...(dense && { dense: { size: dense, distance: "Dot" } }),
        ...(tokens && {
          tokens: {
            size: tokens,
            distance: "Dot",
            multivector_config: { comparator: "max_sim" },
            hnsw_config: { m: 0 },
          },
        }),
      },
      sparse_vectors: { sparse: {} },
    });
  }
  return makeStore(client, options);
}

async function checkCollection(
  client: Client,
  { collection, dense, tokens }: OpenQdrantStoreOptions,
): Promise<void> {
  const { config } = await client.getCollection(collection);
  for (const [name, expected] of Object.entries({ dense, tokens })) {
    const found = config.params.vectors?.[name]?.size;
    if (found === expected) continue;
    throw new JetonError(
      `the collection ${collection} has ${name} vectors of ${found ?? "no"} numbers, not ${expected ?? "none"}`,
      { code: "store-option-invalid", details: { option: name, found, expected } },
    );
  }
}

function makeStore(client: Client, options: OpenQdrantStoreOptions): RecordStore {
  const { collection, tokens } = options;
  const rankings: readonly RankingName[] = [...vectorRankings(options), "sparse"];
  const read = async (ids: readonly string[], withTokens: boolean): Promise<StoredRecord[]> => {
    if (ids.length === 0) return [];
    const points = await client.retrieve(collection, {
      ids: ids.map(pointId),
      with_payload: true,
      with_vector: withTokens ? ["tokens"] : false,
    });
    return points.map(({ payload, vector }) => {
      const { id, text, fields, spans } = payload!;
      const rows = vector?.["tokens"] as readonly Vector[] | undefined;
      return {
        id,
        text,
        fields,
        ...(rows && {
          tokens: {
            dim: tokens!,
            vectors: Float32Array.from(rows.flat()),
            spans: Uint32Array.from(spans ?? []),
          },
        }),
      };
    });
  };
  return {
    rankings,
    count: async () => (await client.count(collection, { exact: true })).count,
    async put(records) {
      const points = prepareRecords(records, options).map(toPoint);
      for (let at = 0; at < points.length; at += batchSize) {
        const some = points.slice(at, at + batchSize);
        await client.upsert(collection, { wait: true, points: some });
      }
    },
    async delete(ids) {
      const known = await read([...new Set(ids)], false);
      if (known.length === 0) return 0;
      const points = known.map(({ id }) => pointId(id));
      await client.delete(collection, { wait: true, points });
      return known.length;
    },
    search: (query) =>
      searchStore(query, options, rankings, {
        rank: (name, depth) => rank(client, options, query, name, depth),
        read,
      }),
    close: async () => {},
  };
}

async function rank(
  client: Client,
  { collection, fields = {}, exact = false }: OpenQdrantStoreOptions,
  query: SearchQuery,
  name: RankingName,
  depth: number,
): Promise<RankedRecord[]> {
  const { vector, count } = vectorOf(query, name);
  const { points } = await client.query(collection, {
    query: vector,
    using: name === "token" ? "tokens" : name,
    limit: depth,
    with_payload: ["id"],
    ...((exact || name === "token") && { params: { exact: true } }),
    ...(query.filter && { filter: toQdrantFilter(query.filter as Filter, fields) }),
  });
  // max_sim is a sum over the query's tokens.
  return points.map(({ score, payload }) => ({
    id: (payload as Pick<Payload, "id">).id,
    score: score / count,
  }));
}

function vectorOf(query: SearchQuery, name: RankingName): { vector: unknown; count: number } {
  if (name === "sparse") {
    const { ids, weights } = query.sparse!;
    return { vector: { indices: [...ids], values: [...weights] }, count: 1 };
  }
  const isTokens = name === "token";
  const rows = queryRows(query, isTokens ? "token" : "dense").map((row) => [...row]);
  return { vector: isTokens ? rows : rows[0]!, count: rows.length };
}

function toPoint({ id, text, fields = {}, dense, tokens, sparse }: IndexRecord): Point {
  const hasTokens = tokens !== undefined && tokens.vectors.length > 0;
  const hasSparse = sparse !== undefined && sparse.ids.length > 0;
  return {
    id: pointId(id),
    vector: {
      ...(dense && { dense: [...dense] }),
      // A list of vectors cannot be empty.
      ...(hasTokens && {
        tokens: cutRows(tokens.vectors, tokens.dim).map((row) => [...row]),
      }),
      ...(hasSparse && { sparse: { indices: [...sparse.ids], values: [...sparse.weights] } }),
    },
    payload: {
      id,
      text,
      fields,
      has: Object.keys(fields),
      ...(hasTokens && { spans: [...tokens.spans!] }),
    },
  };
}

/** Points are named by UUIDs: one of version 5's form, from the id's SHA-1. */
function pointId(id: string): string {
  const hex = createHash("sha1").update(id).digest("hex");
  const variant = ((Number.parseInt(hex[16]!, 16) & 3) | 8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
