/**
 * How pairs of a key and a value are told and asked for.
 *
 * A small model that has met few wordings learns the wordings: asked in others, it finds nothing. So most
 * documents get one that is composed anew, of signs, of random words or of the phrases below, and a few
 * (`unseenWordings`) are kept for telling whether a model looks up or knows phrases.
 */
import type { Random } from "../../core/index.ts";

/** How the pairs of one document are told and asked for. */
export interface Wording {
  readonly intro: string;
  readonly told: (key: string, value: string) => string;
  readonly between: string;
  /** Ends where the value begins, with the space before it, if there is one. */
  readonly asked: (key: string) => string;
  readonly end: string;
  /** Keys have to be single words that begin with a letter. Default false. */
  readonly keysAreNames?: boolean;
}

export const fixedWordings: readonly Wording[] = [
  {
    intro: "Remember these pairs.\n",
    told: (key, value) => `${key}: ${value}\n`,
    between: "Now the same again.\n",
    asked: (key) => `${key}: `,
    end: "\n",
  },
  {
    intro: "",
    told: (key, value) => `The code of ${key} is ${value}. `,
    between: "\n",
    asked: (key) => `What is the code of ${key}? The code of ${key} is `,
    end: ".\n",
  },
  {
    intro: "In the house there are many boxes. ",
    told: (key, value) => `In the box of ${key} lies ${value}. `,
    between: "\nWhat lies in the boxes?\n",
    asked: (key) => `In the box of ${key} lies `,
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
    keysAreNames: true,
  },
  {
    intro: "Key | Value\n",
    told: (key, value) => `${key} | ${value}\n`,
    between: "\n",
    asked: (key) => `Q: ${key}\nA: `,
    end: "\n",
  },
  {
    intro: "",
    told: (key, value) => `${key} lives in ${value}. `,
    between: "\n",
    asked: (key) => `Where does ${key} live? ${key} lives in `,
    end: ".\n",
  },
];

/** Wordings that no training meets: their nouns, verbs and signs stand in no other list of this file. */
export const unseenWordings: readonly Wording[] = [
  {
    intro: "",
    told: (key, value) => `${key}'s number is ${value}. `,
    between: "\n",
    asked: (key) => `${key}'s number is `,
    end: ".\n",
  },
  {
    intro: "Here are the passwords.\n",
    told: (key, value) => `The password for ${key} is ${value}.\n`,
    between: "\n",
    asked: (key) => `The password for ${key} is `,
    end: ".\n",
  },
  {
    intro: "",
    told: (key, value) => `${key} bought ${value} apples. `,
    between: "\n",
    asked: (key) => `How many apples did ${key} buy? ${key} bought `,
    end: " apples.\n",
  },
  {
    intro: "",
    told: (key, value) => `${key} -> ${value}\n`,
    between: "\n",
    asked: (key) => `${key} -> `,
    end: "\n",
  },
  {
    intro: "<map>\n",
    told: (key, value) => `<entry id="${key}">${value}</entry>\n`,
    between: "</map>\n",
    asked: (key) => `<entry id="${key}">`,
    end: "</entry>\n",
  },
  {
    intro: "At breakfast: ",
    told: (key, value) => `${key} ate ${value} today. `,
    between: "\n",
    asked: (key) => `What did ${key} eat? This morning ${key} ate `,
    end: ".\n",
  },
  {
    intro: "",
    told: (key, value) => `Dear ${key}, your table is ${value}. `,
    between: "\n",
    asked: (key) => `Dear ${key}, your table is `,
    end: ".\n",
  },
];

