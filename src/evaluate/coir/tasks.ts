/** The benchmark's ten sets in their four groups, and the schema that each set has. */

import type { RankedText } from "../ranking/rankers.ts";

/** What is looked for with what. */
export type CoirGroup = "text-to-code" | "code-to-text" | "code-to-code" | "hybrid";

/** One of the ten sets. */
export interface CoirTask {
  readonly name: string;
  readonly group: CoirGroup;
  /** What a query is, and what its document. */
  readonly sentence: string;
  /** Names of the parts that are scored apart and averaged: languages of CodeSearchNet; empty otherwise. */
  readonly parts: readonly string[];
  /** Test queries and documents, as the paper counts them. */
  readonly queries: string;
  readonly documents: string;
}

const languages: readonly string[] = ["go", "java", "javascript", "ruby", "python", "php"];

/** The ten sets, in the paper's order. In `codesearchnet` code is the query and its comment the document. */
export const coirTasks: readonly CoirTask[] = [
  makeTask("apps", "text-to-code", "contest problem to Python program", "3.8k", "9k"),
  makeTask("cosqa", "text-to-code", "web query to Python function", "500", "21k"),
  makeTask("synthetic-text2sql", "text-to-code", "question to SQL", "6k", "106k"),
  makeTask("codesearchnet", "code-to-text", "function to comment", "53k", "1M", languages),
  makeTask(
    "codesearchnet-ccr",
    "code-to-code",
    "function's start to its rest",
    "53k",
    "1M",
    languages,
  ),
  makeTask("codetrans-dl", "code-to-code", "program to another framework", "180", "816"),
  makeTask("codetrans-contest", "code-to-code", "C++ to Python program", "446", "1k"),
  makeTask("stackoverflow-qa", "hybrid", "question to answer", "2k", "20k"),
  makeTask("codefeedback-st", "hybrid", "instruction to answer", "31k", "156k"),
  makeTask("codefeedback-mt", "hybrid", "dialogue to answer", "13k", "66k"),
];

function makeTask(
  name: string,
  group: CoirGroup,
  sentence: string,
  queries: string,
  documents: string,
  parts: readonly string[] = [],
): CoirTask {
  return { name, group, sentence, parts, queries, documents };
}

/** A text with its id; documents have titles where the set has them. */
export type CoirText = RankedText;

/** A set: the same schema for all, that of BEIR and MTEB. */
export interface CoirSet {
  readonly name: string;
  readonly documents: readonly CoirText[];
  readonly queries: readonly CoirText[];
  /** Judged level by query and document. */
  readonly judgments: ReadonlyMap<string, ReadonlyMap<string, number>>;
}
