/** Records in an embedded LanceDB table: files in a folder, or on an object store. */
import { JetonError } from "../../core/index.ts";
import type { RankedRecord, RankingName } from "../fusion.ts";
import type { FieldValue, IndexRecord, SearchQuery } from "../types.ts";
import type {
  ArrowPackage,
  LanceConnection,
  LancePackage,
  LanceRow,
  LanceTable,
} from "./lance-package.ts";
import {
  checkStoreOptions,
  cutRows,
  type FieldKind,
  invalidOption,
  loadPackage,
  prepareRecords,
  queryRows,
  type RecordStore,
  type RecordStoreOptions,
  type StoredRecord,
  searchStore,
  vectorRankings,
} from "./record-store.ts";
import { columnOf, joinTexts, literal, toSql } from "./sql-filter.ts";

/** Options of `openLanceStore`. */
export interface OpenLanceStoreOptions extends RecordStoreOptions {
  /** Name of the table; it is made where it does not exist. Default `"records"`. */
  readonly table?: string;
  /** The packages `@lancedb/lancedb` and `apache-arrow`, where they cannot be imported by their names. */
  readonly packages?: { readonly lancedb: unknown; readonly arrow: unknown };
}

/** Options of an index over token vectors (IVF-PQ). */
export interface LanceTokenIndexOptions {
  /** Default: LanceDB's. */
  readonly partitions?: number;
  /** Parts that a vector is quantized in, which divide its length. At least 2: one alone ranks by ties. Default a sixteenth of the length. */
  readonly subVectors?: number;
}

/** A store in a LanceDB table. */
export interface LanceStore extends RecordStore {
  /**
   * Makes an index over the token vectors that are there. Searches use it from then on unless their scoring is `"exact"`;
   * `probes` of the query says how many partitions they look into, and `refine` scores more records again.
   */
  indexTokens(options?: LanceTokenIndexOptions): Promise<void>;
}

/**
 * Opens a table. Token vectors are scored by the sum of the best products (MaxSim), over all records until
 * `indexTokens` is called. Words (BM25) and sparse vectors do not rank here.
 *
 * @throws JetonError `store-packages-missing`, `store-option-invalid`, and LanceDB's errors
 */
export async function openLanceStore(
  folder: string,
  options: OpenLanceStoreOptions = {},
): Promise<LanceStore> {
  checkStoreOptions(options);
  const { table: name = "records", packages } = options;
  const install = "@lancedb/lancedb@0.31.0 apache-arrow@18.1.0";
  const lancedb = (packages?.lancedb ??
    (await loadPackage("@lancedb/lancedb", install))) as LancePackage;
  const arrow = (packages?.arrow ?? (await loadPackage("apache-arrow", install))) as ArrowPackage;
  const connection = await lancedb.connect(folder);
  try {
    const names = await connection.tableNames();
    const table = names.includes(name)
      ? await openChecked(connection, name, options)
      : await connection.createEmptyTable(name, makeSchema(arrow, options));
    return makeStore(lancedb, connection, table, options);
  } catch (error) {
    connection.close();
    throw error;
  }
}

const arrowTypes = (arrow: ArrowPackage): Readonly<Record<FieldKind, unknown>> => ({
  text: new arrow.Utf8(),
  texts: new arrow.Utf8(),
  number: new arrow.Float64(),
  boolean: new arrow.Bool(),
});

function makeSchema(arrow: ArrowPackage, options: RecordStoreOptions): unknown {
  const { dense, tokens, fields = {} } = options;
  const { Field, FixedSizeList, List, Float32, Uint32, Utf8, Schema } = arrow;
  const vector = (length: number): unknown =>
    new FixedSizeList(length, new Field("item", new Float32(), true));
  const types = arrowTypes(arrow);
  return new Schema([
    new Field("id", new Utf8(), false),
    new Field("text", new Utf8(), false),
    // All fields, as they come back; the declared ones have columns of their own beside.
    new Field("fields", new Utf8(), false),
    ...(dense ? [new Field("dense", vector(dense), true)] : []),
    ...(tokens
      ? [
          new Field("tokens", new List(new Field("item", vector(tokens), true)), true),
          new Field("spans", new List(new Field("item", new Uint32(), true)), true),
        ]
      : []),
    ...Object.entries(fields).map(([name, kind]) => new Field(columnOf(name), types[kind], true)),
  ]);
}

/** Opens a table that is there. @throws JetonError `store-option-invalid` if it was made with other options */
async function openChecked(
  connection: LanceConnection,
  name: string,
  { dense, tokens, fields = {} }: RecordStoreOptions,
): Promise<LanceTable> {
  const table = await connection.openTable(name);
  const found = new Map((await table.schema()).fields.map((field) => [field.name, field]));
  const sizes = {
    dense: found.get("dense")?.type.listSize,
    tokens: found.get("tokens")?.type.children?.[0]?.type.listSize,
  };
  for (const [option, expected] of Object.entries({ dense, tokens })) {
    const size = sizes[option as keyof typeof sizes];
    if (size !== expected) throw invalidOption(option, expected, `${size}, as the table has`);
  }
  for (const field of Object.keys(fields)) {
    if (!found.has(columnOf(field))) throw invalidOption("fields", field, "a field of the table");
  }
  return table;
}

