/** What a cut of long documents costs their retrieval: LoCo's measure over one's own documents. */
import { embed } from "jeton/browser";
import {
  createBm25Ranker,
  createVectorRanker,
  evaluateLocoTask,
  type LocoTask,
  truncateDocuments,
} from "jeton/evaluate";
import { bundledEncoder } from "./search-tool.ts";
import type { CutDocuments, Tools } from "./tool-types.ts";

/** The shortest cut, in words; the next ones are twice as long each. */
const shortest = 16;

/** Ranks the whole documents and their first words, by BM25 and by the bundled encoder's vectors. */
export async function cutDocuments(
  { documents, questions }: Tools["cutDocuments"][0],
  base: string,
): Promise<Tools["cutDocuments"][1]> {
  const task = makeTask(documents, questions);
  const model = await bundledEncoder(base);
  const rankers = [
    createBm25Ranker("BM25"),
    createVectorRanker("jeton-embed", (texts) => embed(model, texts)),
  ];
  const charactersOf = (of: LocoTask): number =>
    of.documents.reduce((sum, { text }) => sum + text.length, 0);
  const longest = Math.max(...task.documents.map(({ text }) => text.split(/\s+/).length));
  const rows: CutDocuments[] = [];
  for (const words of cuts(longest)) {
    const cut = words === undefined ? task : truncateDocuments(task, words);
    const rankings: CutDocuments["rankings"][number][] = [];
    for (const ranker of rankers) {
      const { ndcg, evaluation } = await evaluateLocoTask(cut, ranker);
      const places = task.queries.map(({ id }) => {
        const [right] = task.answers.get(id)!;
        const at = evaluation.queries.get(id)!.order.indexOf(right!);
        return at < 0 ? undefined : at + 1;
      });
      rankings.push({ ranker: ranker.name, ndcg, places });
    }
    rows.push({ words, share: charactersOf(cut) / charactersOf(task), rankings });
  }
  return rows;
}

function cuts(longest: number): (number | undefined)[] {
  const words: (number | undefined)[] = [];
  for (let count = shortest; count < longest; count *= 2) words.push(count);
  return [...words, undefined];
}

function makeTask(written: string, asked: string): LocoTask {
  const documents = written
    .split(/^-{3,}\s*$/m)
    .map((text) => text.trim())
    .filter((text) => text !== "")
    .map((text, at) => ({ id: String(at + 1), text }));
  const answers = new Map<string, ReadonlySet<string>>();
  const queries = asked
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line, at) => {
      const [, number, text] = /^\s*(\d+)\s*:\s*(\S.*)$/.exec(line) ?? [];
      if (text === undefined || documents[Number(number) - 1] === undefined) {
        throw new Error(
          `Question ${at + 1} must begin with the number of its document, 1 to ${documents.length}, as in “1: ${line.trim()}”.`,
        );
      }
      answers.set(`question ${at + 1}`, new Set([String(Number(number))]));
      return { id: `question ${at + 1}`, text };
    });
  if (queries.length === 0) throw new Error("There is no question.");
  return { name: "own documents", documents, queries, answers };
}