const nouns = words(
  "age score color job team hobby pet car book key card seat gate flight prize shelf drawer price weight " +
    "height street city country friend teacher song dish drink tree stone coin ship horse tool sign rank " +
    "room floor bed lamp door phone address answer level mark rate share title",
);
const verbs = words(
  "likes wants sees knows sold found lost chose took gave wrote owns carries keeps needs paints plays " +
    "follows holds brings calls reads opens pays earns hides names builds",
);
const relations = [
  ...words("works plays sits travels waits sleeps stands stays walks").flatMap((verb) =>
    words("with at near under to").map((place) => `${verb} ${place}`),
  ),
  ...["comes from", "belongs to", "is called", "is", "costs", "stands for", "means", "weighs"],
];
const signs = [
  ": ",
  " = ",
  " => ",
  " | ",
  " - ",
  "\t",
  ", ",
  " / ",
  " := ",
  "=",
  ":",
  " :: ",
  " ~ ",
];
const wraps = [
  ["", ""],
  ["", ""],
  ["", ""],
  ['"', '"'],
  ["'", "'"],
  ["`", "`"],
  ["[", "]"],
  ["(", ")"],
  ["<", ">"],
  ["**", "**"],
] as const;
const bullets = ["", "", "", "- ", "* ", "  ", "let ", "set ", "# ", "+ "];
const ends = ["\n", "\n", "\n", "; ", ", ", ";\n", ",\n", " | "];
const intros = [
  ...["", "", "", "", "Read this.\n", "Note:\n", "The facts: ", "Data\n\n", "We know this. "],
  ...["# List\n", "Once more, in order:\n", "{\n", "Table\n", "It was written: ", "// map\n"],
];
const betweens = [
  ...[
    "\n",
    "\n",
    "\n\n",
    "Again:\n",
    "\nQuestions\n",
    "\nNow answer.\n",
    "---\n",
    "\nLook it up.\n",
  ],
  ...["\nAnd so ", "}\n", "\n# Answers\n", "\nAsked later:\n", "\nThat was all.\n"],
];
const answers = ["It is ", "A: ", "Answer: ", "", "The answer is "];

function words(text: string): string[] {
  return text.split(" ");
}

/** One of the items, each as probable as another. */
export function pick<T>(random: Random, items: readonly T[]): T {
  return items[random.integer(items.length)]!;
}

/** The same text with a capital at its beginning. */
export function capital(text: string): string {
  return text.replace(/^./, (letter) => letter.toUpperCase());
}

/**
 * Draws a wording for one document: one in five is fixed, the others are composed.
 *
 * @param vocabulary words from which sentences without meaning are made
 */
export function sampleWording(random: Random, vocabulary: readonly string[]): Wording {
  const kind = random.integer(10);
  if (kind < 2) return pick(random, fixedWordings);
  if (kind < 5) return composeSigns(random, vocabulary);
  if (kind < 7) return composeNonsense(random, vocabulary);
  return composePhrase(random);
}

/** A line of signs: `- [key] => "value";`. */
function composeSigns(random: Random, vocabulary: readonly string[]): Wording {
  const bullet = random.integer(8) === 0 ? `${pick(random, vocabulary)} ` : pick(random, bullets);
  const [openKey, closeKey] = pick(random, wraps);
  const [openValue, closeValue] = pick(random, wraps);
  const sign = pick(random, signs);
  const end = pick(random, ends);
  const told = (key: string, value: string): string =>
    `${bullet}${openKey}${key}${closeKey}${sign}${openValue}${value}${closeValue}${end}`;
  const same = (key: string): string => `${bullet}${openKey}${key}${closeKey}${sign}${openValue}`;
  const asked = pick(random, [
    same,
    same,
    same,
    (key: string) => `${key}${sign}${openValue}`,
    (key: string) => `The value of ${openKey}${key}${closeKey} is ${openValue}`,
    (key: string) => `${capital(key)}? ${openValue}`,
    (key: string) => `Q: ${key}\nA: ${openValue}`,
  ]);
  return {
    intro: pick(random, intros),
    told,
    between: `${end.endsWith("\n") ? "" : "\n"}${pick(random, betweens)}`,
    asked,
    end: `${closeValue}\n`,
  };
}

