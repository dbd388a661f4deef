/** Examples with negatives that are drawn from the other documents of their file. */
import { createRandom, JetonError } from "../../core/index.ts";
import { listCorpusFiles } from "../data/corpus-files.ts";
import { type RankedExample, readRankedExamples } from "./example-files.ts";

/** How many negatives an example has by default. */
const defaultNegatives = 32;

/**
 * Reads ranked examples so that all have equally many negatives: first their own, then others of the same file, drawn
 * without repetition. A document that answers the query in any example of the file is none.
 *
 * @param options `negatives`: default 32, or as many as every example can have
 * @throws JetonError `example-invalid` where an example has fewer, and those of `readRankedExamples`
 */
export async function sampleNegatives(
  files: readonly string[],
  { negatives, seed }: { readonly negatives: number | undefined; readonly seed: number },
): Promise<RankedExample[]> {
  const sets: RankedExample[][] = [];
  for (const file of await listCorpusFiles(files)) sets.push(await readRankedExamples([file]));
  const pools = sets.map(collectNegatives);
  const least = pools
    .flatMap(({ candidates }) => candidates)
    .reduce((fewest, { count }) => Math.min(fewest, count), Number.POSITIVE_INFINITY);
  const count = negatives ?? Math.min(defaultNegatives, least);
  if (!(count >= 1 && count <= least)) {
    const expected = negatives ?? 1;
    throw new JetonError(
      `an example has ${Math.max(0, least)} documents that are not its own, expected ${expected} for negatives`,
      { code: "example-invalid", details: { found: least, expected } },
    );
  }
  return pools.flatMap(({ all, candidates }, set) =>
    candidates.map(({ query, document, own, right }, at) => {
      const others = [...all].filter((text) => !right.has(text) && !own.has(text));
      const drawn = createRandom(seed, "negatives", set, at).shuffle(others);
      return { query, documents: [document, ...own, ...drawn].slice(0, count + 1) };
    }),
  );
}

interface Candidates {
  readonly query: string;
  readonly document: string;
  /** Documents that answer the query. */
  readonly right: ReadonlySet<string>;
  /** The example's own negatives that do not. */
  readonly own: ReadonlySet<string>;
  /** How many documents of the file and own negatives do not answer the query, each once. */
  readonly count: number;
}

/** Documents of a file, and what each example may not or must have of them. */
interface Pool {
  readonly all: ReadonlySet<string>;
  readonly candidates: readonly Candidates[];
}

function collectNegatives(examples: readonly RankedExample[]): Pool {
  const answers = new Map<string, Set<string>>();
  for (const { query, documents } of examples) {
    const known = answers.get(query) ?? new Set();
    answers.set(query, known.add(documents[0]!));
  }
  const all = new Set(examples.map(({ documents }) => documents[0]!));
  const candidates = examples.map(({ query, documents: [document, ...negatives] }) => {
    const right = answers.get(query)!;
    const own = new Set(negatives.filter((text) => !right.has(text)));
    // Every right document is one of all; an own negative may be another one.
    const outside = [...own].filter((text) => !all.has(text)).length;
    return { query, document: document!, right, own, count: all.size - right.size + outside };
  });
  return { all, candidates };
}