function makeStore(
  lancedb: LancePackage,
  connection: LanceConnection,
  table: LanceTable,
  options: OpenLanceStoreOptions,
): LanceStore {
  const { tokens } = options;
  const rankings = vectorRankings(options);
  const read = async (ids: readonly string[], withTokens: boolean): Promise<StoredRecord[]> => {
    if (ids.length === 0) return [];
    const columns = ["id", "text", "fields", ...(withTokens ? ["tokens", "spans"] : [])];
    const rows = await table.query().where(oneOf(ids)).select(columns).limit(ids.length).toArray();
    return rows.map((row) => readRow(row, withTokens ? tokens : undefined));
  };
  return {
    rankings,
    count: () => table.countRows(),
    async put(records) {
      const prepared = prepareRecords(records, options);
      if (prepared.length === 0) return;
      const rows = prepared.map((record) => toRow(record, options));
      await table.mergeInsert("id").whenMatchedUpdateAll().whenNotMatchedInsertAll().execute(rows);
    },
    async delete(ids) {
      if (ids.length === 0) return 0;
      return (await table.delete(oneOf(ids))).numDeletedRows;
    },
    search: (query) =>
      searchStore(query, options, rankings, {
        rank: (name, depth) => rank(table, options, query, name, depth),
        read,
        refines: true,
      }),
    async indexTokens({ partitions, subVectors } = {}) {
      if (tokens === undefined) throw invalidOption("tokens", tokens, "a store with token vectors");
      const numSubVectors = subVectors ?? Math.max(2, Math.floor(tokens / 16));
      if (!(numSubVectors >= 2 && tokens % numSubVectors === 0)) {
        throw invalidOption("subVectors", numSubVectors, `a divisor of ${tokens} from 2`);
      }
      const config = lancedb.Index.ivfPq({
        distanceType: "cosine",
        numSubVectors,
        ...(partitions !== undefined && { numPartitions: partitions }),
      });
      await table.createIndex("tokens", { config, replace: true });
    },
    async close() {
      table.close();
      connection.close();
    },
  };
}

const oneOf = (ids: readonly string[]): string => `id IN (${ids.map(literal).join(", ")})`;

async function rank(
  table: LanceTable,
  { fields = {} }: RecordStoreOptions,
  query: SearchQuery,
  name: RankingName,
  depth: number,
): Promise<RankedRecord[]> {
  const isTokens = name === "token";
  const column = isTokens ? "tokens" : "dense";
  const rows = queryRows(query, isTokens ? "token" : "dense");
  const { scoring, probes, refine } = query.tokenSearch ?? {};
  const condition = query.filter === undefined ? "" : ` AND ${toSql(query.filter, fields)}`;
  let search = table
    .vectorSearch(rows.length === 1 ? rows[0]! : rows)
    .column(column)
    .distanceType("cosine")
    .where(`${column} IS NOT NULL${condition}`)
    .select(["id", "_distance"])
    .limit(depth);
  if (!isTokens || scoring === "exact") search = search.bypassVectorIndex();
  else {
    if (probes !== undefined) search = search.nprobes(probes);
    if (refine !== undefined) search = search.refineFactor(Math.ceil(refine / depth));
  }
  const found = await search.toArray();
  // A distance is 1 less the sum over the query's tokens of the best cosine.
  return found.map((row) => ({
    id: String(row["id"]),
    score: (1 - Number(row["_distance"])) / rows.length,
  }));
}

function toRow(record: IndexRecord, options: RecordStoreOptions): LanceRow {
  const { id, text, fields = {}, dense, tokens, sparse } = record;
  if (sparse !== undefined) {
    throw new JetonError(`record ${JSON.stringify(id)}: sparse vectors are not kept here`, {
      code: "record-invalid",
      details: { id, part: "sparse", found: sparse.ids.length, expected: "no sparse vector" },
    });
  }
  const columns: Record<string, unknown> = {};
  for (const name of Object.keys(options.fields ?? {})) {
    const value = fields[name];
    columns[columnOf(name)] = Array.isArray(value) ? joinTexts(value as string[]) : (value ?? null);
  }
  // LanceDB refuses a list of no vectors.
  const hasTokens = tokens !== undefined && tokens.vectors.length > 0;
  return {
    id,
    text,
    fields: JSON.stringify(fields),
    ...(options.dense && { dense: dense ? [...dense] : null }),
    ...(options.tokens && {
      tokens: hasTokens ? cutRows(tokens.vectors, tokens.dim).map((row) => [...row]) : null,
      spans: hasTokens ? [...tokens.spans!] : null,
    }),
    ...columns,
  };
}

function readRow(row: LanceRow, dim: number | undefined): StoredRecord {
  const vectors = row["tokens"] as Iterable<Iterable<number>> | null | undefined;
  return {
    id: String(row["id"]),
    text: String(row["text"]),
    fields: JSON.parse(String(row["fields"])) as Record<string, FieldValue>,
    ...(dim !== undefined &&
      vectors !== null &&
      vectors !== undefined && {
        tokens: {
          dim,
          vectors: Float32Array.from([...vectors].flatMap((vector) => [...vector])),
          spans: Uint32Array.from(row["spans"] as Iterable<number>),
        },
      }),
  };
}
