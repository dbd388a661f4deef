/** Messages between a search and the shards of an index. */
import { JetonError } from "../../core/index.ts";
import {
  decodeFrame,
  encodeFrame,
  type Frame,
  type FrameArray,
  type Transport,
  type TransportReply,
} from "../../transport/index.ts";
import type { RankingName } from "../fusion.ts";
import type {
  CollectionStatistics,
  HitContent,
  QueryStatistics,
  RankedEntry,
} from "../search/query-run.ts";
import type { StoredSettings } from "../store/manifest.ts";
import type { SearchQuery } from "../types.ts";

/** Subjects of an index, by its name. */
export const subjects = {
  /** Answered by every process that serves a shard. */
  about: (name: string): string => `jeton.index.${name}.about`,
  /** Answered by one replica of a shard. */
  any: (name: string, shard: number): string => `jeton.index.${name}.${shard}.any`,
  /** Answered by every replica of a shard. */
  all: (name: string, shard: number): string => `jeton.index.${name}.${shard}.all`,
  /** Answered by this replica alone. */
  replica: (name: string, replica: string): string => `jeton.index.${name}.replica.${replica}`,
} as const;

/** Checks the name of an index, which is a word of its subjects. @throws JetonError `shard-option-invalid` */
export function checkName(name: string): void {
  if (!/^[\w-]+$/.test(name)) throw invalidOption("name", name, "letters, digits, _ and -");
}

/** The error of an option. */
export function invalidOption(option: string, found: unknown, expected: string): JetonError {
  return new JetonError(`shard option ${option}: ${JSON.stringify(found)}; expected ${expected}`, {
    code: "shard-option-invalid",
    details: { option, found, expected },
  });
}

/** What a process says of the index that it serves a shard of. */
export interface AboutShard {
  /** Number of shards that make the index. */
  readonly shards: number;
  readonly settings: StoredSettings;
}

/** What a replica answers to the first step. */
export interface BegunRun extends AboutShard {
  readonly replica: string;
  readonly ticket: string;
  /** Records of the shard. */
  readonly size: number;
  readonly statistics: QueryStatistics;
}

/** A request to a replica about a run that began there. */
export type RunRequest =
  | { readonly step: "rank"; readonly ticket: string; readonly collection: CollectionStatistics }
  | { readonly step: "read"; readonly ticket: string; readonly ids: readonly string[] }
  | { readonly step: "end"; readonly ticket: string }
  | { readonly step: "part"; readonly ticket: string; readonly part: number };

/** Rankings as they cross: estimates only where records were scored again. */
export type RankingEntries = readonly (readonly [
  name: RankingName,
  entries: readonly (readonly [id: string, score: number, estimate?: number])[],
])[];

/** A query as a message. */
export function encodeQuery(query: SearchQuery): Frame {
  const { dense, tokens, sparse, ...rest } = query;
  const arrays: FrameArray[] = [];
  const add = (array: FrameArray): number => arrays.push(array) - 1;
  const head = {
    ...rest,
    ...(dense && { dense: add(Float32Array.from(dense)) }),
    ...(tokens && { tokens: { dim: tokens.dim, vectors: add(Float32Array.from(tokens.vectors)) } }),
    // Ids of 32 bits without a sign cross as 32 bits with one.
    ...(sparse && {
      sparse: {
        ids: add(asSigned(Uint32Array.from(sparse.ids))),
        weights: add(Float32Array.from(sparse.weights)),
      },
    }),
  };
  return { head, arrays };
}

/** The query that `encodeQuery` wrote. */
export function decodeQuery({ head, arrays }: Frame): SearchQuery {
  const { dense, tokens, sparse, ...rest } = head as Omit<
    SearchQuery,
    "dense" | "tokens" | "sparse"
  > & {
    readonly dense?: number;
    readonly tokens?: { readonly dim: number; readonly vectors: number };
    readonly sparse?: { readonly ids: number; readonly weights: number };
  };
  const floats = (at: number): Float32Array => arrays[at] as Float32Array;
  return {
    ...rest,
    ...(dense !== undefined && { dense: floats(dense) }),
    ...(tokens && { tokens: { dim: tokens.dim, vectors: floats(tokens.vectors) } }),
    ...(sparse && {
      sparse: {
        ids: asUnsigned(arrays[sparse.ids] as Int32Array),
        weights: floats(sparse.weights),
      },
    }),
  };
}

function asSigned(ids: Uint32Array): Int32Array {
  return new Int32Array(ids.buffer, ids.byteOffset, ids.length);
}

function asUnsigned(ids: Int32Array): Uint32Array {
  return new Uint32Array(ids.buffer, ids.byteOffset, ids.length);
}