/** Words without meaning around both: nothing but the key tells where the value stands. */
function composeNonsense(random: Random, vocabulary: readonly string[]): Wording {
  const draw = (least: number, most: number): string =>
    Array.from({ length: least + random.integer(most - least + 1) }, () => pick(random, vocabulary))
      .map((word) => `${word} `)
      .join("");
  const before = capital(draw(0, 3));
  const middle = draw(1, 3);
  const behind = draw(0, 2).trim();
  const told = (key: string, value: string): string =>
    `${before}${key} ${middle}${value}${behind === "" ? "" : ` ${behind}`}. `;
  return {
    intro: pick(random, intros),
    told,
    between: `\n${pick(random, betweens)}`,
    asked: (key) => `${before}${key} ${middle}`,
    end: ".\n",
  };
}

/** A sentence: `The age of key is value.`, asked for in the same words or in a question. */
function composePhrase(random: Random): Wording {
  const noun = pick(random, nouns);
  const relation = random.integer(2) === 0 ? pick(random, relations) : pick(random, verbs);
  const answer = pick(random, answers);
  /** Each with its statement and with the questions that fit it. */
  const phrases: readonly (readonly [
    told: (key: string, value: string) => string,
    ...asked: ((key: string) => string)[],
  ])[] = [
    [
      (key, value) => `The ${noun} of ${key} is ${value}`,
      (key) => `The ${noun} of ${key} is `,
      (key) => `What is the ${noun} of ${key}? The ${noun} of ${key} is `,
      (key) => `What is the ${noun} of ${key}? ${answer}`,
      (key) => `Tell me the ${noun} of ${key}. ${answer}`,
    ],
    [
      (key, value) => `${key}'s ${noun} is ${value}`,
      (key) => `${key}'s ${noun} is `,
      (key) => `What is ${key}'s ${noun}? ${answer}`,
      (key) => `The ${noun} of ${key} is `,
    ],
    [
      (key, value) => `${key} has the ${noun} ${value}`,
      (key) => `${key} has the ${noun} `,
      (key) => `Which ${noun} has ${key}? ${answer}`,
    ],
    [
      (key, value) => `${key} has ${value} ${noun}s`,
      (key) => `${key} has `,
      (key) => `How many ${noun}s does ${key} have? ${key} has `,
    ],
    [
      (key, value) => `${key} ${relation} ${value}`,
      (key) => `${key} ${relation} `,
      (key) => `Who or what? ${key} ${relation} `,
      (key) => `Today ${key} ${relation} `,
    ],
    [
      (key, value) => `the ${noun} ${key} ${relation} ${value}`,
      (key) => `The ${noun} ${key} ${relation} `,
      (key) => `What of the ${noun} ${key}? The ${noun} ${key} ${relation} `,
    ],
    [
      (key, value) => `For ${key} the ${noun} is ${value}`,
      (key) => `For ${key} the ${noun} is `,
      (key) => `And for ${key}? ${answer}`,
    ],
    [
      (key, value) => `${capital(noun)} for ${key}: ${value}`,
      (key) => `${capital(noun)} for ${key}: `,
      (key) => `${key}, ${noun}: `,
    ],
    [
      (key, value) => `${value} is the ${noun} of ${key}`,
      (key) => `The ${noun} of ${key} is `,
      (key) => `What is the ${noun} of ${key}? ${answer}`,
    ],
    [
      (key, value) => `I met ${key} (${value})`,
      (key) => `I met ${key} (`,
      (key) => `In brackets behind ${key} stood `,
    ],
  ];
  const [told, ...questions] = pick(random, phrases);
  const asked = pick(random, questions);
  const end = pick(random, [". ", ". ", ". ", ".\n", ", ", "; "]);
  return {
    intro: pick(random, intros),
    told: (key, value) => `${told(key, value)}${end}`,
    between: `${end.endsWith("\n") ? "" : "\n"}${pick(random, betweens)}`,
    asked,
    end: asked("").endsWith("(") ? ")\n" : ".\n",
  };
}
