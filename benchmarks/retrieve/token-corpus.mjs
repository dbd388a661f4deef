/** Token vectors of the bundled encoder over SciFact's abstracts and other texts of the data folder, kept in a temporary folder. */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { importJeton } from "../import-jeton.mjs";

const encoderFolder = fileURLToPath(new URL("../../models/jeton-embed/", import.meta.url));
/** Numbers of a vector, and tokens of a query. */
export const dim = 128;
export const queryTokens = 32;

/**
 * Texts of the corpus, and queries.
 * @param {string} data
 */
function readTexts(data) {
  const lines = (name) => {
    const bytes = readFileSync(join(data, "retrieval/scifact", name));
    const text = (name.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
    return text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  };
  const documents = lines("corpus.jsonl.gz").map(({ title, text }) => `${title} ${text}`);
  const chunking = join(data, "retrieval/chunking");
  for (const name of readdirSync(chunking)
    .filter((one) => one.endsWith(".md"))
    .sort()) {
    const text = readFileSync(join(chunking, name), "utf8");
    for (let at = 0; at < text.length; at += 1200) documents.push(text.slice(at, at + 1200));
  }
  // A claim is shorter than 32 tokens: each query is as many claims as fill them.
  const claims = lines("queries-test.jsonl").map(({ text }) => text);
  const queries = claims.map((_, at) =>
    [0, 1, 2, 3].map((step) => claims[(at + step) % claims.length]).join(" "),
  );
  return { documents, queries };
}

/**
 * Vectors of documents up to a number of tokens, and of queries of 32 tokens.
 * @param {{ data: string, tokens: number, queries: number, log: (line: string) => void }} options
 * @returns {Promise<{ offsets: Uint32Array, vectors: Float32Array, spans: Uint32Array, texts: string[], queries: Float32Array[] }>}
 */
export async function readTokenCorpus({ data, tokens, queries, log }) {
  const weights = readFileSync(join(encoderFolder, "model.safetensors"));
  const key = createHash("sha256").update(weights).update(`${tokens} ${queries} 3`).digest("hex");
  const folder = join(tmpdir(), `jeton-bench-retrieve-${key.slice(0, 12)}`);
  const files = ["offsets", "spans", "vectors", "queries"].map((name) => join(folder, name));
  const texts = readTexts(data);
  if (!files.every((file) => existsSync(file))) {
    mkdirSync(folder, { recursive: true });
    const made = await embedTexts(texts, { tokens, queries, log, folder });
    for (const [at, array] of made.entries()) {
      writeFileSync(
        `${files[at]}.part`,
        new Uint8Array(array.buffer, array.byteOffset, array.byteLength),
      );
      renameSync(`${files[at]}.part`, files[at]);
    }
  }
  const read = (at) => {
    const bytes = readFileSync(files[at]);
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  };
  const offsets = new Uint32Array(read(0));
  const rows = new Float32Array(read(3));
  const size = queryTokens * dim;
  return {
    folder,
    offsets,
    spans: new Uint32Array(read(1)),
    vectors: new Float32Array(read(2)),
    texts: texts.documents.slice(0, offsets.length - 1),
    queries: Array.from({ length: rows.length / size }, (_, at) =>
      rows.subarray(at * size, (at + 1) * size),
    ),
  };
}

/** Documents of a part, which is kept as soon as it is embedded. */
const partSize = 512;

async function embedTexts(texts, { tokens, queries, log, folder }) {
  const { embedTokens, loadEncoder } = await importJeton("model");
  const encoder = await loadEncoder(encoderFolder);
  try {
    const lengths = [];
    const parts = [];
    let total = 0;
    for (let at = 0; at < texts.documents.length && total < tokens; at += partSize) {
      const path = join(folder, `part-${at}`);
      if (!existsSync(path)) {
        const some = await embedTokens(encoder, texts.documents.slice(at, at + partSize));
        keepPart(path, some);
      }
      const part = readPart(path);
      for (let i = 0; i < part.lengths.length && total < tokens; i++) {
        lengths.push(part.lengths[i]);
        total += part.lengths[i];
      }
      parts.push(part);
      log(`embedding: ${total} of ${tokens} tokens`);
    }
    const vectors = new Float32Array(total * dim);
    const spans = new Uint32Array(total * 2);
    let done = 0;
    for (const part of parts) {
      const count = Math.min(part.spans.length / 2, total - done);
      vectors.set(part.vectors.subarray(0, count * dim), done * dim);
      spans.set(part.spans.subarray(0, count * 2), done * 2);
      done += count;
    }
    const asked = await embedTokens(encoder, texts.queries.slice(0, queries), { role: "query" });
    const rows = new Float32Array(asked.length * queryTokens * dim);
    for (const [at, query] of asked.entries()) {
      rows.set(query.vectors.subarray(0, queryTokens * dim), at * queryTokens * dim);
    }
    normalize(vectors);
    normalize(rows);
    const offsets = new Uint32Array(lengths.length + 1);
    for (const [at, length] of lengths.entries()) offsets[at + 1] = offsets[at] + length;
    return [offsets, spans, vectors, rows];
  } finally {
    await encoder.close();
  }
}

/** Lengths, spans and vectors of some documents as one file. */
function keepPart(path, documents) {
  const lengths = Uint32Array.from(documents, ({ vectors }) => vectors.length / dim);
  const spans = Uint32Array.from(documents.flatMap((one) => one.spans.flat()));
  const head = Uint32Array.of(lengths.length, spans.length);
  const arrays = [head, lengths, spans, ...documents.map(({ vectors }) => vectors)];
  const bytes = arrays.map((one) => new Uint8Array(one.buffer, one.byteOffset, one.byteLength));
  writeFileSync(`${path}.new`, Buffer.concat(bytes));
  renameSync(`${path}.new`, path);
}

function readPart(path) {
  const { buffer, byteOffset, byteLength } = readFileSync(path);
  const bytes = buffer.slice(byteOffset, byteOffset + byteLength);
  const [count, places] = new Uint32Array(bytes, 0, 2);
  return {
    lengths: new Uint32Array(bytes, 8, count),
    spans: new Uint32Array(bytes, 8 + 4 * count, places),
    vectors: new Float32Array(bytes, 8 + 4 * (count + places)),
  };
}

function normalize(rows) {
  for (let start = 0; start < rows.length; start += dim) {
    let square = 0;
    for (let i = start; i < start + dim; i++) square += rows[i] ** 2;
    const length = Math.sqrt(square) || 1;
    for (let i = start; i < start + dim; i++) rows[i] /= length;
  }
}
