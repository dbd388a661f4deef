/** Vectors of texts for an index, by the model that the index names. */
import {
  embed,
  embedHybrid,
  embedSparse,
  embedTokens,
  type LoadedEncoder,
} from "../../model/encoder/index.ts";
import { hybridTerms } from "../../retrieve/dupmae/index.ts";
import type { IndexRecord, SearchQuery, TokenVectors } from "../../retrieve/index.ts";

/** What an index keeps of each text. */
export type VectorKind = "dense" | "tokens" | "hybrid";

/** Words that a passage keeps of a hybrid representation. */
const terms = 384;

/** The kind that an index's metadata names. */
export function vectorKindOf(name: string | undefined): VectorKind {
  return name === "tokens" || name === "hybrid" ? name : "dense";
}

/** A model of weights of the vocabulary (SPLADE) has no other vectors. */
function kindOf(kind: VectorKind, { sentence }: LoadedEncoder): VectorKind | "sparse" {
  return kind === "dense" && sentence.sparse !== undefined ? "sparse" : kind;
}

/** Adds vectors to records. */
export async function encodeRecords(
  model: LoadedEncoder,
  named: VectorKind,
  records: readonly IndexRecord[],
  signal: AbortSignal,
): Promise<IndexRecord[]> {
  const kind = kindOf(named, model);
  const texts = records.map(({ text }) => text);
  if (kind === "sparse") {
    const found = await embedSparse(model, texts, { role: "document", signal });
    return records.map((record, i) => ({ ...record, sparse: found[i]! }));
  }
  if (kind === "dense") {
    const vectors = await embed(model, texts, { role: "document", normalize: true, signal });
    return records.map((record, i) => ({ ...record, dense: vectors[i]! }));
  }
  if (kind === "hybrid") {
    const vectors = await embedHybrid(model, texts, { terms, signal });
    const { vocabSize } = model.config;
    return records.map((record, i) => ({ ...record, sparse: hybridTerms(vectors[i]!, vocabSize) }));
  }
  const found = await embedTokens(model, texts, { role: "document", signal });
  return records.map((record, i) => {
    const { vectors, width, spans } = found[i]!;
    const tokens: TokenVectors = {
      dim: width,
      vectors,
      spans: Uint32Array.from(spans.flat()),
    };
    return { ...record, tokens };
  });
}

/** The vectors of a query. */
export async function encodeQuery(
  model: LoadedEncoder,
  named: VectorKind,
  text: string,
  signal: AbortSignal,
): Promise<Pick<SearchQuery, "dense" | "tokens" | "sparse">> {
  const kind = kindOf(named, model);
  if (kind === "sparse") {
    const [sparse] = await embedSparse(model, [text], { role: "query", signal });
    return { sparse: sparse! };
  }
  if (kind === "dense") {
    const [dense] = await embed(model, [text], { role: "query", normalize: true, signal });
    return { dense: dense! };
  }
  if (kind === "hybrid") {
    const [vector] = await embedHybrid(model, [text], { signal });
    return { sparse: hybridTerms(vector!, model.config.vocabSize) };
  }
  const [found] = await embedTokens(model, [text], { role: "query", signal });
  const { vectors, width } = found!;
  return { tokens: { dim: width, vectors } };
}
