/**
 * Generated in-context tasks: what a document asks for at its end stands earlier in the same document,
 * and nowhere in the weights. They teach a small model to look back, and measure over which distance a
 * context method still finds what it needs.
 */
import type { Random } from "../core/index.ts";

export const recallTaskKinds = ["key-value", "passkey", "copy", "list"] as const;

/**
 * `key-value`: pairs, then questions about them; `passkey`: one number in the midst of other text;
 * `copy`: a passage, then the same again; `list`: numbered lines, then the lines by their number.
 */
export type RecallTaskKind = (typeof recallTaskKinds)[number];

export interface RecallTaskOptions {
  readonly kind: RecallTaskKind;
  /** Words from which keys, values and lists are made; at least 100, without spaces. */
  readonly words: readonly string[];
  /** Sentences that stand between what is told and what is asked. */
  readonly filler: readonly string[];
  /** Length in characters to aim at; the document ends with the last whole question. */
  readonly length: number;
  /** Questions at the end. Default 1; `passkey` asks only one. */
  readonly questions?: number;
}

/** A question with what it needs to be answered. */
export interface RecallQuestion {
  /** Everything up to the answer; it ends without a space where the answer begins with one. */
  readonly prompt: string;
  readonly answer: string;
  /** Characters between the end of what was told and the begin of the answer. */
  readonly distance: number;
}

export interface RecallTask {
  readonly kind: RecallTaskKind;
  /** The whole document with its answers. */
  readonly text: string;
  readonly questions: readonly RecallQuestion[];
}

/** How a pair is told and asked for; `asked` ends where the value begins. */
interface Wording {
  readonly intro: string;
  readonly told: (key: string, value: string) => string;
  readonly between: string;
  readonly asked: (key: string) => string;
  readonly end: string;
}

const wordings: readonly Wording[] = [
  {
    intro: "Remember these pairs.\n",
    told: (key, value) => `${key}: ${value}\n`,
    between: "Now the same again.\n",
    asked: (key) => `${key}:`,
    end: "\n",
  },
  {
    intro: "",
    told: (key, value) => `The code of ${key} is ${value}. `,
    between: "\n",
    asked: (key) => `What is the code of ${key}? The code of ${key} is`,
    end: ".\n",
  },
  {
    intro: "In the house there are many boxes. ",
    told: (key, value) => `In the box of ${key} lies ${value}. `,
    between: "\nWhat lies in the boxes?\n",
    asked: (key) => `In the box of ${key} lies`,
    end: ".\n",
  },
  {
    intro: "{\n",
    told: (key, value) => `  "${key}": "${value}",\n`,
    between: "}\n",
    asked: (key) => `The value of "${key}" is "`,
    end: '"\n',
  },
  {
    intro: "",
    told: (key, value) => `const ${key} = "${value}";\n`,
    between: "\n",
    asked: (key) => `assert(${key} === "`,
    end: '");\n',
  },
  {
    intro: "Key | Value\n",
    told: (key, value) => `${key} | ${value}\n`,
    between: "\n",
    asked: (key) => `Q: ${key}\nA:`,
    end: "\n",
  },
  {
    intro: "",
    told: (key, value) => `${key} lives in ${value}. `,
    between: "\n",
    asked: (key) => `Where does ${key} live? ${key} lives in`,
    end: ".\n",
  },
];

const secrets: readonly { told: string; asked: string; end: string }[] = [
  {
    told: "The pass key is $. Remember it. ",
    asked: "What is the pass key? The pass key is",
    end: ".",
  },
  { told: "Remember that the secret number is $. ", asked: "The secret number is", end: "." },
  {
    told: "The door opens with the number $. ",
    asked: "Which number opens the door? It is",
    end: ".",
  },
];

/** Makes one document. Equal arguments and a stream in the same state give the same document. */
export function makeRecallTask(random: Random, options: RecallTaskOptions): RecallTask {
  switch (options.kind) {
    case "key-value":
      return makeKeyValue(random, options);
    case "passkey":
      return makePasskey(random, options);
    case "copy":
      return makeCopy(random, options);
    case "list":
      return makeList(random, options);
  }
}

const pick = <T>(random: Random, items: readonly T[]): T => items[random.integer(items.length)]!;

/** Letters and digits that no text holds. */
function makeCode(random: Random, length: number, alphabet: string): string {
  let code = "";
  for (let at = 0; at < length; at++) code += alphabet[random.integer(alphabet.length)];
  return code;
}

