/** Searches an index whose shards are services on NATS, as if it were one. */
import { JetonError } from "../../core/index.ts";
import { checkOptionNames, secondsRule } from "../../core/option-rules.ts";
import { type Bm25Formula, resolveBm25Formula } from "../../lexical/index.ts";
import type { Transport } from "../../transport/index.ts";
import type { RankingName } from "../fusion.ts";
import { checkQuery } from "../search/check-query.ts";
import { joinRankings, type ScoredHit } from "../search/join-rankings.ts";
import { type HitContent, joinStatistics, type RankedEntry } from "../search/query-run.ts";
import type { StoredSettings } from "../store/manifest.ts";
import type { Hit, SearchQuery } from "../types.ts";
import {
  type AboutShard,
  askShard,
  type BegunRun,
  checkName,
  decodeBegun,
  decodeContents,
  decodeRankings,
  encodeQuery,
  encodeRunRequest,
  invalidOption,
  type RunRequest,
  subjects,
} from "./protocol.ts";

/** Options of `connectShards`. */
export interface ConnectShardsOptions {
  /** Name of the index. */
  readonly name: string;
  /** Seconds that a shard may take for one step of a search. Default 10. */
  readonly deadline?: number;
}

/** A shard whose records an answer leaves out. */
export interface LostShard {
  /** From 1. */
  readonly shard: number;
  /** Code of the error. */
  readonly code: string;
  readonly reason: string;
}

/** An answer of all shards that answered. */
export interface ShardedAnswer {
  readonly hits: readonly Hit[];
  /** Records that were searched. */
  readonly records: number;
  /** Shards that gave no answer, by number. Statistics are those of the others. */
  readonly lost: readonly LostShard[];
}

/** An index in shards. */
export interface ShardedIndex {
  /** Number of shards. */
  readonly shards: number;
  /** What the shards were made with. */
  readonly settings: StoredSettings;
  /**
   * Answers a query as one index of all records does. A replica that fails gives way to another one of its shard; a shard
   * without a replica that answers is named in the answer.
   *
   * @throws JetonError those of `SearchIndex.search`; `index-shards-lost` if none answers, `index-shards-differ` for
   *   shards of other settings, `index-shards-overlap` for a record in two shards; and those of the transport
   */
  search(query: SearchQuery, options?: { readonly signal?: AbortSignal }): Promise<ShardedAnswer>;
}

/**
 * Finds the shards of an index. The connection stays the caller's.
 *
 * @throws JetonError `shard-option-invalid`, `index-shards-lost` if nothing answers
 */
export async function connectShards(
  transport: Transport,
  options: ConnectShardsOptions,
): Promise<ShardedIndex> {
  checkOptionNames(options, ["name", "deadline"], {
    what: "an index in shards",
    invalidCode: "shard-option-invalid",
  });
  const { name, deadline = 10 } = options;
  checkName(name);
  if (!secondsRule.test(deadline)) throw invalidOption("deadline", deadline, secondsRule.expected);
  const about = await askShard(
    transport,
    subjects.about(name),
    { head: null, arrays: [] },
    { name, deadline },
  ).catch((error: unknown) => {
    throw isLoss(error) ? nothingAnswers(name, [], error) : error;
  });
  const { shards, settings } = about.head as AboutShard;
  const formula = resolveBm25Formula(settings.bm25);
  return {
    shards,
    settings,
    search: (query, { signal } = {}) =>
      new ShardedSearch({ transport, name, deadline, signal, shards, settings, formula }).answer(
        query,
      ),
  };
}

interface SearchSettings {
  readonly transport: Transport;
  readonly name: string;
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
  readonly shards: number;
  readonly settings: StoredSettings;
  readonly formula: Bm25Formula;
}

/** How often a shard may fail after it has begun; each time the search begins anew. */
const maxFailures = 2;

class ShardedSearch {
  readonly #settings: SearchSettings;
  readonly #lost: Map<number, LostShard> = new Map();
  readonly #failures: Map<number, number> = new Map();

  constructor(settings: SearchSettings) {
    this.#settings = settings;
  }

