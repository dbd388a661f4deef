/** What stores of records outside of this process have in common: one record, one query, one hit for all. */
import { JetonError } from "../../core/index.ts";
import { compareUtf8 } from "../../lexical/index.ts";
import type { RankedRecord, RankingName } from "../fusion.ts";
import type { SearchIndex } from "../open-index.ts";
import { invalidRecord, prepareRecord } from "../records.ts";
import { checkQuery, denseRow, rankingsOf, settingsOf, tokenRows } from "../search/check-query.ts";
import { joinRankings } from "../search/join-rankings.ts";
import { dotAt } from "../tokens/products.ts";
import type {
  FieldValue,
  Hit,
  IndexRecord,
  SearchQuery,
  TokenMatch,
  TokenVectors,
} from "../types.ts";

/** Records in another system that are put, deleted and searched as those of an index are. */
export interface RecordStore extends Pick<SearchIndex, "put" | "delete" | "search" | "close"> {
  /** What can rank. */
  readonly rankings: readonly RankingName[];
  /** Number of records. */
  count(): Promise<number>;
}

/** What kind of value a field has: only declared fields can be filtered by. */
export type FieldKind = "text" | "number" | "boolean" | "texts";

/** What every store is told of its records. */
export interface RecordStoreOptions {
  /** Length of the dense vectors; without it there are none. */
  readonly dense?: number;
  /** Length of the token vectors; without it there are none. */
  readonly tokens?: number;
  /** Fields that filters may name. Others are kept, and come back with hits. */
  readonly fields?: Readonly<Record<string, FieldKind>>;
}

/** Checks options, and that each declared field has a name. @throws JetonError `store-option-invalid` */
export function checkStoreOptions({ dense, tokens, fields = {} }: RecordStoreOptions): void {
  for (const [option, found] of Object.entries({ dense, tokens })) {
    if (found === undefined || (Number.isInteger(found) && found > 0)) continue;
    throw invalidOption(option, found, "a whole number from 1");
  }
  for (const [name, kind] of Object.entries(fields)) {
    if (!["text", "number", "boolean", "texts"].includes(kind)) {
      throw invalidOption(`fields.${name}`, kind, "text, number, boolean or texts");
    }
    if (!/^[A-Za-z]\w*$/.test(name) || name === "id") {
      throw invalidOption("fields", name, "a letter, then letters, digits and _; not id");
    }
  }
}

/** The error of an option. */
export function invalidOption(option: string, found: unknown, expected: string): JetonError {
  return new JetonError(`store option ${option}: ${JSON.stringify(found)}; expected ${expected}`, {
    code: "store-option-invalid",
    details: { option, found, expected },
  });
}

/** Records checked, with vectors of length 1; fields of the declared kinds. @throws JetonError `record-invalid` */
export function prepareRecords(
  records: readonly IndexRecord[],
  options: RecordStoreOptions,
): IndexRecord[] {
  const { dense, tokens } = options;
  // The last record of an id takes the place of those before it.
  const prepared = new Map<string, IndexRecord>();
  for (const record of records) {
    for (const kind of ["dense", "tokens"] as const) {
      if (record[kind] === undefined || options[kind] !== undefined) continue;
      throw invalidRecord(kind, "vectors", `a store that was opened with ${kind}`, record.id);
    }
    const own = prepareRecord(record, { dense, tokens });
    for (const [name, kind] of Object.entries(options.fields ?? {})) {
      const value = own.fields?.[name];
      if (value === undefined || kindOf(value) === kind) continue;
      throw invalidRecord(`fields.${name}`, value, kind, record.id);
    }
    prepared.delete(own.id);
    prepared.set(own.id, own);
  }
  return [...prepared.values()];
}

function kindOf(value: FieldValue): FieldKind {
  if (typeof value === "string") return "text";
  if (typeof value === "number") return "number";
  return typeof value === "boolean" ? "boolean" : "texts";
}

/** The kind of a field that a filter names; the id is a text. @throws JetonError `store-field-undeclared` */
export function declaredKind(
  field: string,
  fields: Readonly<Record<string, FieldKind>>,
): FieldKind {
  if (field === "id") return "text";
  const kind = Object.hasOwn(fields, field) ? fields[field] : undefined;
  if (kind !== undefined) return kind;
  throw new JetonError(`the store was opened without the field ${JSON.stringify(field)}`, {
    code: "store-field-undeclared",
    details: { found: field, expected: ["id", ...Object.keys(fields)] },
  });
}

