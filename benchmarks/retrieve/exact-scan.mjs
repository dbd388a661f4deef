/**
 * The best exact scan that jeton's engine gives: products in blocks, with the maximum over each document's tokens and the
 * mean over the query's in the graph, so that a block gives one number a document.
 */
import { importJeton } from "../import-jeton.mjs";
import { dim, queryTokens } from "./token-corpus.mjs";

/**
 * Lays documents out in blocks of one length, filled up with a repeated token, which changes no maximum.
 * @returns {Promise<{ scan: (query: Float32Array) => Promise<Float32Array>, close: () => Promise<void> }>}
 */
export async function openExactScan({ offsets, vectors, threads, blockTokens = 16_384 }) {
  const { compile, float32, matmul, max, mean, trace } = await importJeton("tensor");
  const order = Array.from({ length: offsets.length - 1 }, (_, at) => at)
    .filter((at) => offsets[at + 1] > offsets[at])
    .sort((a, b) => offsets[a + 1] - offsets[a] - (offsets[b + 1] - offsets[b]));
  const lengthOf = (at) => Math.ceil((offsets[at + 1] - offsets[at]) / 16) * 16;
  const blocks = [];
  for (let from = 0; from < order.length; ) {
    const length = lengthOf(order[from]);
    const most = Math.max(1, Math.floor(blockTokens / length));
    let to = from;
    while (to < order.length && to - from < most && lengthOf(order[to]) === length) to++;
    const documents = order.slice(from, to);
    const rows = new Float32Array(documents.length * length * dim);
    for (const [slot, document] of documents.entries()) {
      for (let token = 0; token < length; token++) {
        const source = Math.min(offsets[document] + token, offsets[document + 1] - 1);
        rows.set(vectors.subarray(source * dim, (source + 1) * dim), (slot * length + token) * dim);
      }
    }
    blocks.push({ documents, rows, shape: [documents.length, length, dim] });
    from = to;
  }
  const graph = trace(
    { rows: float32(["documents", "length", dim]), query: float32([queryTokens, dim]) },
    ({ rows, query }) => {
      const products = matmul(rows, query, { transposeB: true });
      return { scores: mean(max(products, { axes: [1] }), { axes: [1] }) };
    },
  );
  const program = await compile(graph, { inline: true, threads });
  return {
    async scan(query) {
      const scores = new Float32Array(offsets.length - 1).fill(Number.NEGATIVE_INFINITY);
      for (const { documents, rows, shape } of blocks) {
        const found = await program.run({
          rows: { data: rows, shape },
          query: { data: query, shape: [queryTokens, dim] },
        });
        for (const [slot, document] of documents.entries())
          scores[document] = found.scores.data[slot];
      }
      return scores;
    },
    close: () => program.release(),
  };
}
