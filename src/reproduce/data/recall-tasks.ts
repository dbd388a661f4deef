/**
 * Generated in-context tasks: what a document asks for at its end stands earlier in the same document,
 * and nowhere in the weights. They teach a small model to look back, and measure over which distance a
 * context method still finds what it needs.
 */
import type { Random } from "../../core/index.ts";
import { capital, fixedWordings, pick, sampleWording, unseenWordings } from "./recall-wordings.ts";

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
  /**
   * How things are told and asked for. `fixed` (default): in a few ways, with few kinds of names and
   * values; `composed`: in ways that are made anew for nearly every document; `unseen`: pairs in ways
   * that no training meets, everything else as `composed`.
   */
  readonly wordings?: "fixed" | "composed" | "unseen";
}

/** A question with the facts that answer it. */
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

interface Secret {
  readonly told: string;
  readonly asked: string;
  readonly end: string;
}

const fixedSecrets: readonly Secret[] = [
  {
    told: "The pass key is $. Remember it. ",
    asked: "What is the pass key? The pass key is ",
    end: ".",
  },
  { told: "Remember that the secret number is $. ", asked: "The secret number is ", end: "." },
  {
    told: "The door opens with the number $. ",
    asked: "Which number opens the door? It is ",
    end: ".",
  },
];

const moreSecrets: readonly Secret[] = [
  { told: "Do not forget: $ is the magic word. ", asked: "The magic word is ", end: "." },
  { told: "My token is $; keep it. ", asked: "What is my token? Your token is ", end: "." },
  { told: "[secret=$] ", asked: "\n[secret=", end: "]" },
  { told: "They hid $ under the stone. ", asked: "What did they hide? They hid ", end: "." },
  { told: "Ticket $ wins. ", asked: "Which ticket wins? Ticket ", end: " wins." },
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

/** One of the fixed styles, or where wordings are not fixed one of all. */
function pickStyle<T>(
  random: Random,
  { wordings = "fixed" }: RecallTaskOptions,
  fixed: readonly T[],
  more: readonly T[],
): T {
  return pick(random, wordings === "fixed" ? fixed : [...fixed, ...more]);
}

/** Letters and digits that no text holds. */
function makeCode(random: Random, length: number, alphabet: string): string {
  let code = "";
  for (let at = 0; at < length; at++) code += alphabet[random.integer(alphabet.length)];
  return code;
}

const digits = "0123456789";
const letters = "abcdefghijklmnopqrstuvwxyz";

/** What keys, or values, of one document look like. */
function makeNaming(
  random: Random,
  words: readonly string[],
  { wordings = "fixed" }: Pick<RecallTaskOptions, "wordings">,
): () => string {
  if (wordings === "fixed") {
    return pick(random, [
      () => pick(random, words),
      () => pick(random, words),
      () => `${pick(random, words)}${random.integer(90) + 10}`,
      () => makeCode(random, 4, digits),
      () => makeCode(random, 6, letters),
      () => capital(pick(random, words)),
    ]);
  }
  const length = 2 + random.integer(5);
  const namings: (() => string)[] = [
    () => pick(random, words),
    () => pick(random, words),
    () => capital(pick(random, words)),
    () => `${pick(random, words)} ${pick(random, words)}`,
    () => `${capital(pick(random, words))} ${capital(pick(random, words))}`,
    () => `${pick(random, words)}${random.integer(90) + 10}`,
    () => `${pick(random, words)}-${makeCode(random, 2, digits)}`,
    () => makeCode(random, length, digits),
    () => makeCode(random, 1 + random.integer(5), digits),
    () => String(10 + random.integer(90)),
    () => makeCode(random, length, letters),
    () => makeCode(random, length, letters.toUpperCase() + digits),
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
    const space = text.endsWith(" ") ? " " : "";
    const prompt = text.slice(0, text.length - space.length);
    const answer = space + question.answer;
    const made = { prompt, answer, distance: prompt.length - question.toldAt };
    text = prompt + answer + question.end;
    return made;
  });
  return { kind, text, questions: asked };
}

function makeKeyValue(random: Random, options: RecallTaskOptions): RecallTask {
  const { words, length, questions = 1, wordings = "fixed" } = options;
  const wording =
    wordings === "composed"
      ? sampleWording(random, words)
      : pick(random, wordings === "fixed" ? fixedWordings : unseenWordings);
  const makeKey = wording.keysAreNames
    ? () => pick(random, words)
    : makeNaming(random, words, options);
  const makeValue = makeNaming(random, words, options);
  let text = wording.intro;
  const told = new Map<string, { value: string; at: number }>();
  let repeated = 0;
  while (text.length < length) {
    const key = makeKey();
    if (told.has(key)) {
      // Some kinds of keys are few: a document that has most of them ends early.
      if (++repeated > 50) break;
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
  const { filler, length, wordings = "fixed" } = options;
  const isFixed = wordings === "fixed";
  const secret = pickStyle(random, options, fixedSecrets, moreSecrets);
  const answer = isFixed
    ? makeCode(random, 5, digits)
    : makeCode(random, 3 + random.integer(5), random.integer(4) > 0 ? digits : letters);
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
    { before: "Copy: ", again: "\nAgain: " },
    { before: "Repeat after me: ", again: "\nYes: " },
    { before: "", again: "\nThe same once more: " },
  ];
  const more = [
    { before: "", again: "\n" },
    { before: "<text>", again: "</text>\n<text>" },
    { before: "He said: ", again: "\nAnd again he said: " },
    { before: "# Original\n", again: "\n# Copy\n" },
  ];
  const style = pickStyle(random, options, styles, more);
  const isProse = random.uniform() < 0.3;
  const make = makeNaming(random, words, options);
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
    { intro: "A list:\n", told: (n: number) => `${n}. `, asked: (n: number) => `Number ${n} is ` },
    {
      intro: "",
      told: (n: number) => `Line ${n}: `,
      asked: (n: number) => `What does line ${n} say? Line ${n}: `,
    },
  ];
  const more = [
    { intro: "# Items\n", told: (n: number) => `${n}) `, asked: (n: number) => `${n}) ` },
    { intro: "", told: (n: number) => `#${n} = `, asked: (n: number) => `#${n} = ` },
    {
      intro: "What to do.\n",
      told: (n: number) => `Step ${n}. `,
      asked: (n: number) => `Which is step ${n}? Step ${n}. `,
    },
  ];
  const style = pickStyle(random, options, styles, more);
  const make = makeNaming(random, words, options);
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
