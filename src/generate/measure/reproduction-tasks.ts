/**
 * Prompts on which drafters are measured, of four kinds:
 *
 * - `prose`: the beginning of a paragraph of chapters that no bundled model was trained on, and open
 *   Spec-Bench requests (writing, roleplay, humanities and their like), in turns;
 * - `code`: the beginning of a TypeScript file of packages that no bundled model was trained on;
 * - `recall`: key-value recall, and lists, passages and TypeScript to be repeated, in turns;
 * - `answer`: a text and a question about it, from Spec-Bench (retrieval-augmented answers, summaries,
 *   extraction), the text cut to a length that small models can hold.
 *
 * Equal options give equal prompts: all of it is made from frozen files of the data registry.
 */
import { readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { createRandom, JetonError, type Random } from "../../core/index.ts";
import { locateData } from "../../data/index.ts";
import { heldOutChapters } from "../../reproduce/data/held-out-chapters.ts";
import { makeRecallTask } from "../../reproduce/data/recall-tasks.ts";

export const decodingTaskKinds = ["prose", "code", "recall", "answer"] as const;

export type DecodingTaskKind = (typeof decodingTaskKinds)[number];

/** One request. */
export interface DecodingTask {
  readonly kind: DecodingTaskKind;
  /** Its origin, e.g. `"spec-bench-423"`. */
  readonly name: string;
  readonly prompt: string;
}

export interface DecodingTasksOptions {
  kind: DecodingTaskKind;
  count: number;
  /** Orders the tasks. Default 0. */
  seed?: number;
  /** Leaves out the first tasks of the order. Default 0. */
  skip?: number;
  /** Longest prompt in characters. Default 1,000. */
  maxCharacters?: number;
  /** Finds a file of the data registry. Default `locateData`; a reproduction gives `context.data`. */
  locate?: (name: string) => Promise<string>;
}

/**
 * Gives requests of one kind.
 *
 * @example
 * const tasks = await decodingTasks({ kind: "recall", count: 10, seed: 1 });
 *
 * @throws JetonError `decoding-tasks-too-few` when there are not that many, and those of `locate`
 */
export async function decodingTasks(options: DecodingTasksOptions): Promise<DecodingTask[]> {
  const { kind, count, seed = 0, skip = 0 } = options;
  const { maxCharacters = 1000, locate = locateData } = options;
  const source: Source = {
    random: createRandom(seed, "decoding-tasks", kind),
    count: skip + count,
    limit: maxCharacters,
    locate,
  };
  const tasks = await makers[kind](source);
  if (tasks.length < skip + count) {
    throw new JetonError(`there are ${tasks.length} tasks of kind ${kind}, not ${skip + count}`, {
      code: "decoding-tasks-too-few",
      details: { kind, found: tasks.length, expected: skip + count },
    });
  }
  return tasks.slice(skip, skip + count).map((task) => ({ kind, ...task }));
}

interface Source {
  readonly random: Random;
  /** Tasks that are needed; more may be made. */
  readonly count: number;
  readonly limit: number;
  readonly locate: (name: string) => Promise<string>;
}

type NamedPrompt = Omit<DecodingTask, "kind">;

const makers: Readonly<Record<DecodingTaskKind, (source: Source) => Promise<NamedPrompt[]>>> = {
  async prose({ random, limit, locate }) {
    const paragraphs = await heldOutParagraphs(locate);
    const beginnings = random.shuffle(paragraphs).map(({ name, text }) => ({
      name,
      prompt: cutAtWord(text, Math.min(limit, 300)),
    }));
    const questions = await specBench(locate, openCategories);
    const requests = random
      .shuffle(questions.filter(({ text }) => text.length <= limit))
      .map(({ name, text }) => ({ name, prompt: `${text}\n\n` }));
    return interleave([beginnings, requests]);
  },

  async code({ random, limit, locate }) {
    const parts = random.shuffle(await unseenTypeScript(locate));
    return parts.map(({ name, text }) => ({ name, prompt: cutAtLine(text, Math.min(limit, 700)) }));
  },

  async recall({ random, count, limit, locate }) {
    const paragraphs = (await heldOutParagraphs(locate)).map(({ text }) => text);
    const words = commonWords(paragraphs);
    const filler = paragraphs
      .flatMap((text) => text.split(/(?<=[a-z]\.) (?=[A-Z])/))
      .filter((sentence) => sentence.length > 30 && sentence.length < 160);
    const sources = random.shuffle(await unseenTypeScript(locate));
    const prompts: NamedPrompt[] = [];
    for (let index = 0; prompts.length < count; index++) {
      const form = recallForms[index % recallForms.length]!;
      if (form === "code-copy") {
        const { name, text } = sources[prompts.length % sources.length]!;
        const part = cutAtLine(text, Math.min(limit - 100, 600));
        const first = part.split("\n").slice(0, 2).join("\n");
        prompts.push({ name, prompt: `${part}\n// The same again:\n\n${first}\n` });
        continue;
      }
      // Questions are added to the length asked for.
      const task = makeRecallTask(random.fork(index), {
        kind: form,
        words,
        filler,
        length: Math.round(limit * 0.6),
        questions: 5,
      });
      const middle = task.questions[Math.floor(task.questions.length / 2)]!;
      if (middle.prompt.length > limit) continue;
      prompts.push({ name: `${form}-${index}`, prompt: middle.prompt });
    }
    return prompts;
  },

  async answer({ random, limit, locate }) {
    const questions = random.shuffle(await specBench(locate, groundedCategories));
    return questions.flatMap((question) => groundedPrompts(question, limit));
  },
};

const openCategories = ["writing", "roleplay", "humanities", "stem", "reasoning"];
const groundedCategories = ["rag", "summarization", "extraction"];
const recallForms = ["key-value", "copy", "list", "code-copy"] as const;

/** A text with its origin. */
interface NamedText {
  readonly name: string;
  readonly text: string;
}

async function heldOutParagraphs(locate: Source["locate"]): Promise<NamedText[]> {
  const paragraphs: NamedText[] = [];
  for (const chapter of heldOutChapters) {
    const text = await readFile(await locate(`text/gibbon/${chapter}.txt`), "utf8");
    for (const [index, lines] of text.split(/\n\s*\n/).entries()) {
      const paragraph = lines.replace(/\s+/g, " ").trim();
      // Footnotes and headings are short or marked.
      if (paragraph.length < 400 || /return|\[|\]/.test(paragraph)) continue;
      // Long paragraphs give several parts of whole sentences.
      const parts = paragraph.match(/.{400,}?[.?!](?= [A-Z])|.{400,}$/g) ?? [paragraph];
      for (const [part, text] of parts.entries()) {
        paragraphs.push({ name: `gibbon-${chapter}-${index}-${part}`, text: text.trim() });
      }
    }
  }
  return paragraphs;
}

interface Question extends NamedText {
  readonly category: string;
}

async function specBench(
  locate: Source["locate"],
  categories: readonly string[],
): Promise<Question[]> {
  const file = await readFile(await locate("decoding/spec-bench-questions.jsonl"), "utf8");
  return file
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { question_id: number; category: string; turns: string[] })
    .filter(({ category }) => categories.includes(category))
    .map(({ question_id, category, turns }) => ({
      name: `spec-bench-${question_id}`,
      category,
      text: turns[0]!,
    }));
}