  async answer(query: SearchQuery): Promise<ShardedAnswer> {
    const { name, formula } = this.#settings;
    // Here already: what is no number would cross as one or as nothing.
    checkQuery(query, { dense: undefined, tokens: undefined });
    for (;;) {
      const runs = await this.#begin(query);
      if (runs.size === 0) throw nothingAnswers(name, this.#listLost());
      const statistics = [...runs.values()].map((run) => run.statistics);
      const collection = joinStatistics(formula, statistics, query);
      const rankings = await this.#askAll([...runs], ({ ticket }) => ({
        step: "rank",
        ticket,
        collection,
      }));
      if (rankings === undefined) continue;
      const parts = new Map(rankings.map(([shard, frame]) => [shard, decodeRankings(frame)]));
      checkApart(parts);
      const hits = joinRankings([...parts.values()], query);
      const contents = await this.#read(runs, parts, hits);
      if (contents === undefined) continue;
      const records = [...runs.values()].reduce((sum, { size }) => sum + size, 0);
      return {
        hits: hits.map((hit) => ({ ...hit, ...contents.get(hit.id)! })),
        records,
        lost: this.#listLost(),
      };
    }
  }

  #listLost(): LostShard[] {
    return [...this.#lost.values()].sort((a, b) => a.shard - b.shard);
  }

  /** The first step, of every shard that is not lost. */
  async #begin(query: SearchQuery): Promise<Map<number, BegunRun>> {
    const numbers = Array.from({ length: this.#settings.shards }, (_, i) => i + 1);
    const message = encodeQuery(query);
    const begun = await Promise.all(
      numbers
        .filter((shard) => !this.#lost.has(shard))
        .map(async (shard): Promise<[number, BegunRun][]> => {
          try {
            const run = decodeBegun(await this.#askReplicas(shard, message));
            this.#checkSame(run);
            return [[shard, run]];
          } catch (error) {
            this.#lose(shard, error);
            return [];
          }
        }),
    );
    return new Map(begun.flat());
  }

  /** Asks one replica; where it does not answer in time, all of them. */
  async #askReplicas(shard: number, message: ReturnType<typeof encodeQuery>) {
    const { transport, name } = this.#settings;
    try {
      return await askShard(transport, subjects.any(name, shard), message, this.#settings);
    } catch (error) {
      if (!isCode(error, "transport-deadline")) throw error;
      return askShard(transport, subjects.all(name, shard), message, this.#settings);
    }
  }

  /** Asks the replicas that hold the runs; undefined where one failed and the search has to begin anew. */
  async #askAll(
    runs: readonly (readonly [number, BegunRun])[],
    requestFor: (run: BegunRun, shard: number) => RunRequest,
  ) {
    const { transport, name } = this.#settings;
    const answers = await Promise.all(
      runs.map(async ([shard, run]) => {
        const subject = subjects.replica(name, run.replica);
        const request = encodeRunRequest(requestFor(run, shard));
        try {
          return [shard, await askShard(transport, subject, request, this.#settings)] as const;
        } catch (error) {
          const failures = (this.#failures.get(shard) ?? 0) + 1;
          this.#failures.set(shard, failures);
          if (failures > maxFailures || !isPassing(error)) this.#lose(shard, error);
          return undefined;
        }
      }),
    );
    const given = answers.filter((answer) => answer !== undefined);
    return given.length === answers.length ? given : undefined;
  }

  /** Asks each shard for what its hits hold, and tells the others that the search is over. */
  async #read(
    runs: ReadonlyMap<number, BegunRun>,
    rankings: ReadonlyMap<number, ReadonlyMap<RankingName, readonly RankedEntry[]>>,
    hits: readonly ScoredHit[],
  ): Promise<Map<string, HitContent> | undefined> {
    const { transport, name } = this.#settings;
    const wanted = new Map<number, string[]>();
    for (const [shard, ranking] of rankings) {
      const own = new Set([...ranking.values()].flat().map(({ id }) => id));
      const ids = hits.filter(({ id }) => own.has(id)).map(({ id }) => id);
      if (ids.length > 0) wanted.set(shard, ids);
      else {
        const { replica, ticket } = runs.get(shard)!;
        const message = encodeRunRequest({ step: "end", ticket });
        transport.publish(subjects.replica(name, replica), message);
      }
    }
    const asked = [...runs].filter(([shard]) => wanted.has(shard));
    const answers = await this.#askAll(asked, ({ ticket }, shard) => ({
      step: "read",
      ticket,
      ids: wanted.get(shard)!,
    }));
    if (answers === undefined) return undefined;
    const contents = new Map<string, HitContent>();
    for (const [shard, frame] of answers) {
      const read = decodeContents(frame);
      for (const [at, id] of wanted.get(shard)!.entries()) contents.set(id, read[at]!);
    }
    return contents;
  }

  #checkSame({ shards, settings }: BegunRun): void {
    const { shards: expected, settings: own } = this.#settings;
    if (shards !== expected) throw differ("shards", shards, expected);
    for (const name of ["analyzer", "bm25", "metadata"] as const) {
      if (JSON.stringify(settings[name]) === JSON.stringify(own[name])) continue;
      throw differ(name, settings[name], own[name]);
    }
  }

  /** Notes a shard that cannot answer; what is wrong with the query or the index itself is thrown. */
  #lose(shard: number, error: unknown): void {
    if (!isLoss(error) && !isPassing(error)) throw error;
    const { code, message } = error as JetonError;
    this.#lost.set(shard, { shard, code, reason: message });
  }
}

const losses = ["transport-no-responder", "transport-deadline", "transport-responder-failed"];

/** Whether an error means that a shard cannot answer. */
function isLoss(error: unknown): boolean {
  return losses.some((code) => isCode(error, code));
}

/** Whether another replica may do better. */
function isPassing(error: unknown): boolean {
  return isLoss(error) || isCode(error, "shard-run-unknown");
}

function isCode(error: unknown, code: string): boolean {
  return JetonError.isInstance(error) && error.code === code;
}

/** One index has every id once. */
function checkApart(
  parts: ReadonlyMap<number, ReadonlyMap<RankingName, readonly RankedEntry[]>>,
): void {
  const shardOf = new Map<string, number>();
  for (const [shard, rankings] of parts) {
    for (const { id } of [...rankings.values()].flat()) {
      const other = shardOf.get(id) ?? shard;
      shardOf.set(id, shard);
      if (other === shard) continue;
      throw new JetonError(`shards ${other} and ${shard} both hold the record ${id}`, {
        code: "index-shards-overlap",
        details: { found: id, shards: [other, shard], expected: "each record in one shard" },
      });
    }
  }
}

function differ(setting: string, found: unknown, expected: unknown): JetonError {
  return new JetonError(
    `shards of one index differ in ${setting}: ${JSON.stringify(found)} and ${JSON.stringify(expected)}`,
    { code: "index-shards-differ", details: { setting, found, expected } },
  );
}

function nothingAnswers(name: string, lost: readonly LostShard[], cause?: unknown): JetonError {
  return new JetonError(`no shard of the index ${name} answers`, {
    code: "index-shards-lost",
    details: { name, lost, expected: "processes that serve its shards" },
    ...(cause !== undefined && { cause }),
  });
}
