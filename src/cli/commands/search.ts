/** `jeton search`: finds passages in an index. */
import { formatCountOf, formatDuration } from "../../core/progress.ts";
import type { Filter, Hit, SearchQuery, TokenMatch } from "../../retrieve/index.ts";
import { type Command, defineCommand, UsageError, usageLine } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { type SearchDocument, writeJson } from "../json-output.ts";
import { encoderOptions, withEncoder } from "../options/encoder-options.ts";
import { bundledEncoderName } from "../options/locate.ts";
import { refuseMisplaced } from "../options/misplaced.ts";
import { natsOptions } from "../retrieval/nats-options.ts";
import { checkIndexModel, openSearched, type SearchedIndex } from "../retrieval/searched-index.ts";
import { indexOption } from "./index-files.ts";

const { format, threads } = encoderOptions;

export const command: Command = defineCommand({
  name: "search",
  summary: "find passages in an index",
  description:
    "Ranks the passages of an index that jeton index made: by words (BM25), and, where the index has vectors, " +
    "by meaning too, both rankings fused by reciprocal ranks, or with the bundled encoder by scores of 0 to 1, of which " +
    "meaning counts a tenth. Matches are shown in their passage. With --nats the " +
    "passages of all shards that jeton serve-index answers from are ranked as those of one index; shards that give no " +
    "answer are named.",
  positionals: [{ name: "query", required: true, repeatable: true }],
  options: {
    index: indexOption,
    k: { kind: "integer", short: "k", value: "N", min: 1, default: 10, help: "passages to show" },
    filter: {
      kind: "text",
      value: "JSON",
      help: 'only passages whose fields satisfy it, e.g. {"prefix": ["path", "docs/"]}',
    },
    by: {
      kind: "text",
      value: "RANKING",
      choices: ["words", "meaning", "both"],
      help: "what ranks; default: both where the index has vectors, otherwise words",
    },
    explain: { kind: "flag", help: "show which part of a passage earned which part of its score" },
    exact: {
      kind: "flag",
      help: "score every passage's token vectors, instead of the retrieved ones",
    },
    nats: {
      kind: "text",
      value: "URL",
      help: "search an index that jeton serve-index serves on this NATS server",
    },
    ...natsOptions,
    deadline: {
      kind: "number",
      value: "SECONDS",
      min: 0.001,
      help: "time that a shard has for each step of a search; default: 10",
    },
    format,
    threads,
  },
  examples: [
    { line: 'jeton search "which weights formats are there"', shows: "the ten best passages" },
    {
      line: `jeton search "kv cache" -k 3 --explain --filter '{"prefix": ["path", "docs/"]}'`,
      shows: "three passages below docs/, with the words that were found and their scores",
    },
  ],
  async run(context, values, words) {
    const text = words.join(" ");
    if (text.trim() === "") {
      throw new UsageError("text-missing", `the query is empty: ${usageLine(command)}`);
    }
    const filter = values.filter === undefined ? undefined : parseFilter(values.filter);
    const index = await openSearched(context, values);
    try {
      const vectors = await encode(context, index, text, values);
      const started = performance.now();
      const query: SearchQuery = {
        ...(values.by !== "meaning" && { text }),
        ...vectors,
        // One ranking is fused with none.
        ...(values.by !== "meaning" && vectors.dense !== undefined && fusionFor(index)),
        ...(filter !== undefined && { filter }),
        ...(values.exact && { tokenSearch: { scoring: "exact" } }),
        k: values.k,
        // Snippets are made around the matches.
        explain: true,
      };
      const { hits, records, lost } = await index.search(query);
      const seconds = (performance.now() - started) / 1000;
      const { makeSnippet } = await import("../../retrieve/index.ts");
      const width = values.json ? 240 : Math.max(80, 3 * context.stdout.columns);
      const shown = hits.map((hit) => ({
        hit,
        snippet: makeSnippet(hit.text, hit.matches ?? [], { width }),
      }));
      if (values.json) {
        await writeJson<SearchDocument>(context.stdout, {
          query: text,
          index: index.name,
          records,
          ...(values.nats !== undefined && { lost }),
          seconds,
          hits: shown.map(({ hit: { matches, ...hit }, snippet }) => ({
            ...hit,
            snippet,
            ...(values.explain && { matches: matches ?? [] }),
          })),
        });
        return;
      }
      const blocks = shown.map(({ hit, snippet }, at) =>
        formatHit(context, hit, snippet, at, values.explain),
      );
      await context.stdout.write(blocks.map((block) => `${block}\n\n`).join(""));
      const found = hits.length === 0 ? "nothing found" : formatCountOf(hits.length, "passage");
      const { stderr } = context;
      await stderr.write(
        stderr.style.dim(`${found} of ${records} in ${formatDuration(seconds)}\n`),
      );
      for (const { shard, reason } of lost) {
        await stderr.write(
          `${stderr.style.red("warning:")} shard ${shard} is missing from this answer: ${reason}\n`,
        );
      }
    } finally {
      await index.close();
    }
  },
});

