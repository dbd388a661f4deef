/** Passkey retrieval: one number hidden at some depth of a long text that says nothing (Mohtashami and Jaggi, 2023). */
import { createRandom, JetonError } from "../../core/index.ts";
import type { PlannedCell, Question } from "./evaluate-cells.ts";
import { type EvaluationReport, evaluateGrid, type MeasureGridOptions } from "./evaluate-grid.ts";
import type { EvaluatedModel } from "./evaluated-model.ts";

/** Options of `evaluatePasskey`. */
export interface EvaluatePasskeyOptions extends MeasureGridOptions {
  /** Characters of the text before the question. Default 1,000, 2,000, 4,000 and 8,000. */
  readonly lengths?: readonly number[] | undefined;
  /**
   * Lengths as multiples of the context that the model was trained for, in place of `lengths`; the prompt of 1 fits. Needs
   * a model whose context and tokens are known.
   */
  readonly windows?: readonly number[] | undefined;
  /** Places of the number in percent of the text. Default 0, 25, 50, 75 and 100. */
  readonly depths?: readonly number[] | undefined;
  /** In place of `depths`: so many equal bins, in each of which the place of every question is drawn. */
  readonly depthBins?: number | undefined;
  /** Questions of a cell. Default 5. */
  readonly repeats?: number | undefined;
  /** Its sentences stand around the number. Default: five sentences about a landscape, again and again. */
  readonly text?: string | undefined;
  /** Default 0. */
  readonly seed?: number | undefined;
}

const intro =
  "One fact stands somewhere in a long text about other things. Find it: you will be asked for it.\n";
const asked = "\nWhat is the pass key? The pass key is";
const landscape = [
  "Rain fell on the hills. ",
  "The river is wide and slow. ",
  "Birds cross the valley at dawn. ",
  "A cart stands by the road. ",
  "Nothing else is to be seen. ",
];

/**
 * Asks for a number of five digits by length and depth. An answer is right if its first number is the one.
 *
 * @throws JetonError `passkey-option-invalid`, and those of `evaluateGrid`
 */
export function evaluatePasskey(
  model: EvaluatedModel,
  options: EvaluatePasskeyOptions = {},
): Promise<EvaluationReport> {
  const { repeats = 5, seed = 0, text, depthBins } = options;
  check("repeats", [repeats], (count) => Number.isSafeInteger(count) && count >= 1, "from 1");
  const fillers = text === undefined ? landscape : sentencesOf(text);
  const lengths = chooseLengths(model, options, fillers);
  check("lengths", lengths, (length) => Number.isSafeInteger(length) && length >= 300, "from 300");
  const cells = lengths.flatMap((characters) =>
    chooseDepths(options).map(({ middle, width }): PlannedCell => {
      const place = { characters, depth: middle, width, seed, fillers };
      return {
        group: "passkey",
        axis: "depth, %",
        difficulty: middle,
        characters,
        questions: repeats,
        question: (repeat) => makePasskeyQuestion({ ...place, repeat }),
      };
    }),
  );
  const settings = {
    seed,
    ...(depthBins !== undefined && { depthBins }),
    ...(text !== undefined && { text: { characters: text.length, begins: text.slice(0, 80) } }),
  };
  return evaluateGrid(model, cells, { ...options, evaluation: "passkey", settings });
}

/** Places of the number: the middle of a range in percent, and how wide that is. */
interface DepthRange {
  readonly middle: number;
  readonly width: number;
}

function chooseDepths({ depths, depthBins }: EvaluatePasskeyOptions): DepthRange[] {
  if (depthBins === undefined) {
    const given = depths ?? [0, 25, 50, 75, 100];
    check("depths", given, (depth) => depth >= 0 && depth <= 100, "from 0 to 100");
    return given.map((middle) => ({ middle, width: 0 }));
  }
  if (depths !== undefined) throw excluded("depths", "depthBins");
  const isCount = (count: number): boolean =>
    Number.isSafeInteger(count) && count >= 1 && count <= 100;
  check("depthBins", [depthBins], isCount, "from 1 to 100");
  const width = 100 / depthBins;
  return Array.from({ length: depthBins }, (_, bin) => ({ middle: (bin + 0.5) * width, width }));
}

