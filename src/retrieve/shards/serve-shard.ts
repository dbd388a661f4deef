/** One shard of an index as a service on NATS. */
import { randomBytes } from "node:crypto";
import { JetonError } from "../../core/index.ts";
import { checkOptionNames, secondsRule } from "../../core/option-rules.ts";
import type { Frame, Transport, TransportMessage, TransportReply } from "../../transport/index.ts";
import { type SearchIndex, startQueryRun } from "../open-index.ts";
import type { QueryRun } from "../search/query-run.ts";
import {
  type AboutShard,
  checkName,
  decodeQuery,
  decodeRunRequest,
  encodeBegun,
  encodeRankings,
  invalidOption,
  type RunRequest,
  subjects,
  wrapAnswer,
} from "./protocol.ts";

/** Options of `serveShard`. */
export interface ServeShardOptions {
  /** Name of the whole index: letters, digits, `_` and `-`. */
  readonly name: string;
  /** Number of this shard, from 1. Default 1. */
  readonly shard?: number;
  /** How many shards make the index. Default 1. */
  readonly shards?: number;
  /** Seconds that a search which has begun may pause between two steps. Default 60. */
  readonly patience?: number;
}

/** A shard that answers. */
export interface ShardService {
  /** Its name among the replicas. */
  readonly replica: string;
  /** Searches that were answered. */
  readonly answered: number;
  /**
   * Answers from another index from now on. Searches that have begun end with the old one; when this resolves, none is left
   * and the old one may be closed.
   */
  replace(index: SearchIndex): Promise<void>;
  /**
   * Takes no further searches, and resolves when those that have begun are over or `graceMs` milliseconds have passed.
   * Default 0. The index and the connection stay open.
   */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

/** Searches that one replica holds at once; the oldest gives way. */
const maxRuns = 256;
/** Answers above this travel in parts, so that other messages find their way between them. */
const maxAnswerBytes = 4 * 2 ** 20;
/** Bytes of a message that are not the answer's own. */
const envelopeBytes = 4096;

interface HeldRun {
  readonly index: SearchIndex;
  readonly run: QueryRun;
  readonly release: () => void;
  touched: number;
}

/**
 * Answers searches of a shard, once `transport.flush()` has resolved. Several processes may serve one shard: each search asks one of them. The records of an index
 * are divided among its shards as you like, no record in two of them; all need the same analyzer, BM25 settings and metadata.
 *
 * @throws JetonError `shard-option-invalid`, `transport-closed`
 */
export function serveShard(
  transport: Transport,
  index: SearchIndex,
  options: ServeShardOptions,
): ShardService {
  checkOptionNames(options, ["name", "shard", "shards", "patience"], {
    what: "a shard",
    invalidCode: "shard-option-invalid",
  });
  const { name, shard = 1, shards = 1, patience = 60 } = options;
  checkName(name);
  if (!(Number.isInteger(shards) && shards > 0)) {
    throw invalidOption("shards", shards, "a whole number from 1");
  }
  if (!(Number.isInteger(shard) && shard > 0 && shard <= shards)) {
    throw invalidOption("shard", shard, `a whole number from 1 to ${shards}`);
  }
  if (!secondsRule.test(patience)) throw invalidOption("patience", patience, secondsRule.expected);
  const replica = new ShardReplica(transport, index, { name, shard, shards, patience });
  const { stopTaking, stopAnswering } = replica.listen();
  const timer = setInterval(() => replica.forget(patience), 1000 * Math.min(10, patience)).unref();
  return {
    replica: replica.id,
    get answered() {
      return replica.answered;
    },
    replace: (next) => replica.replace(next),
    async close({ graceMs = 0 } = {}) {
      stopTaking();
      let limit: NodeJS.Timeout | undefined;
      const passed = new Promise<void>((resolve) => {
        limit = setTimeout(resolve, graceMs);
      });
      await Promise.race([replica.idle(), passed]);
      clearTimeout(limit);
      clearInterval(timer);
      stopAnswering();
      replica.forget(0);
    },
  };
}

class ShardReplica {
  readonly id: string = randomBytes(9).toString("hex");
  readonly #transport: Transport;
  readonly #options: Required<ServeShardOptions>;
  readonly #limit: number;
  readonly #runs: Map<string, HeldRun> = new Map();
  readonly #parts: Map<string, { readonly parts: readonly Uint8Array[]; touched: number }> =
    new Map();
  #idling: (() => void)[] = [];
  #waiting: { readonly index: SearchIndex; readonly resolve: () => void }[] = [];
  #index: SearchIndex;
  answered = 0;

