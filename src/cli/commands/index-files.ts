/** `jeton index`: makes or updates an index of files. */
import { resolve } from "node:path";
import { JetonError } from "../../core/error.ts";
import { formatBytes, formatCountOf, formatDuration, formatRate } from "../../core/progress.ts";
import type { LoadedEncoder } from "../../model/encoder/types.ts";
import type { IndexRecord, SearchIndex } from "../../retrieve/index.ts";
import { type Command, defineCommand, type TextOption, UsageError } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { type IndexDocument, writeJson } from "../json-output.ts";
import { encoderOptions, identifyEncoder, withEncoder } from "../options/encoder-options.ts";
import { bundledEncoderName, createStatusLine } from "../options/locate.ts";
import { refuseMisplaced } from "../options/misplaced.ts";
import type { VectorKind } from "../retrieval/encode-records.ts";
import type { SourceFile } from "../retrieval/read-sources.ts";
import { checkIndexModel, defaultIndexFolder } from "../retrieval/searched-index.ts";

/** The option that says where the index is. */
export const indexOption: TextOption = {
  kind: "text",
  short: "i",
  value: "FOLDER",
  help: `folder of the index; default: ${defaultIndexFolder}`,
};

const { format, threads } = encoderOptions;
const model = {
  ...encoderOptions.model,
  help: "checkpoint folder of an encoder, or owner/name on the hub; default: the index's, for a new one the bundled jeton-embed",
} as const;

export const command: Command = defineCommand({
  name: "index",
  summary: "index files for jeton search",
  description:
    "Reads text files and folders, cuts them into passages and writes an index, or brings one up to date: " +
    "unchanged files are left alone, passages of changed ones replaced, and those of files that vanished " +
    "from the given paths removed. Lines of .jsonl files are records with a text, an id and fields. Words are " +
    "indexed always, and one vector for each passage, by which passages are found by meaning: of the bundled encoder, or of " +
    "--model; with --tokens one for each token, with --words none.",
  positionals: [{ name: "path", required: true, repeatable: true }],
  options: {
    index: indexOption,
    model,
    format,
    threads,
    tokens: { kind: "flag", help: "one vector for each token (late interaction)" },
    hybrid: {
      kind: "flag",
      help: "the words and one vector of each passage in one, of a model that jeton train encoder --objective dupmae or hybrid-contrastive made",
    },
    words: { kind: "flag", help: "a new index holds words alone" },
    size: {
      kind: "integer",
      value: "N",
      min: 1,
      help: "characters of a passage at most; a new index remembers it; default: 1200",
    },
    stem: { kind: "flag", help: "a new index reduces English words to their stems" },
  },
  examples: [
    { line: "jeton index docs README.md", shows: "what was read, and how large the index is" },
    {
      line: "jeton index notes --index notes.index --model path/to/encoder",
      shows: "the same, with the vectors of another encoder",
    },
  ],
  async run(context, values, paths) {
    if (values.tokens && values.hybrid) {
      throw new UsageError("option-conflict", "--tokens and --hybrid are two kinds of vectors", {
        option: "--hybrid",
      });
    }
    if (values.words && (values.tokens || values.hybrid || values.model !== undefined)) {
      const option = values.tokens ? "--tokens" : values.hybrid ? "--hybrid" : "--model";
      throw new UsageError("option-conflict", `--words means no vectors, but ${option} some`, {
        option,
      });
    }
    const folder = values.index ?? defaultIndexFolder;
    const kind: VectorKind = values.tokens ? "tokens" : values.hybrid ? "hybrid" : "dense";
    const { listSources } = await import("../retrieval/read-sources.ts");
    if (paths.some((path) => resolve(path) === resolve(folder))) {
      throw new UsageError("option-conflict", `--index ${folder} is a folder that is indexed`, {
        option: "--index",
        found: folder,
        expected: "a folder of its own",
      });
    }
    // Before the index is opened: a mistyped path makes none.
    const sources = await listSources(paths, folder);
    const { openIndex } = await import("../../retrieve/index.ts");
    const { vectorKindOf } = await import("../retrieval/encode-records.ts");
    const { readManifest } = await import("../../retrieve/store/manifest.ts");
    const stored = (await readManifest(folder))?.settings.metadata;
    const isNew = stored === undefined;
    if (values.words && stored?.["model"] !== undefined) {
      throw new UsageError("option-conflict", `--words: the index in ${folder} has vectors`, {
        option: "--words",
        expected: "a new index",
      });
    }
    const model = values.model ?? (isNew && !values.words ? bundledEncoderName : undefined);
    if ((model ?? stored?.["model"]) === undefined) {
      refuseMisplaced(values, ["format", "threads"], "means nothing for an index of words alone");
    }
    const metadata = {
      size: String(values.size ?? stored?.["size"] ?? 1200),
      ...(model !== undefined && { model, vectors: kind }),
      ...((values.tokens || values.hybrid) && { vectors: kind }),
      ...(isNew && model !== undefined && { weights: await identifyEncoder(context, model) }),
    };
    const isSaid =
      values.model !== undefined || values.size !== undefined || values.tokens || values.hybrid;
    const options = {
      // What an index was made with stays; a contradiction is an error.
      ...(isNew || isSaid ? { metadata: { ...stored, ...metadata } } : {}),
      ...(values.stem && { analyzer: { stopWords: "english", stemmer: "english" } as const }),
    };
    const index = await openIndex(folder, options).catch((error: unknown) => {
      throw describeSettings(error, folder);
    });
    try {
      const named = index.settings.metadata["model"];
      if (!isNew) await checkIndexModel(context, folder, index.settings);
      const update = (encoder?: LoadedEncoder): Promise<IndexDocument> =>
        updateIndex(context, index, {
          ...{ folder, paths, sources, encoder },
          kind: vectorKindOf(index.settings.metadata["vectors"]),
        });
      const result =
        named === undefined
          ? await update()
          : await withEncoder(context, { ...values, model: named }, update);
      if (values.json) await writeJson<IndexDocument>(context.stdout, result);
      else await context.stdout.write(`${describe(result)}\n`);
    } finally {
      await index.close();
    }
  },
});