/** Whether a field of a kind can hold a value, or have it in its list. */
export function canHold(kind: FieldKind, value: string | number | boolean): boolean {
  return typeof value === (kind === "text" || kind === "texts" ? "string" : kind);
}

/** The rankings by dense and token vectors that a store has. */
export function vectorRankings({ dense, tokens }: RecordStoreOptions): RankingName[] {
  return [...(dense ? (["dense"] as const) : []), ...(tokens ? (["token"] as const) : [])];
}

/** A query's vectors of length 1: its dense one, or one for each token. */
export function queryRows({ dense, tokens }: SearchQuery, name: "dense" | "token"): Float32Array[] {
  return name === "dense" ? [denseRow(dense!)] : cutRows(tokenRows(tokens!), tokens!.dim);
}

/** Vectors that stand one behind the other, one by one. */
export function cutRows(vectors: Float32Array, dim: number): Float32Array[] {
  return Array.from({ length: vectors.length / dim }, (_, row) =>
    vectors.slice(row * dim, (row + 1) * dim),
  );
}

/** A record as a store gives it back. */
export interface StoredRecord {
  readonly id: string;
  readonly text: string;
  readonly fields: Readonly<Record<string, FieldValue>>;
  readonly tokens?: TokenVectors | undefined;
}

/** What a search asks a store for. */
export interface StoreAnswers {
  /** The best `depth` records of a ranking, equal scores in any order. */
  rank(name: RankingName, depth: number): Promise<RankedRecord[]>;
  /** Records of these ids, in any order. */
  read(ids: readonly string[], withTokens: boolean): Promise<StoredRecord[]>;
  /** Whether imputed scoring scores records again where `refine` is given. Default false. */
  readonly refines?: boolean;
}

/**
 * Searches a store: each ranking is asked for, fused as an index fuses them, and what the hits hold is read.
 *
 * @throws JetonError `search-query-invalid`, `fusion-invalid`, `store-ranking-missing`
 */
export async function searchStore(
  query: SearchQuery,
  options: RecordStoreOptions,
  rankings: readonly RankingName[],
  answers: StoreAnswers,
): Promise<Hit[]> {
  checkQuery(query, { dense: options.dense, tokens: options.tokens }, answers.refines);
  const { depth } = settingsOf(query);
  const asked = rankingsOf(query);
  for (const name of asked) {
    if (rankings.includes(name)) continue;
    throw new JetonError(`this store does not rank by ${name}`, {
      code: "store-ranking-missing",
      details: { found: name, expected: rankings },
    });
  }
  const ranked = new Map<RankingName, RankedRecord[]>();
  for (const name of asked) {
    const found = await answers.rank(name, depth);
    found.sort((a, b) => b.score - a.score || compareUtf8(b.id, a.id));
    ranked.set(name, found);
  }
  const hits = joinRankings([ranked], query);
  const explains = query.explain === true && query.tokens !== undefined;
  const stored = new Map(
    (
      await answers.read(
        hits.map(({ id }) => id),
        explains,
      )
    ).map((record) => [record.id, record]),
  );
  return hits.flatMap((hit) => {
    const record = stored.get(hit.id);
    // It was deleted between both questions.
    if (record === undefined) return [];
    const { text, fields, tokens } = record;
    const found = { ...hit, text, fields };
    if (!query.explain) return [found];
    const matches = explains && tokens !== undefined ? matchTokens(query.tokens!, tokens) : [];
    return [{ ...found, matches }];
  });
}

/** For each token of a query a record's best, the first of equals. */
function matchTokens(
  asked: NonNullable<SearchQuery["tokens"]>,
  tokens: TokenVectors,
): TokenMatch[] {
  const { dim } = asked;
  const rows = tokenRows(asked);
  return Array.from({ length: rows.length / dim }, (_, queryToken) => {
    let [best, score] = [-1, Number.NEGATIVE_INFINITY];
    for (let token = 0; token * dim < tokens.vectors.length; token++) {
      const product = dotAt(rows, queryToken * dim, tokens.vectors, token * dim, dim);
      if (product > score) [best, score] = [token, product];
    }
    const [start, end] = [tokens.spans![2 * best]!, tokens.spans![2 * best + 1]!];
    return { queryToken, span: [start, end] as const, score, imputed: false };
  });
}

/** Loads an optional package. @throws JetonError `store-packages-missing` */
export async function loadPackage<T>(name: string, install: string): Promise<T> {
  try {
    return (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as T;
  } catch (cause) {
    throw new JetonError(`this store needs the package ${name}: npm install ${install}`, {
      code: "store-packages-missing",
      details: { expected: [name] },
      cause,
    });
  }
}
