/** What `jeton search` searches: the index of a folder, or shards on NATS. */
import { JetonError } from "../../core/error.ts";
import type { SearchIndex, SearchQuery, ShardedAnswer } from "../../retrieve/index.ts";
import type { Values } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { identifyEncoder } from "../options/encoder-options.ts";
import { refuseMisplaced } from "../options/misplaced.ts";
import { connectNats, defaultIndexName, type natsOptions } from "./nats-options.ts";

/** Where an index is without `--index`. */
export const defaultIndexFolder = ".jeton-index";

/** An index that a command searches. */
export interface SearchedIndex {
  /** Folder, or name on the server. */
  readonly name: string;
  readonly settings: SearchIndex["settings"];
  /** Shards that gave no answer are listed in `lost`; none of a folder. */
  search(query: SearchQuery): Promise<ShardedAnswer>;
  close(): Promise<void>;
}

type SourceValues = Values<typeof natsOptions> & {
  readonly index: string | undefined;
  readonly nats: string | undefined;
  readonly deadline: number | undefined;
};

/** Opens what the options name. */
export async function openSearched(
  context: CommandContext,
  values: SourceValues,
): Promise<SearchedIndex> {
  if (values.nats !== undefined) {
    refuseMisplaced(values, ["index"], "means nothing with --nats: --name says which index");
    return openShards(context, values.nats, values);
  }
  refuseMisplaced(values, ["name", "natsToken", "deadline"], "means nothing without --nats");
  const folder = values.index ?? defaultIndexFolder;
  const index = await openForReading(folder);
  return {
    name: folder,
    settings: index.settings,
    search: async (query) => ({ hits: await index.search(query), records: index.size, lost: [] }),
    close: () => index.close(),
  };
}

async function openShards(
  context: CommandContext,
  url: string,
  values: SourceValues,
): Promise<SearchedIndex> {
  const { connectShards } = await import("../../retrieve/index.ts");
  const name = values.name ?? defaultIndexName;
  const transport = await connectNats(context, url, values);
  try {
    const { deadline } = values;
    const index = await connectShards(transport, {
      name,
      ...(deadline !== undefined && { deadline }),
    });
    return {
      name,
      settings: index.settings,
      search: (query) => index.search(query, { signal: context.signal }),
      close: () => transport.close(),
    };
  } catch (error) {
    await transport.close();
    throw error;
  }
}

/**
 * Refuses a model whose weights are not those that made the index's vectors: distances to them would mean nothing. An index from
 * before weights were noted takes any.
 *
 * @throws JetonError `index-model-differs`
 */
export async function checkIndexModel(
  context: CommandContext,
  name: string,
  { metadata }: SearchIndex["settings"],
): Promise<void> {
  const { model, weights } = metadata;
  if (model === undefined || weights === undefined) return;
  const found = await identifyEncoder(context, model);
  if (found === weights) return;
  throw new JetonError(
    `${model} has other weights than those that made the vectors of ${name}: index anew with --index, or bring the earlier weights back`,
    { code: "index-model-differs", details: { model, found, expected: weights } },
  );
}

/** Opens the index of a folder as it is now. */
export async function openForReading(folder: string): Promise<SearchIndex> {
  const { openIndex } = await import("../../retrieve/index.ts");
  try {
    return await openIndex(folder, { readOnly: true });
  } catch (error) {
    if (!JetonError.isInstance(error) || error.code !== "index-not-found") throw error;
    throw new JetonError(`there is no index in ${folder}: make one with jeton index PATH`, {
      code: "index-not-found",
      details: { path: folder, expected: "a folder that jeton index wrote" },
    });
  }
}