async function encode(
  context: CommandContext,
  index: SearchedIndex,
  text: string,
  values: Omit<Parameters<typeof withEncoder>[1], "model"> & {
    readonly by: string | undefined;
    readonly exact: boolean;
  },
): Promise<Pick<SearchQuery, "dense" | "tokens" | "sparse">> {
  const { model, vectors } = index.settings.metadata;
  if (vectors !== "tokens") {
    refuseMisplaced(values, ["exact"], "means nothing for an index without vectors of tokens");
  }
  if (values.by === "words" || (model === undefined && values.by === undefined)) {
    refuseMisplaced(values, ["exact", "format", "threads"], "means nothing where words rank alone");
    return {};
  }
  if (model === undefined) {
    throw new UsageError("option-conflict", `--by ${values.by}: the index has no vectors`, {
      option: "--by",
      expected: "an index made with --model",
    });
  }
  const { encodeQuery, vectorKindOf } = await import("../retrieval/encode-records.ts");
  const kind = vectorKindOf(vectors);
  await checkIndexModel(context, index.name, index.settings);
  return withEncoder(context, { ...values, model }, (encoder) =>
    encodeQuery(encoder, kind, text, context.signal),
  );
}

/**
 * The bundled encoder alone ranks far worse than words; as a tenth of the sum it adds a little to them (its card has the
 * numbers). Other encoders' rankings are fused by reciprocal ranks.
 */
function fusionFor({ settings }: SearchedIndex): Pick<SearchQuery, "fusion"> {
  const { model, vectors } = settings.metadata;
  if (model !== bundledEncoderName || (vectors !== undefined && vectors !== "dense")) return {};
  // The depth that the weight was measured with.
  return { fusion: { method: "weighted", weights: { dense: 0.1 }, depth: 1000 } };
}

function parseFilter(json: string): Filter {
  try {
    return JSON.parse(json) as Filter;
  } catch {
    throw new UsageError("option-invalid", `--filter is no JSON: ${json}`, {
      option: "--filter",
      found: json,
      expected: 'JSON, e.g. {"eq": ["path", "README.md"]}',
    });
  }
}

function formatHit(
  { stdout: { style } }: CommandContext,
  hit: Hit,
  snippet: {
    readonly start: number;
    readonly end: number;
    readonly text: string;
    readonly highlights: readonly (readonly [number, number])[];
  },
  at: number,
  explain: boolean,
): string {
  const { path, line } = hit.fields;
  const skipped = hit.text.slice(0, snippet.start).split("\n").length - 1;
  const place =
    typeof line === "number" && typeof path === "string" ? `${path}:${line + skipped}` : hit.id;
  let [marked, from] = ["", 0];
  for (const [start, end] of snippet.highlights) {
    marked +=
      snippet.text.slice(from, start) + style.bold(style.green(snippet.text.slice(start, end)));
    from = end;
  }
  marked += snippet.text.slice(from);
  const cut = `${snippet.start > 0 ? "… " : ""}${marked.trim()}${snippet.end < hit.text.length ? " …" : ""}`;
  const body = cut.replace(/\s*\n\s*/g, "\n   ");
  const parts = Object.entries(hit.parts).map(([name, score]) => `${name} ${score.toFixed(4)}`);
  const heading = `${String(at + 1).padStart(2)} ${style.cyan(place)} ${style.dim(parts.join(", "))}`;
  const reasons = explain ? `\n${formatMatches(hit.text, hit.matches ?? [])}` : "";
  return `${heading}\n   ${body}${reasons}`;
}

/** One line for each matched part, best first, equal ones once. */
function formatMatches(text: string, matches: readonly TokenMatch[]): string {
  const lines = new Map<string, { score: number; count: number }>();
  for (const { term, span, score, queryToken, imputed } of matches) {
    const found = span === undefined ? "" : JSON.stringify(text.slice(...span));
    const name = term ?? `token ${queryToken + 1}`;
    const key = imputed ? `${name}: not retrieved, bound` : `${name}: ${found}`;
    lines.set(key, { score, count: (lines.get(key)?.count ?? 0) + 1 });
  }
  return [...lines]
    .sort(([, a], [, b]) => b.score - a.score)
    .map(
      ([key, { score, count }]) =>
        `     ${score.toFixed(4)} ${key}${count > 1 ? ` (${count} times)` : ""}`,
    )
    .join("\n");
}
