/**
 * Generated classification tasks: each document invents classes, names them with labels that mean nothing
 * elsewhere, and gives labelled examples before the input that is asked for. What the labels stand for is
 * nowhere in the weights, so a model that answers has read the examples.
 */
import type { Random } from "../../core/index.ts";
import { capital, pick } from "./recall-wordings.ts";

export interface LabelTaskOptions {
  /** Words from which labels and inputs are made; at least 100, without spaces. */
  readonly words: readonly string[];
  /** Texts of several kinds, such as sentences of prose and lines of code; at least two kinds. */
  readonly kinds: readonly (readonly string[])[];
  /** Length in characters to aim at; the document ends with the last whole question. */
  readonly length: number;
  /** Questions at the end. Default 4. */
  readonly questions?: number;
}

/** An input with its label. */
export interface LabelledInput {
  readonly input: string;
  readonly label: string;
}

/** An input that is asked for with the examples before it. */
export interface LabelQuestion extends LabelledInput {
  /** Everything up to the label; it ends without a space where the answer begins with one. */
  readonly prompt: string;
  readonly answer: string;
  /** All labels of the document, spelled as the answer is. */
  readonly labels: readonly string[];
}

export interface LabelTask {
  /** The whole document with its answers. */
  readonly text: string;
  readonly examples: readonly LabelledInput[];
  readonly questions: readonly LabelQuestion[];
}

/** Draws an input of a class by its number. */
type DrawInput = (label: number) => string;

/** How examples are written: what stands before an input, between it and its label, and behind that. */
interface Layout {
  readonly intro: string;
  readonly before: string;
  readonly between: string;
  readonly behind: string;
}

/** Makes one document. Equal arguments and a stream in the same state give the same document. */
export function makeLabelTask(random: Random, options: LabelTaskOptions): LabelTask {
  const { words, length, questions = 4 } = options;
  const spell = random.integer(3) === 0 ? capital : (label: string): string => label;
  const labels = random
    .shuffle([...words])
    .slice(0, 2 + random.integer(3))
    .map(spell);
  const draw = pick(random, [drawByWord, drawByWord, drawByShape, drawByText])(
    random,
    options,
    labels.length,
  );
  const { intro, before, between, behind } = composeLayout(random);
  const drawExample = (): LabelledInput => {
    const label = random.integer(labels.length);
    return { input: draw(label), label: labels[label]! };
  };
  const examples: LabelledInput[] = [];
  let text = intro;
  while (text.length < length) {
    const example = drawExample();
    examples.push(example);
    text += before + example.input + between + example.label + behind;
  }
  // A space goes with the word after it, as tokenizers have it.
  const space = between.endsWith(" ") ? " " : "";
  const asked = Array.from({ length: questions }, (): LabelQuestion => {
    const example = drawExample();
    const whole = text + before + example.input + between;
    const prompt = whole.slice(0, whole.length - space.length);
    const answer = space + example.label;
    text = prompt + answer + behind;
    return { ...example, prompt, answer, labels: labels.map((name) => space + name) };
  });
  return { text, examples, questions: asked };
}

function composeLayout(random: Random): Layout {
  const names = pick(random, [
    ["Input", "Label"],
    ["Text", "Class"],
    ["Q", "A"],
    ["Sentence", "Category"],
    ["Item", "Kind"],
    ["in", "out"],
  ] as const);
  const sign = pick(random, [": ", " = ", " - ", " is "]);
  return pick<Layout>(random, [
    {
      intro: pick(random, ["", "Classify.\n", "Give each its label.\n"]),
      before: `${names[0]}: `,
      between: `\n${names[1]}: `,
      behind: pick(random, ["\n", "\n\n"]),
    },
    { intro: "", before: "", between: pick(random, [" => ", " -> ", " | ", ": "]), behind: "\n" },
    { intro: "", before: `${names[0]}${sign}`, between: ` ${names[1]}${sign}`, behind: "\n" },
    {
      intro: "",
      before: '"',
      between: `" ${pick(random, ["is", "means", "goes to"])} `,
      behind: ".\n",
    },
  ]);
}

/** A class is a few words: an input has one of them among others. */
function drawByWord(random: Random, { words }: LabelTaskOptions, classes: number): DrawInput {
  const perClass = 1 + random.integer(3);
  const marks = random.shuffle([...words]).slice(0, classes * perClass);
  const others = 1 + random.integer(4);
  return (label) => {
    const mark = marks[label * perClass + random.integer(perClass)]!;
    const around = Array.from({ length: others }, () => drawOther(random, words, marks));
    around.splice(random.integer(others + 1), 0, mark);
    return around.join(" ");
  };
}

function drawOther(random: Random, words: readonly string[], marks: readonly string[]): string {
  for (;;) {
    const word = pick(random, words);
    if (!marks.includes(word)) return word;
  }
}

/** A class is a shape of writing: numbers, capitals, words of few or of many letters. */
function drawByShape(random: Random, { words }: LabelTaskOptions, classes: number): DrawInput {
  const short = words.filter((word) => word.length <= 5);
  const long = words.filter((word) => word.length >= 8);
  const shapes = random.shuffle([
    () => String(10 + random.integer(9990)),
    () => capital(pick(random, words)),
    () => pick(random, words).toUpperCase(),
    () => `${pick(random, words)} ${pick(random, words)}`,
    () => `${pick(random, words)}_${pick(random, words)}`,
    ...(short.length > 0 && long.length > 0
      ? [() => pick(random, short), () => pick(random, long)]
      : []),
  ]);
  return (label) => shapes[label % Math.min(classes, shapes.length)]!();
}

/** A class is a kind of text; with more classes than kinds some have two of them by a word in front. */
function drawByText(
  random: Random,
  { kinds, words }: LabelTaskOptions,
  classes: number,
): DrawInput {
  const order = random.shuffle([...kinds]);
  const marks = random.shuffle([...words]).slice(0, classes);
  return (label) => {
    const text = pick(random, order[label % order.length]!);
    return classes > order.length ? `${marks[label]} ${text}` : text;
  };
}
