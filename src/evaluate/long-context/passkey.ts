/** Passkey retrieval: one number hidden at some depth of a long text that says nothing (Mohtashami and Jaggi, 2023). */
import { createRandom, JetonError } from "../../core/index.ts";
import type { PlannedCell, Question } from "./evaluate-cells.ts";
import { type EvaluationReport, evaluateGrid, type MeasureGridOptions } from "./evaluate-grid.ts";
import type { EvaluatedModel } from "./evaluated-model.ts";

/** Options of `evaluatePasskey`. */
export interface EvaluatePasskeyOptions extends MeasureGridOptions {
  /** Characters of the text before the question. Default 1,000, 2,000, 4,000 and 8,000. */
  readonly lengths?: readonly number[] | undefined;
  /** Places of the number in percent of the text. Default 0, 25, 50, 75 and 100. */
  readonly depths?: readonly number[] | undefined;
  /** Questions of a cell. Default 5. */
  readonly repeats?: number | undefined;
  /** Default 0. */
  readonly seed?: number | undefined;
}

const intro =
  "One fact stands somewhere in a long text about other things. Find it: you will be asked for it.\n";
const asked = "\nWhat is the pass key? The pass key is";
const fillers = [
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
  const { lengths = [1000, 2000, 4000, 8000], depths = [0, 25, 50, 75, 100] } = options;
  const { repeats = 5, seed = 0 } = options;
  check("lengths", lengths, (length) => Number.isSafeInteger(length) && length >= 300, "from 300");
  check("depths", depths, (depth) => depth >= 0 && depth <= 100, "from 0 to 100");
  check("repeats", [repeats], (count) => Number.isSafeInteger(count) && count >= 1, "from 1");
  const cells = lengths.flatMap((characters) =>
    depths.map(
      (depth): PlannedCell => ({
        group: "passkey",
        axis: "depth, %",
        difficulty: depth,
        characters,
        questions: repeats,
        question: (repeat) => makePasskeyQuestion({ characters, depth, repeat, seed }),
      }),
    ),
  );
  const run = { ...options, evaluation: "passkey", settings: { seed } };
  return evaluateGrid(model, cells, run);
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
  readonly repeat: number;
  readonly seed: number;
}

/** A question whose text has exactly the characters that its place says. */
function makePasskeyQuestion({ characters, depth, repeat, seed }: PasskeyPlace): Question {
  const random = createRandom(seed, "passkey", characters, depth, repeat);
  const key = String(10_000 + random.integer(90_000));
  const told = `The pass key is ${key}. Remember it. ${key} is the pass key. `;
  const space = characters - intro.length - told.length;
  // Whole sentences before the key; the last one of the text may be cut.
  let before = "";
  for (let i = random.integer(fillers.length); ; i++) {
    const next = fillers[i % fillers.length]!;
    if (before.length + next.length > (depth / 100) * space) break;
    before += next;
  }
  const all = fillers.join("");
  const after = all.repeat(Math.ceil(space / all.length)).slice(0, space - before.length);
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
