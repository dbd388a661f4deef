/** What is used of `@lancedb/lancedb` and `apache-arrow`, which jeton does not depend on. */

/** A row as it is written and read. */
export type LanceRow = Readonly<Record<string, unknown>>;

/** A query under construction; each call gives the query back. */
export interface LanceQuery {
  where(condition: string): LanceQuery;
  select(columns: readonly string[]): LanceQuery;
  limit(count: number): LanceQuery;
  toArray(): Promise<LanceRow[]>;
}

/** A search by vectors. */
export interface LanceVectorQuery extends LanceQuery {
  column(name: string): LanceVectorQuery;
  distanceType(type: "cosine"): LanceVectorQuery;
  bypassVectorIndex(): LanceVectorQuery;
  nprobes(count: number): LanceVectorQuery;
  refineFactor(factor: number): LanceVectorQuery;
  where(condition: string): LanceVectorQuery;
  select(columns: readonly string[]): LanceVectorQuery;
  limit(count: number): LanceVectorQuery;
}

interface LanceMerge {
  whenMatchedUpdateAll(): LanceMerge;
  whenNotMatchedInsertAll(): LanceMerge;
  execute(rows: readonly LanceRow[]): Promise<unknown>;
}

/** A column of a table's schema. */
export interface ArrowField {
  readonly name: string;
  readonly type: { readonly listSize?: number; readonly children?: readonly ArrowField[] };
}

export interface LanceTable {
  schema(): Promise<{ readonly fields: readonly ArrowField[] }>;
  countRows(): Promise<number>;
  delete(condition: string): Promise<{ readonly numDeletedRows: number }>;
  mergeInsert(on: string): LanceMerge;
  query(): LanceQuery;
  vectorSearch(vectors: Float32Array | readonly Float32Array[]): LanceVectorQuery;
  createIndex(column: string, options: object): Promise<void>;
  close(): void;
}

export interface LanceConnection {
  tableNames(): Promise<string[]>;
  openTable(name: string): Promise<LanceTable>;
  createEmptyTable(name: string, schema: unknown): Promise<LanceTable>;
  close(): void;
}

export interface LancePackage {
  connect(folder: string): Promise<LanceConnection>;
  readonly Index: { ivfPq(options: object): unknown };
}

type TypeClass = new () => unknown;

export interface ArrowPackage {
  readonly Field: new (name: string, type: unknown, nullable: boolean) => unknown;
  readonly Schema: new (fields: readonly unknown[]) => unknown;
  readonly FixedSizeList: new (length: number, item: unknown) => unknown;
  readonly List: new (item: unknown) => unknown;
  readonly Utf8: TypeClass;
  readonly Bool: TypeClass;
  readonly Float32: TypeClass;
  readonly Float64: TypeClass;
  readonly Uint32: TypeClass;
}
