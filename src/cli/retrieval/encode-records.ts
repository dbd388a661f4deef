/** Vectors of texts for an index, by the model that the index names. */
import { embed, embedTokens, type LoadedEncoder } from "../../model/encoder/index.ts";
import type { IndexRecord, SearchQuery, TokenVectors } from "../../retrieve/index.ts";

/** What an index keeps of each text. */
export type VectorKind = "dense" | "tokens";

/** Adds vectors to records. */
export async function encodeRecords(
  model: LoadedEncoder,
  kind: VectorKind,
  records: readonly IndexRecord[],
  signal: AbortSignal,
): Promise<IndexRecord[]> {
  const texts = records.map(({ text }) => text);
  if (kind === "dense") {
    const vectors = await embed(model, texts, {
      ...promptFor(model, "document"),
      normalize: true,
      signal,
    });
    return records.map((record, i) => ({ ...record, dense: vectors[i]! }));
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
  kind: VectorKind,
  text: string,
  signal: AbortSignal,
): Promise<Pick<SearchQuery, "dense" | "tokens">> {
  if (kind === "dense") {
    const options = { ...promptFor(model, "query"), normalize: true, signal };
    return { dense: (await embed(model, [text], options))[0]! };
  }
  const [found] = await embedTokens(model, [text], { role: "query", signal });
  const { vectors, width } = found!;
  return { tokens: { dim: width, vectors } };
}

/** The model's own prompt for queries or documents, under the names that sentence-transformers uses. */
function promptFor(model: LoadedEncoder, role: "query" | "document"): { promptName?: string } {
  const names = role === "query" ? ["query"] : ["document", "passage"];
  const name = names.find((one) => Object.hasOwn(model.sentence.prompts, one));
  return name === undefined ? {} : { promptName: name };
}
