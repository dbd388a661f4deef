/** The Chroma report's corpora as windows, and which of them answer a question. */
import { createRandom } from "../../core/index.ts";
import type { SpanQuestion } from "../../evaluate/rag-token-metrics/read-questions.ts";

/** A part of a corpus. */
export interface Window {
  readonly corpus: string;
  readonly start: number;
  readonly text: string;
}

/** Questions over windows. */
export interface WindowTask {
  readonly windows: readonly Window[];
  readonly questions: readonly {
    readonly text: string;
    /** Places of the windows that hold a part of the answer. */
    readonly answers: ReadonlySet<number>;
  }[];
}

/** Windows of so many characters, one behind the other, each ended at white space. */
export function cutWindows(corpora: ReadonlyMap<string, string>, size: number): Window[] {
  const windows: Window[] = [];
  for (const [corpus, text] of corpora) {
    for (let start = 0; start < text.length; ) {
      const rest = text.slice(start, start + size);
      const last = start + size >= text.length ? rest.length : rest.search(/\s\S*$/) + 1;
      const end = start + (last > 0 ? last : rest.length);
      windows.push({ corpus, start, text: text.slice(start, end) });
      start = end;
    }
  }
  return windows;
}

/**
 * The questions whose answers lie in windows, over all windows that answer one and others drawn.
 *
 * @param options `count`: windows in all, where not more are needed
 */
export function makeWindowTask(
  windows: readonly Window[],
  questions: readonly SpanQuestion[],
  { count, seed }: { readonly count: number; readonly seed: number },
): WindowTask {
  const holding = questions.map(({ references }) =>
    windows.flatMap((window, at) => {
      const end = window.start + window.text.length;
      const holds = references.some(
        ({ corpus, start, end: last }) =>
          corpus === window.corpus && start < end && last > window.start,
      );
      return holds ? [at] : [];
    }),
  );
  const needed = new Set(holding.flat());
  const others = windows.flatMap((_, at) => (needed.has(at) ? [] : [at]));
  const drawn = createRandom(seed, "windows")
    .shuffle(others)
    .slice(0, Math.max(0, count - needed.size));
  const chosen = [...needed, ...drawn].sort((a, b) => a - b);
  const places = new Map(chosen.map((window, place) => [window, place]));
  return {
    windows: chosen.map((at) => windows[at]!),
    questions: questions.flatMap(({ question }, at) => {
      const answers = new Set(holding[at]!.map((window) => places.get(window)!));
      return answers.size === 0 ? [] : [{ text: question, answers }];
    }),
  };
}

/**
 * 1 over the rank of the first window that answers, 0 beyond ten. Of equal scores the later window ranks first, so that
 * scores that say nothing find nothing.
 *
 * @param scores of every window for every question
 */
export function reciprocalRanks(
  task: WindowTask,
  scores: readonly (readonly number[])[],
): number[] {
  return task.questions.map(({ answers }, row) => {
    const own = scores[row]!;
    const best = Math.max(...[...answers].map((at) => own[at]!));
    const before = own.filter((score, at) => !answers.has(at) && score >= best).length;
    return before < 10 && best > Number.NEGATIVE_INFINITY ? 1 / (before + 1) : 0;
  });
}