/** Characters of the texts. */
function chooseLengths(
  { contextLength, trainedLength, countTokens }: EvaluatedModel,
  { lengths, windows }: EvaluatePasskeyOptions,
  fillers: readonly string[],
): readonly number[] {
  if (windows === undefined) return lengths ?? [1000, 2000, 4000, 8000];
  if (lengths !== undefined) throw excluded("lengths", "windows");
  check("windows", windows, (count) => Number.isFinite(count) && count > 0, "above 0");
  const window = trainedLength ?? contextLength;
  if (window === undefined || countTokens === undefined) {
    throw new JetonError("windows need a model whose context and tokens are known: give lengths", {
      code: "passkey-option-invalid",
      details: { name: "windows", found: windows, expected: "lengths in characters" },
    });
  }
  const sample = cycle(fillers, 0, 4000);
  const perToken = sample.length / countTokens(sample);
  // What is told and asked, and the answer, take up to 64 tokens.
  return windows.map((count) => Math.floor((count * window - 64) * perToken));
}

function excluded(name: string, other: string): JetonError {
  return new JetonError(`${name} and ${other} exclude each other`, {
    code: "passkey-option-invalid",
    details: { name, expected: `${name} or ${other}` },
  });
}

/** Sentences of some length, with a space behind each. */
function sentencesOf(text: string): string[] {
  const sentences = text
    .split(/(?<=[a-z][.!?])\s+(?=[A-Z])/)
    .map((sentence) => `${sentence.replace(/\s+/g, " ").trim()} `)
    .filter(({ length }) => length > 20 && length < 240);
  check("text", [sentences.length], (count) => count >= 5, "of sentences from 5");
  return sentences;
}

/** Sentences one after the other from one of them on, cut to a length. */
function cycle(sentences: readonly string[], first: number, length: number): string {
  const parts: string[] = [];
  for (let i = first, done = 0; done < length; i++) {
    const next = sentences[i % sentences.length]!;
    parts.push(next);
    done += next.length;
  }
  return parts.join("").slice(0, length);
}

function check(
  name: string,
  values: readonly number[],
  isRight: (value: number) => boolean,
  expected: string,
): void {
  const found = values.length === 0 ? "empty" : values.find((value) => !isRight(value));
  if (found === undefined) return;
  throw new JetonError(`${name} is ${String(found)}, expected numbers ${expected}`, {
    code: "passkey-option-invalid",
    details: { name, found, expected },
  });
}

interface PasskeyPlace {
  readonly characters: number;
  readonly depth: number;
  /** Of the range around `depth` that the place is drawn from, in percent. */
  readonly width: number;
  readonly repeat: number;
  readonly seed: number;
  readonly fillers: readonly string[];
}

/** A question whose text has exactly the characters that its place says. */
function makePasskeyQuestion(place: PasskeyPlace): Question {
  const { characters, depth, width, repeat, seed, fillers } = place;
  const random = createRandom(seed, "passkey", characters, depth, repeat);
  const key = String(10_000 + random.integer(90_000));
  const told = `The pass key is ${key}. Remember it. ${key} is the pass key. `;
  const space = characters - intro.length - told.length;
  const first = random.integer(fillers.length);
  const drawn = width === 0 ? depth : depth + (random.uniform() - 0.5) * width;
  // Whole sentences before the key; the last one of the text may be cut.
  let before = "";
  let next = first;
  for (; ; next++) {
    const sentence = fillers[next % fillers.length]!;
    if (before.length + sentence.length > (drawn / 100) * space) break;
    before += sentence;
  }
  const after = cycle(fillers, fillers === landscape ? 0 : next, space - before.length);
  return {
    id: `${characters} ${depth} ${repeat}`,
    prompt: intro + before + told + after + asked,
    expected: ` ${key}.`,
    maxCharacters: 80,
    score(answer) {
      const isExact = /\d+/.exec(answer)?.[0] === key;
      return { accuracy: isExact ? 1 : 0, isExact };
    },
    isComplete: (text) => /\d+\D/.test(text),
  };
}
