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

interface Meeting {
  readonly meeting_transcripts: readonly { readonly speaker: string; readonly content: string }[];
  readonly specific_query_list: readonly Question[];
}

interface Question {
  readonly query: string;
  readonly answer: string;
}

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
    for (const line of text.split("\n")) {
      if (line.trim() === "") continue;
      const meeting = JSON.parse(line) as Meeting;
      const id = `meeting-${documents.length}`;
      documents.push({ id, text: meetingText(meeting) });
      if (number >= options.asked) continue;
      const questions = meeting.specific_query_list;
      for (const [at, { query, answer }] of questions.entries()) {
        const name = `${id}-${at}`;
        queries.push({ id: name, text: options.queries === "questions" ? query : answer });
        answers.set(name, new Set([id]));
      }
    }
  }
  return { name: `meetings by ${options.queries}`, queries, documents, answers };
}

/** What was said, by line, with the speaker's name in front. */
function meetingText({ meeting_transcripts: turns }: Meeting): string {
  return turns.map(({ speaker, content }) => `${speaker}: ${content}`).join("\n");
}