/**
 * A request with its text cut so that both fit. One about several passages gives two prompts, from
 * its first passage on and from its second.
 */
function groundedPrompts({ name, category, text }: Question, limit: number): NamedPrompt[] {
  if (category !== "rag") {
    const asked = category === "summarization" ? "\n\nSummary:" : "\n\nAnswer:";
    return [{ name, prompt: cutAtWord(text, limit - asked.length) + asked }];
  }
  const lines = text.split("\n");
  const question = `\n\nQuestion: ${lines.at(-1)}\nAnswer:`;
  return [0, 1].map((first) => ({
    name: first === 0 ? name : `${name}-second`,
    prompt: cutAtWord(lines.slice(first, -1).join("\n"), limit - question.length) + question,
  }));
}

/** Packages of the data folder that the bundled model was not trained on (`models/jeton-nano/sources.json`). */
const typescriptFiles = [
  "code/typescript/mobx.jsonl.gz",
  "code/typescript/trpc-client.jsonl.gz",
  "code/typescript/trpc-server.jsonl.gz",
] as const;

/** Parts of TypeScript files, of at most 1,500 characters. */
async function unseenTypeScript(locate: Source["locate"]): Promise<NamedText[]> {
  const parts: NamedText[] = [];
  for (const name of typescriptFiles) {
    const lines = gunzipSync(await readFile(await locate(name))).toString("utf8");
    for (const line of lines.trim().split("\n")) {
      const { path, text } = JSON.parse(line) as { path: string; text: string };
      let rest = text;
      for (let part = 0; part === 0 || rest.length > 700; part++) {
        const piece = cutAtLine(rest, 1500);
        parts.push({ name: `${path}-${part}`, text: piece });
        rest = rest.slice(piece.length);
      }
    }
  }
  return parts;
}

/** Words of four to nine letters, without the commonest ones. */
function commonWords(texts: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const [word] of text.matchAll(/\b[a-z]{4,9}\b/g)) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  return [...counts]
    .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
    .slice(30, 1030)
    .map(([word]) => word);
}

function cutAtWord(text: string, limit: number): string {
  if (text.length <= limit) return text;
  return text.slice(0, limit).replace(/\s+\S*$/, "");
}

/** Whole lines up to the limit; the beginning of a first line that is longer. */
function cutAtLine(text: string, limit: number): string {
  if (text.length <= limit) return text;
  return text.slice(0, text.lastIndexOf("\n", limit - 1) + 1 || limit);
}

/** One of each list in turns, until all are used up. */
function interleave<T>(lists: readonly (readonly T[])[]): T[] {
  const length = Math.max(...lists.map((list) => list.length));
  return Array.from({ length }, (_, index) =>
    lists.flatMap((list) => list.slice(index, index + 1)),
  ).flat();
}
