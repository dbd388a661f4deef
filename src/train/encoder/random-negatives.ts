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
  const least = Math.min(...pools.flatMap((pool) => pool.map(({ others }) => others.length)));
  const count = negatives ?? Math.min(defaultNegatives, least);
  if (!(count >= 1 && count <= least)) {
    const expected = negatives ?? 1;
    throw new JetonError(
      `an example has ${Math.max(0, least)} documents that are not its own, expected ${expected} for negatives`,
      { code: "example-invalid", details: { found: least, expected } },
    );
  }
  return pools.flatMap((pool, set) =>
    pool.map(({ query, document, own, others }, at) => {
      const random = createRandom(seed, "negatives", set, at);
      const drawn = others.slice(own);
      random.shuffle(drawn);
      return {
        query,
        documents: [document, ...others.slice(0, own), ...drawn].slice(0, count + 1),
      };
    }),
  );
}

interface Candidates {
  readonly query: string;
  readonly document: string;
  /** How many of the others are the example's own negatives: they stand first. */
  readonly own: number;
  /** Documents that do not answer the query, each once. */
  readonly others: readonly string[];
}

function collectNegatives(examples: readonly RankedExample[]): Candidates[] {
  const answers = new Map<string, Set<string>>();
  for (const { query, documents } of examples) {
    const known = answers.get(query) ?? new Set();
    answers.set(query, known.add(documents[0]!));
  }
  const all = new Set(examples.map(({ documents }) => documents[0]!));
  return examples.map(({ query, documents: [document, ...negatives] }) => {
    const right = answers.get(query)!;
    const own = [...new Set(negatives)].filter((text) => !right.has(text));
    const known = new Set(own);
    const others = [...all].filter((text) => !right.has(text) && !known.has(text));
    return { query, document: document!, own: own.length, others: [...own, ...others] };
  });
}