/** Says what to do where an index was made with other options. */
function describeSettings(error: unknown, folder: string): unknown {
  if (!JetonError.isInstance(error) || error.code !== "index-settings") return error;
  const { message, code, details } = error;
  const advice = `what an index was made with stays; leave the option out, or make another with --index`;
  return new JetonError(`${folder}: ${message}; ${advice}`, { code, details, cause: error });
}

interface UpdateOptions {
  readonly folder: string;
  readonly paths: readonly string[];
  readonly sources: readonly SourceFile[];
  readonly kind: VectorKind;
  readonly encoder: LoadedEncoder | undefined;
}

async function updateIndex(
  context: CommandContext,
  index: SearchIndex,
  { folder, paths, sources, kind, encoder }: UpdateOptions,
): Promise<IndexDocument> {
  const { maxSourceBytes, readSource, toShown } = await import("../retrieval/read-sources.ts");
  const { encodeRecords } = await import("../retrieval/encode-records.ts");
  const started = performance.now();
  const line = createStatusLine(context);
  const known = recordsByPath(index);
  const size = Number(index.settings.metadata["size"] ?? 1200);
  const count = { files: 0, unchanged: 0, skipped: 0, records: 0, removed: 0, bytes: 0 };
  try {
    for (const [at, source] of sources.entries()) {
      context.signal.throwIfAborted();
      line.show(progressOf(at, sources.length, count.bytes, started));
      if (source.bytes > maxSourceBytes) {
        line.clear();
        const limit = `larger than ${formatBytes(maxSourceBytes)}`;
        await context.stderr.write(`jeton: warning: ${source.path} is left out: ${limit}\n`);
        continue;
      }
      const old = known.get(source.path) ?? [];
      known.delete(source.path);
      if (isUnchanged(index, old, source)) {
        count.unchanged++;
        continue;
      }
      const read = await readSource(source, size);
      const records: IndexRecord[] =
        encoder === undefined ? read : await encodeRecords(encoder, kind, read, context.signal);
      if (records.length === 0) count.skipped++;
      else count.files++;
      await index.put(records);
      const fresh = new Set(records.map(({ id }) => id));
      count.removed += await index.delete(old.filter((id) => !fresh.has(id)));
      count.records += records.length;
      count.bytes += source.bytes;
    }
    const roots = paths.map(toShown);
    for (const [path, ids] of known) {
      const isBelow = roots.some(
        (root) => path === root || path.startsWith(`${root}/`) || root === ".",
      );
      if (isBelow) count.removed += await index.delete(ids);
    }
    line.show("writing");
    await index.flush();
  } finally {
    line.clear();
  }
  const seconds = (performance.now() - started) / 1000;
  return { index: folder, ...count, total: index.size, seconds };
}

function recordsByPath(index: SearchIndex): Map<string, string[]> {
  const known = new Map<string, string[]>();
  for (const id of index.ids()) {
    const path = index.fields(id)!["path"];
    if (typeof path !== "string") continue;
    const ids = known.get(path);
    if (ids === undefined) known.set(path, [id]);
    else ids.push(id);
  }
  return known;
}

/**
 * Whether all passages are those of the file as it is. Passages of an older version are there too where a run was
 * killed between adding the new ones and removing the old ones.
 */
function isUnchanged(index: SearchIndex, ids: readonly string[], source: SourceFile): boolean {
  const isCurrent = (id: string): boolean => {
    const { modified, bytes } = index.fields(id)!;
    return modified === source.modified && bytes === source.bytes;
  };
  return ids.length > 0 && ids.every(isCurrent);
}

function progressOf(done: number, total: number, bytes: number, started: number): string {
  const seconds = (performance.now() - started) / 1000;
  const left = done > 0 ? `, ${formatDuration((seconds / done) * (total - done))} left` : "";
  return `indexing ${done}/${total} files, ${formatBytes(bytes)}${left}`;
}

function describe(result: IndexDocument): string {
  const { files, unchanged, skipped, removed, records, total, index, seconds, bytes } = result;
  const parts = [
    `${formatCountOf(records, "passage")} of ${formatCountOf(files, "file")} (${formatBytes(bytes)})`,
    ...(unchanged > 0 ? [`${unchanged} unchanged`] : []),
    ...(skipped > 0 ? [`${skipped} without text`] : []),
    ...(removed > 0 ? [`${formatCountOf(removed, "passage")} removed`] : []),
  ];
  const rate = seconds > 0 ? `, ${formatRate(bytes / 1e6 / seconds)} MB/s` : "";
  return `${parts.join(", ")}\n${index}: ${formatCountOf(total, "passage")}, ${formatDuration(seconds)}${rate}`;
}
