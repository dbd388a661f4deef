/** What data mixture inference says of published tokenizers. */
import { readFile } from "node:fs/promises";
import { meanOf, type ReproductionContext } from "../../reproduce/index.ts";
import { type InferredMixture, inferMixture } from "./data-mixture-inference.ts";
import { loadMergeList } from "./merge-list.ts";
import {
  type Corpus,
  groupLines,
  loadEncyclopedia,
  loadHistory,
  loadPython,
} from "./reproduction-corpora.ts";

/**
 * The published tokenizers of the data folder, with the categories that it allows. The samples are
 * small and old-fashioned (history for books, biomedicine for academia), so that only large
 * differences mean something.
 */
export async function readPublishedTokenizers(
  context: ReproductionContext<"published-tokenizers">,
): Promise<void> {
  const cutLines = async (name: string): Promise<string[]> =>
    groupLines(await readFile(await context.data(name), "utf8"));
  const categories: Corpus[] = [
    { name: "web (reviews, mail, forums)", documents: await cutLines("text/ud/en-ewt-dev.txt") },
    { name: "code (Python)", documents: await loadPython(context) },
    { name: "books (history)", documents: (await loadHistory(context)).slice(0, 4000) },
    { name: "academic (biomedicine)", documents: await cutLines("retrieval/chunking/pubmed.md") },
    { name: "encyclopedia", documents: await loadEncyclopedia(context) },
    { name: "finance", documents: await cutLines("retrieval/chunking/finance.md") },
  ];
  for (const language of ["de", "es", "fr", "ru", "zh", "ar", "hi", "ko", "pl", "tr"]) {
    categories.push({ name: language, documents: await cutLines(`text/pud/${language}.txt`) });
  }
  const merges = 1000;
  const folders = ["gpt2", "gpt-neox", "llama-2", "mistral-v0.2", "claude-1"];
  const paperCode = [0.7, 15.2, 19.2, 25.8, 57.5];
  const code: number[] = [];
  const details: Record<string, unknown> = {};
  for (const [number, folder] of folders.entries()) {
    context.progress("published tokenizers", number, folders.length);
    const path = await context.data(`tokenizers/${folder}/tokenizer.json`);
    const list = await loadMergeList(path, { maxMerges: merges });
    const infer = (slackPer: "merge" | "pair"): Promise<InferredMixture> =>
      inferMixture(
        list,
        categories.map(({ name, documents }) => ({ name, texts: documents })),
        { parts: 1, slackPer, signal: context.signal },
      );
    const percentOf = ({ shares }: InferredMixture): Record<string, number> =>
      Object.fromEntries(shares.map(({ name, share }) => [name, Number((share * 100).toFixed(1))]));
    const answer = await infer("merge");
    code.push(100 * answer.shares[1]!.share);
    details[folder] = {
      percent: percentOf(answer),
      asPublished: percentOf(await infer("pair")),
      slackPerMillion: Math.round(answer.violation),
      violatedMerges: answer.violatedMerges,
      missingMerges: answer.missingMerges.length,
      droppedEntries: answer.droppedEntries,
    };
  }
  context.report("published-tokenizers", {
    measured: meanOf(code.map((share, i) => Math.abs(share - paperCode[i]!))),
    control: meanOf(
      code.map((share, i) => Math.abs(share - paperCode[(i + 1) % paperCode.length]!)),
    ),
    details: { merges, ...details },
  });
}