  constructor(transport: Transport, index: SearchIndex, options: Required<ServeShardOptions>) {
    this.#transport = transport;
    this.#index = index;
    this.#options = options;
    this.#limit = Math.min(transport.maxMessageBytes - envelopeBytes, maxAnswerBytes);
  }

  listen(): { stopTaking: () => void; stopAnswering: () => void } {
    const { name, shard } = this.#options;
    const begin = (message: TransportMessage): TransportReply => this.#begin(message);
    const { respond } = this.#transport;
    const taking = [
      respond(subjects.about(name), () => this.#wrap({ head: this.#about(), arrays: [] })),
      respond(subjects.any(name, shard), begin, { queue: "replicas" }),
      respond(subjects.all(name, shard), begin),
    ];
    const own = subjects.replica(name, this.id);
    return {
      stopTaking: () => {
        for (const stop of taking) stop();
      },
      stopAnswering: respond(own, (message) => this.#step(message)),
    };
  }

  /** Resolves when no search is under way and no part of an answer waits. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idling.push(resolve);
      this.#settle();
    });
  }

  replace(index: SearchIndex): Promise<void> {
    const old = this.#index;
    this.#index = index;
    return new Promise((resolve) => {
      this.#waiting.push({ index: old, resolve });
      this.#settle();
    });
  }

  /** Ends what nothing asked for in the last seconds. */
  forget(seconds: number): void {
    const limit = performance.now() - 1000 * seconds;
    for (const [ticket, { touched }] of this.#runs) if (touched <= limit) this.#end(ticket);
    for (const [ticket, { touched }] of this.#parts) {
      if (touched <= limit) this.#parts.delete(ticket);
    }
  }

  #about(): AboutShard {
    return { shards: this.#options.shards, settings: this.#index.settings };
  }

  #begin(message: TransportMessage): TransportReply {
    const { run, release } = startQueryRun(this.#index, decodeQuery(message));
    const ticket = randomBytes(9).toString("hex");
    this.#runs.set(ticket, { index: this.#index, run, release, touched: performance.now() });
    if (this.#runs.size > maxRuns) this.#end(this.#runs.keys().next().value!);
    const { size } = this.#index;
    const begun = { ...this.#about(), replica: this.id, ticket, size, statistics: run.count() };
    return this.#wrap(encodeBegun(begun));
  }

  async #step(message: TransportMessage): Promise<TransportReply> {
    const request = decodeRunRequest(message);
    if (request.step === "part") return this.#part(request.ticket, request.part);
    const held = this.#runs.get(request.ticket);
    if (request.step === "end") {
      this.#end(request.ticket);
      return {};
    }
    if (held === undefined) throw unknownTicket(request);
    held.touched = performance.now();
    if (request.step === "rank") {
      return this.#wrap(encodeRankings(await held.run.rank(request.collection)));
    }
    const contents = held.run.read(request.ids);
    this.#end(request.ticket);
    this.answered++;
    return this.#wrap({ head: contents, arrays: [] });
  }

  #part(ticket: string, part: number): TransportReply {
    const held = this.#parts.get(ticket);
    const bytes = held?.parts[part];
    if (held === undefined || bytes === undefined)
      throw unknownTicket({ step: "part", ticket, part });
    held.touched = performance.now();
    if (part === held.parts.length - 1) this.#parts.delete(ticket);
    this.#settle();
    return { arrays: [bytes] };
  }

  #wrap(answer: Frame): TransportReply {
    return wrapAnswer(answer, this.#limit, (parts) => {
      const ticket = randomBytes(9).toString("hex");
      this.#parts.set(ticket, { parts, touched: performance.now() });
      return { replica: this.id, ticket };
    });
  }

  #end(ticket: string): void {
    this.#runs.get(ticket)?.release();
    this.#runs.delete(ticket);
    this.#settle();
  }

  /** Tells those who wait for an index that no search uses any more, or for the end of all. */
  #settle(): void {
    if (this.#runs.size === 0 && this.#parts.size === 0) {
      for (const resolve of this.#idling) resolve();
      this.#idling = [];
    }
    const used = new Set([...this.#runs.values()].map(({ index }) => index));
    const done = this.#waiting.filter(({ index }) => !used.has(index));
    this.#waiting = this.#waiting.filter(({ index }) => used.has(index));
    for (const { resolve } of done) resolve();
  }
}

function unknownTicket(found: RunRequest): JetonError {
  return new JetonError(`the shard holds no search ${found.ticket}`, {
    code: "shard-run-unknown",
    details: { found, expected: "a search that began here a short time ago" },
  });
}
