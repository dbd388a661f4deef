/** The documents that the commands of search print with `--json`. */
import type { Hit, LostShard, Snippet } from "../../retrieve/index.ts";

/** `jeton index`: what was read. */
export interface IndexDocument {
  /** The index's folder. */
  readonly index: string;
  /** Files that were read, left alone, and without text. */
  readonly files: number;
  readonly unchanged: number;
  readonly skipped: number;
  /** Passages that were added or replaced, and removed. */
  readonly records: number;
  readonly removed: number;
  /** Of the files that were read. */
  readonly bytes: number;
  /** Passages of the index. */
  readonly total: number;
  readonly seconds: number;
}

/** `jeton serve-index`: what is answered from. */
export interface ServeIndexDocument {
  /** The index's folder. */
  readonly index: string;
  /** Name under which `jeton search --nats` finds it. */
  readonly name: string;
  readonly shard: number;
  readonly shards: number;
  /** Passages of the shard. */
  readonly records: number;
  /** This process among those that serve the shard. */
  readonly replica: string;
}

/** `jeton search`: passages, best first. */
export interface SearchDocument {
  readonly query: string;
  /** Folder of the index; with `--nats` its name. */
  readonly index: string;
  /** Passages that were searched: those of the index, without those of lost shards. */
  readonly records: number;
  /** With `--nats`: shards that gave no answer. */
  readonly lost?: readonly LostShard[];
  readonly seconds: number;
  /** With `--explain`, `matches` says which part of the text earned which part of the score. */
  readonly hits: readonly (Hit & { readonly snippet: Snippet })[];
}
