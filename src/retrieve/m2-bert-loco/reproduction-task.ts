/** QMSum's meetings cut into long documents, some to learn from and some to search among. */
import { createRandom } from "../../core/index.ts";
import type { LocoTask } from "../../evaluate/loco/loco.ts";
import { formatTurn, type Meeting, parseMeetings } from "../../evaluate/loco/meetings.ts";

/** Files of QMSum: meetings that are asked about, and those that are learned from. */
export const askedFiles: readonly string[] = [
  "retrieval/qmsum/test.jsonl",
  "retrieval/qmsum/val.jsonl",
];
export const learnedFiles: readonly string[] = [
  "retrieval/qmsum/academic-train.jsonl.gz",
  "retrieval/qmsum/committee-train.jsonl.gz",
];

/** Consecutive turns of a meeting, together about so many words. */
interface Segment {
  readonly from: number;
  /** The turn behind the last. */
  readonly to: number;
  readonly turns: readonly string[];
}

function cutMeeting({ meeting_transcripts: all }: Meeting, words: number): Segment[] {
  const segments: Segment[] = [];
  let turns: string[] = [];
  let count = 0;
  for (const [at, turn] of all.entries()) {
    turns.push(formatTurn(turn));
    count += turn.content.split(/\s+/).length;
    if (count < words && at + 1 < all.length) continue;
    segments.push({ from: at + 1 - turns.length, to: at + 1, turns });
    [turns, count] = [[], 0];
  }
  return segments;
}

/** A query and the document that it comes from. */
export interface TrainingPair {
  readonly query: string;
  readonly document: string;
}

/**
 * Pairs without labels: a turn of a segment, and the segment (inverse cloze; Lee et al., 2019). The turn stays in it.
 *
 * @param texts of QMSum's files
 */
export function makeTrainingPairs(
  texts: readonly string[],
  { words, seed, perSegment }: { words: number; seed: number; perSegment: number },
): TrainingPair[] {
  return texts.flatMap(parseMeetings).flatMap((meeting, number) =>
    cutMeeting(meeting, words).flatMap(({ turns, from }) => {
      const long = turns.filter((turn) => turn.split(/\s+/).length >= 12);
      const random = createRandom(seed, "turns", number, from);
      return random
        .shuffle([...long])
        .slice(0, perSegment)
        .map((turn) => ({ query: turn.replace(/^[^:]*: /, ""), document: turns.join("\n") }));
    }),
  );
}

/** All that was said in some files, a meeting's segment a text. */
export function makeTexts(texts: readonly string[], words: number): string[] {
  return texts
    .flatMap(parseMeetings)
    .flatMap((meeting) => cutMeeting(meeting, words).map(({ turns }) => turns.join("\n")));
}

/**
 * Segments of the meetings that are asked about: the reference summary of each question is a query, and the segments
 * that hold a turn of its span answer it.
 *
 * @param options `documents`: all that answer, and others drawn up to this number
 */
export function makeSegmentTask(
  texts: readonly string[],
  options: { words: number; seed: number; documents: number; queries: number },
): LocoTask {
  const all: { id: string; text: string }[] = [];
  const asked: { id: string; text: string; answers: Set<string> }[] = [];
  for (const [number, meeting] of texts.flatMap(parseMeetings).entries()) {
    const segments = cutMeeting(meeting, options.words);
    for (const { from, turns } of segments)
      all.push({ id: `${number}-${from}`, text: turns.join("\n") });
    for (const [at, question] of meeting.specific_query_list.entries()) {
      const spans = question.relevant_text_span.map(([first, last]) => [
        Number(first),
        Number(last),
      ]);
      const own = segments.filter(({ from, to }) =>
        spans.some(([first, last]) => first! < to && last! >= from),
      );
      if (own.length === 0) continue;
      const answers = new Set(own.map(({ from }) => `${number}-${from}`));
      asked.push({ id: `q${number}-${at}`, text: question.answer, answers });
    }
  }
  const random = createRandom(options.seed, "segments");
  const queries = random.shuffle(asked).slice(0, options.queries);
  const needed = new Set(queries.flatMap(({ answers }) => [...answers]));
  const others = random.shuffle(all.filter(({ id }) => !needed.has(id)));
  const spare = Math.max(0, options.documents - needed.size);
  const documents = [...all.filter(({ id }) => needed.has(id)), ...others.slice(0, spare)];
  return {
    name: "segments of meetings by summaries",
    queries: queries.map(({ id, text }) => ({ id, text })),
    documents,
    answers: new Map(queries.map(({ id, answers }) => [id, answers])),
  };
}
