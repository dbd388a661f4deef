/** Search with token vectors of the bundled encoder, BM25 and vectors of whole texts: calls the library. */
import { embed, embedTokens, fetchEncoder, type LoadedEncoder, locateWasm } from "jeton/browser";
import { createIndex, type Hit, type SearchIndex } from "jeton/retrieve";
import { openOnce } from "./open-once.ts";
import type { SearchRanking, Tools } from "./tool-types.ts";

/** The bundled encoder, by the address of the page. */
export const bundledEncoder: (base: string) => Promise<LoadedEncoder> = openOnce((base) => {
  locateWasm(new URL("onnxruntime/", base).href);
  return fetchEncoder(new URL("models/jeton-embed/", base), { threads: 1 });
});

/** The index of the last texts. */
let indexed: { readonly key: string; readonly index: Promise<SearchIndex> } | undefined;

/** Finds lines of a text, and tells by which of their tokens. */
export async function searchLines(
  { query, text, candidates }: Tools["searchLines"][0],
  base: string,
): Promise<Tools["searchLines"][1]> {
  const model = await bundledEncoder(base);
  if (indexed?.key !== text) {
    await indexed?.index.then((index) => index.close()).catch(() => undefined);
    indexed = { key: text, index: indexLines(model, text) };
  }
  const index = await indexed.index;
  const [dense] = await embed(model, [query], { normalize: true });
  const [tokens] = await embedTokens(model, [query], { role: "query" });
  const own = words(query, tokens!);
  const search = async (
    ranker: string,
    asked: Parameters<SearchIndex["search"]>[0],
  ): Promise<SearchRanking> => {
    const hits = await index.search({ ...asked, k: 4, explain: true });
    return { ranker, hits: hits.map((hit) => describeHit(hit)) };
  };
  const vectors = pick(tokens!.vectors, tokens!.width, own.rows);
  return {
    queryTokens: own.texts,
    rankings: [
      await search("token vectors", {
        tokens: { dim: tokens!.width, vectors },
        tokenSearch: { scoring: "imputed", candidates },
      }),
      await search("BM25", { text: query }),
      await search("vectors of whole lines", { dense: dense! }),
    ],
  };
}

async function indexLines(model: LoadedEncoder, text: string): Promise<SearchIndex> {
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const [vectors, tokens] = [
    await embed(model, lines, { normalize: true }),
    await embedTokens(model, lines),
  ];
  const index = createIndex();
  await index.put(
    lines.map((line, at) => {
      const { rows } = words(line, tokens[at]!);
      const { width } = tokens[at]!;
      return {
        id: String(at),
        text: line,
        dense: vectors[at]!,
        tokens: {
          dim: width,
          vectors: pick(tokens[at]!.vectors, width, rows),
          spans: Uint32Array.from(rows.flatMap((row) => [...tokens[at]!.spans[row]!])),
        },
      };
    }),
  );
  return index;
}

/** Rows of tokens that stand in the text: markers at its ends say nothing of it. */
function words(
  text: string,
  { spans }: { readonly spans: readonly (readonly [number, number])[] },
): { rows: number[]; texts: string[] } {
  const rows = [...spans.keys()].filter((row) => spans[row]![1] > spans[row]![0]);
  return { rows, texts: rows.map((row) => text.slice(...spans[row]!)) };
}

function pick(vectors: Float32Array, width: number, rows: readonly number[]): Float32Array {
  const picked = new Float32Array(rows.length * width);
  for (const [at, row] of rows.entries()) {
    picked.set(vectors.subarray(row * width, (row + 1) * width), at * width);
  }
  return picked;
}

function describeHit({ text, score, matches = [] }: Hit): SearchRanking["hits"][number] {
  return {
    text,
    score,
    matches: matches.map(({ queryToken, span, score: part, imputed, term }) => ({
      queryToken,
      score: part,
      imputed,
      ...(term !== undefined && { term }),
      ...(span && { span }),
    })),
  };
}
