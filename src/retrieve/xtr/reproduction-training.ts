/** Small token encoders trained alike but for their score, and the vectors that they give. */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { readText } from "../../checkpoint/files/read-text.ts";
import { writeFileAtomically } from "../../checkpoint/index.ts";
import { createRandom } from "../../core/index.ts";
import { embedTokens, loadEncoder } from "../../model/index.ts";
import type { ReproductionContext } from "../../reproduce/index.ts";
import { trainEncoder } from "../../train/index.ts";

/** How large a run is. */
export interface Scale {
  readonly seeds: number;
  readonly steps: number;
  readonly batch: number;
  /** k_train of the paper: how many tokens of the batch each token of a query retrieves. */
  readonly candidates: number;
  /** Documents of the corpus, and questions to it. */
  readonly documents: number;
  readonly queries: number;
}

/** Tokens of a document and of a query at most. */
export const lengths = { documentLength: 96, queryLength: 24 } as const;
export const width = 64;

/** How an encoder was trained; `"none"` has random projections over the first weights. */
export type Scoring = "xtr" | "max-sim" | "none";

/** SciFact: claims, and abstracts that bear on them. */
export interface Corpus {
  readonly documents: readonly { readonly id: string; readonly text: string }[];
  readonly queries: readonly {
    readonly text: string;
    readonly relevant: ReadonlySet<string>;
  }[];
  /** What the encoders learn from: titles with their abstracts, and claims of the training set with theirs. */
  readonly pairs: readonly { readonly query: string; readonly document: string }[];
}

/** Reads SciFact's abstracts; the corpus is what the chosen questions need and others drawn from the rest. */
export async function readCorpus(
  context: Pick<ReproductionContext, "data" | "seed">,
  { documents: size, queries: count }: Scale,
): Promise<Corpus> {
  const folder = dirname(await context.data("retrieval/scifact/corpus.jsonl.gz"));
  for (const name of [
    "qrels-test.tsv",
    "qrels-train.tsv",
    "queries-test.jsonl",
    "queries-train.jsonl",
  ]) {
    await context.data(`retrieval/scifact/${name}`);
  }
  const lines = async (name: string): Promise<Record<string, string>[]> => {
    const text = await readText(join(folder, name));
    return text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, string>);
  };
  const all = (await lines("corpus.jsonl.gz")).map(({ _id, title, text }) => ({
    id: _id!,
    title: title!,
    body: text!,
    text: `${title} ${text}`,
  }));
  const judged = async (name: string): Promise<Map<string, Set<string>>> => {
    const found = new Map<string, Set<string>>();
    const table = (await readFile(join(folder, name), "utf8")).trim().split("\n");
    for (const line of table.slice(1)) {
      const [query, document, score] = line.split("\t") as [string, string, string];
      if (Number(score) > 0)
        found.set(query, (found.get(query) ?? new Set<string>()).add(document));
    }
    return found;
  };
  const relevant = await judged("qrels-test.tsv");
  const random = createRandom(context.seed, "xtr corpus");
  const questions = (await lines("queries-test.jsonl")).filter(({ _id }) => relevant.has(_id!));
  const queries = random
    .shuffle(questions)
    .slice(0, count)
    .map(({ _id, text }) => ({ text: text!, relevant: relevant.get(_id!)! }));
  const wanted = new Set(queries.flatMap((query) => [...query.relevant]));
  const others = random.shuffle(all.filter(({ id }) => !wanted.has(id)));
  const documents = [
    ...all.filter(({ id }) => wanted.has(id)),
    ...others.slice(0, Math.max(0, size - wanted.size)),
  ].map(({ id, text }) => ({ id, text }));
  const textOf = new Map(all.map(({ id, text }) => [id, text]));
  const learned = await judged("qrels-train.tsv");
  const claims = (await lines("queries-train.jsonl")).flatMap(({ _id, text }) =>
    [...(learned.get(_id!) ?? [])].map((id) => ({ query: text!, document: textOf.get(id)! })),
  );
  const pairs = [...all.map(({ title, body }) => ({ query: title, document: body })), ...claims];
  return { documents, queries, pairs };
}

/** Vectors of one text's tokens. */
export interface EmbeddedText {
  /** `[tokens, width]`, of length 1. */
  readonly vectors: Float32Array;
  readonly ids: Int32Array;
}

/** What an encoder makes of a corpus. */
export interface EmbeddedCorpus {
  readonly documents: readonly EmbeddedText[];
  readonly queries: readonly EmbeddedText[];
}

/** Trains an encoder, and embeds the corpus with it. */
export async function trainAndEmbed(
  context: Pick<ReproductionContext, "folder" | "model" | "progress" | "signal">,
  corpus: Corpus,
  scale: Scale,
  { scoring, seed }: { readonly scoring: Scoring; readonly seed: number },
): Promise<EmbeddedCorpus> {
  const settings = { scoring, seed, scale };
  const folder = await context.folder(`training-${scoring}-${seed}`, settings);
  const examples = join(folder, "pairs.jsonl");
  await writeFileAtomically(
    examples,
    corpus.pairs.map((pair) => `${JSON.stringify(pair)}\n`).join(""),
  );
  // An encoder that learns nothing still gets its projection: one step of a rate of 0.
  const steps = scoring === "none" ? 1 : scale.steps;
  const peak = scoring === "none" ? 0 : 1e-3;
  const { modelFolder } = await trainEncoder({
    folder: join(folder, "run"),
    existing: "resume",
    initialWeights: await context.model("jeton-embed"),
    examples: [examples],
    objective: {
      kind: "token-contrastive",
      scoring: scoring === "none" ? "max-sim" : scoring,
      ...(scoring === "xtr" && { candidates: scale.candidates }),
      temperature: 0.03,
      negatives: 0,
      width,
    },
    ...lengths,
    steps,
    batch: scale.batch,
    schedule: { kind: "linear", peak, final: 0, steps, warmupSteps: Math.ceil(steps / 20) },
    seed,
    threads: 1,
    checkpointEvery: 50,
    signal: context.signal,
    onProgress: ({ step }) => context.progress(`training ${scoring}, seed ${seed}`, step, steps),
  });
  context.progress(`embedding with ${scoring}, seed ${seed}`);
  await using encoder = await loadEncoder(modelFolder, { threads: 1 });
  const embedAll = async (
    texts: readonly string[],
    role: "query" | "document",
  ): Promise<EmbeddedText[]> => {
    const found: EmbeddedText[] = [];
    for (let at = 0; at < texts.length; at += 64) {
      context.signal.throwIfAborted();
      const some = await embedTokens(encoder, texts.slice(at, at + 64), {
        role,
        signal: context.signal,
      });
      found.push(...some.map(({ vectors, ids }) => ({ vectors, ids })));
    }
    return found;
  };
  return {
    documents: await embedAll(
      corpus.documents.map(({ text }) => text),
      "document",
    ),
    queries: await embedAll(
      corpus.queries.map(({ text }) => text),
      "query",
    ),
  };
}