/** The first step's answer as a message. */
export function encodeBegun({ statistics, ...rest }: BegunRun): Frame {
  const { lexical, tokenScores } = statistics;
  const head = { ...rest, lexical, hasTokens: tokenScores !== undefined };
  return { head, arrays: tokenScores ?? [] };
}

/** The answer that `encodeBegun` wrote. */
export function decodeBegun({ head, arrays }: Frame): BegunRun {
  const { lexical, hasTokens, ...rest } = head as Omit<BegunRun, "statistics"> & {
    readonly lexical?: QueryStatistics["lexical"];
    readonly hasTokens: boolean;
  };
  const statistics = {
    ...(lexical !== undefined && { lexical }),
    ...(hasTokens && { tokenScores: arrays as Float32Array[] }),
  };
  return { ...rest, statistics };
}

/** A request about a run as a message. */
export function encodeRunRequest(request: RunRequest): Frame {
  if (request.step !== "rank") return { head: request, arrays: [] };
  const { weighed, bounds } = request.collection;
  const head = {
    step: request.step,
    ticket: request.ticket,
    ...(weighed && { weighed: { ...weighed, counts: [...weighed.counts] } }),
  };
  return { head, arrays: bounds === undefined ? [] : [bounds] };
}

/** The request that `encodeRunRequest` wrote. */
export function decodeRunRequest({ head, arrays }: Frame): RunRequest {
  const request = head as Exclude<RunRequest, { step: "rank" }> | WeighedHead;
  if (request.step !== "rank") return request;
  const { step, ticket, weighed } = request;
  const [bounds] = arrays as Float32Array[];
  const collection = {
    ...(weighed && { weighed: { ...weighed, counts: new Map(weighed.counts) } }),
    ...(bounds && { bounds }),
  };
  return { step, ticket, collection };
}

interface WeighedHead {
  readonly step: "rank";
  readonly ticket: string;
  readonly weighed?: Omit<NonNullable<CollectionStatistics["weighed"]>, "counts"> & {
    readonly counts: readonly (readonly [string, number])[];
  };
}

/** Rankings as a message. */
export function encodeRankings(rankings: ReadonlyMap<RankingName, readonly RankedEntry[]>): Frame {
  const head: RankingEntries = [...rankings].map(([name, entries]) => [
    name,
    entries.map(({ id, score, estimate }) =>
      estimate === undefined ? ([id, score] as const) : ([id, score, estimate] as const),
    ),
  ]);
  return { head, arrays: [] };
}

/** The rankings that `encodeRankings` wrote. */
export function decodeRankings({ head }: Frame): Map<RankingName, RankedEntry[]> {
  return new Map(
    (head as RankingEntries).map(([name, entries]) => [
      name,
      entries.map(([id, score, estimate]) => ({
        id,
        score,
        ...(estimate !== undefined && { estimate }),
      })),
    ]),
  );
}

/** What hits hold, as it came. */
export function decodeContents({ head }: Frame): HitContent[] {
  return head as HitContent[];
}

/** An answer as it crosses: whole, or its first part where it is larger than a message may be. */
type Envelope =
  | { readonly whole: unknown }
  | { readonly replica: string; readonly ticket: string; readonly parts: number };

/** Cuts answers that are too large for one message; `keep` holds the rest until it is asked for. */
export function wrapAnswer(
  answer: Frame,
  limit: number,
  keep: (parts: readonly Uint8Array[]) => { readonly replica: string; readonly ticket: string },
): TransportReply {
  const bytes = encodeFrame(answer);
  if (bytes.length <= limit) {
    return { head: { whole: answer.head } satisfies Envelope, arrays: answer.arrays };
  }
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += limit) parts.push(bytes.subarray(at, at + limit));
  return {
    head: { ...keep(parts), parts: parts.length } satisfies Envelope,
    arrays: [parts[0]!],
  };
}

/** Options of `askShard`. */
export interface AskShardOptions {
  readonly name: string;
  /** Seconds for each message. */
  readonly deadline: number;
  readonly signal?: AbortSignal | undefined;
}

/** Sends a request; collects an answer that comes in parts. */
export async function askShard(
  transport: Transport,
  subject: string,
  content: Frame,
  { name, deadline, signal }: AskShardOptions,
): Promise<Frame> {
  const options = { deadline, ...(signal && { signal }) };
  const { head, arrays } = await transport.request(subject, content, options);
  const envelope = head as Envelope;
  if ("whole" in envelope) return { head: envelope.whole, arrays };
  const { replica, ticket } = envelope;
  const parts = [arrays[0] as Uint8Array];
  for (let part = 1; part < envelope.parts; part++) {
    const request = encodeRunRequest({ step: "part", ticket, part });
    const answer = await transport.request(subjects.replica(name, replica), request, options);
    parts.push(answer.arrays[0] as Uint8Array);
  }
  return decodeFrame(Buffer.concat(parts));
}