/** What keys, or values, of one document look like. */
function makeNaming(random: Random, words: readonly string[]): () => string {
  const namings: (() => string)[] = [
    () => pick(random, words),
    () => pick(random, words),
    () => `${pick(random, words)}${random.integer(90) + 10}`,
    () => makeCode(random, 4, "0123456789"),
    () => makeCode(random, 6, "abcdefghijklmnopqrstuvwxyz"),
    () => pick(random, words).replace(/^./, (letter) => letter.toUpperCase()),
  ];
  return pick(random, namings);
}

/** Puts questions behind a context and notes what each needs. */
function ask(
  kind: RecallTaskKind,
  context: string,
  questions: readonly { asked: string; answer: string; end: string; toldAt: number }[],
): RecallTask {
  let text = context;
  const asked = questions.map((question) => {
    text += question.asked;
    // A space goes with the word after it, as tokenizers have it.
    const answer = /["\n]$/.test(text) ? question.answer : ` ${question.answer}`;
    const made = { prompt: text, answer, distance: text.length - question.toldAt };
    text += answer + question.end;
    return made;
  });
  return { kind, text, questions: asked };
}

function makeKeyValue(random: Random, options: RecallTaskOptions): RecallTask {
  const { words, length, questions = 1 } = options;
  const wording = pick(random, wordings);
  // A name in code has to begin with a letter.
  const isCode = wording.intro === "" && wording.told("", "").startsWith("const");
  const makeKey = isCode ? () => pick(random, words) : makeNaming(random, words);
  const makeValue = makeNaming(random, words);
  let text = wording.intro;
  const told = new Map<string, { value: string; at: number }>();
  while (text.length < length) {
    const key = makeKey();
    if (told.has(key)) {
      if (told.size >= words.length / 2) break;
      continue;
    }
    const value = makeValue();
    text += wording.told(key, value);
    told.set(key, { value, at: text.length });
  }
  const chosen = random.shuffle([...told]).slice(0, questions);
  const asked = chosen.map(([key, { value, at }]) => ({
    asked: wording.asked(key),
    answer: value,
    end: wording.end,
    toldAt: at,
  }));
  return ask("key-value", text + wording.between, asked);
}

function makePasskey(random: Random, options: RecallTaskOptions): RecallTask {
  const { filler, length } = options;
  const secret = pick(random, secrets);
  const answer = makeCode(random, 5, "0123456789");
  const place = random.uniform() * length;
  let text = "";
  let toldAt = -1;
  let next = random.integer(filler.length);
  while (text.length < length || toldAt < 0) {
    if (toldAt < 0 && text.length >= place) {
      text += secret.told.replace("$", answer);
      toldAt = text.length;
    }
    text += `${filler[next]!} `;
    next = (next + 1) % filler.length;
  }
  return ask("passkey", text, [{ asked: secret.asked, answer, end: secret.end, toldAt }]);
}

function makeCopy(random: Random, options: RecallTaskOptions): RecallTask {
  const { words, filler, length } = options;
  const styles = [
    { before: "Copy: ", again: "\nAgain:" },
    { before: "Repeat after me: ", again: "\nYes:" },
    { before: "", again: "\nThe same once more:" },
  ];
  const style = pick(random, styles);
  const isProse = random.uniform() < 0.3;
  const make = makeNaming(random, words);
  const parts: string[] = [];
  let size = 0;
  let next = random.integer(filler.length);
  while (size < length / 2) {
    const part = isProse ? filler[next++ % filler.length]! : make();
    parts.push(part);
    size += part.length + 1;
  }
  const passage = parts.join(" ");
  const context = style.before + passage;
  const toldAt = style.before.length;
  return ask("copy", context, [{ asked: style.again, answer: passage, end: "\n", toldAt }]);
}

function makeList(random: Random, options: RecallTaskOptions): RecallTask {
  const { words, length, questions = 1 } = options;
  const styles = [
    { intro: "A list:\n", told: (n: number) => `${n}. `, asked: (n: number) => `Number ${n} is` },
    {
      intro: "",
      told: (n: number) => `Line ${n}: `,
      asked: (n: number) => `What does line ${n} say? Line ${n}:`,
    },
  ];
  const style = pick(random, styles);
  const make = makeNaming(random, words);
  let text = style.intro;
  const told: { value: string; at: number }[] = [];
  while (text.length < length && told.length < 99) {
    const value = make();
    text += `${style.told(told.length + 1)}${value}\n`;
    told.push({ value, at: text.length });
  }
  const order = random.shuffle(told.map((_, index) => index)).slice(0, questions);
  const asked = order.map((index) => ({
    asked: style.asked(index + 1),
    answer: told[index]!.value,
    end: "\n",
    toldAt: told[index]!.at,
  }));
  return ask("list", `${text}\n`, asked);
}
