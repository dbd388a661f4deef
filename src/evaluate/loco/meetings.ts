/** QMSum's meetings as one task: each meeting is one document, and its questions or their summaries are queries. */
import type { RankedText } from "../ranking/rankers.ts";
import type { LocoTask } from "./loco.ts";

/** Options of `makeMeetingTask`. */
export interface MeetingTaskOptions {
  /** How many of the files are asked about; meetings of the others are only there to be searched. */
  readonly asked: number;
  /** `"questions"`: the short ones; `"summaries"`: their reference answers, as LoCo has it. */
  readonly queries: "questions" | "summaries";
}

/** A meeting as QMSum writes it. */
export interface Meeting {
  readonly meeting_transcripts: readonly Turn[];
  readonly specific_query_list: readonly {
    readonly query: string;
    /** The reference summary. */
    readonly answer: string;
    /** First and last turns that answer, both included, as numbers in digits. */
    readonly relevant_text_span: readonly (readonly [first: string, last: string])[];
  }[];
}

interface Turn {
  readonly speaker: string;
  readonly content: string;
}

/** The meetings of a file, one on each line. */
export function parseMeetings(text: string): Meeting[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => JSON.parse(line) as Meeting);
}

/** What was said, with the speaker's name in front. */
export const formatTurn = ({ speaker, content }: Turn): string => `${speaker}: ${content}`;

/**
 * Makes the task of the texts of QMSum's files. In SCROLLS the question stands in front of each copy of a meeting; here
 * every meeting is there once.
 *
 * @param files texts of lines of JSON, one meeting each
 */
export function makeMeetingTask(files: readonly string[], options: MeetingTaskOptions): LocoTask {
  const documents: RankedText[] = [];
  const queries: RankedText[] = [];
  const answers = new Map<string, Set<string>>();
  for (const [number, text] of files.entries()) {
    for (const { meeting_transcripts: turns, specific_query_list: questions } of parseMeetings(
      text,
    )) {
      const id = `meeting-${documents.length}`;
      documents.push({ id, text: turns.map(formatTurn).join("\n") });
      if (number >= options.asked) continue;
      for (const [at, { query, answer }] of questions.entries()) {
        const name = `${id}-${at}`;
        queries.push({ id: name, text: options.queries === "questions" ? query : answer });
        answers.set(name, new Set([id]));
      }
    }
  }
  return { name: `meetings by ${options.queries}`, queries, documents, answers };
}
