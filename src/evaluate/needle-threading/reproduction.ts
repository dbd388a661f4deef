/**
 * Measures what the paper finds of large models on the bundled one, with short codes, beside programs that look keys up; and
 * how far context policies find a key on small models that were trained to look keys up.
 */

import { loadModel } from "../../model/index.ts";
import {
  defineReproduction,
  meanOf,
  type Plot,
  type Reproduction,
  type ReproductionContext,
} from "../../reproduce/index.ts";
import { loadTokenizer } from "../../tokenizer/index.ts";
import {
  type CellResult,
  type EvaluatedModel,
  type EvaluationReport,
  evaluateLocally,
} from "../long-context/index.ts";
import { printHaystack, samplePairs } from "./haystack.ts";
import { evaluateNeedleThreading, type NeedleGrid } from "./needle-threading.ts";
import { measurePolicies, policyClaims } from "./reproduction-policies.ts";
import { findCodes } from "./score-answer.ts";

const control = "a program that looks every key up";
const where = "jeton-nano (1,024 tokens), tables of codes of 4 digits";
/** Claims that compare accuracies of cells. */
const compared = {
  unit: "% of questions",
  units: "haystacks",
  control,
  direction: "higher",
  effect: "difference",
} as const;

const claims = [
  {
    ...compared,
    id: "falls-with-length",
    text: `One value is found less often in the longest context that fits than in the shortest: ${where}`,
    paper: {
      value: 41.2,
      unit: "percentage points",
      compares: "effect",
      setting: "Llama-3.1-8B from 1.2K to 128K tokens, mean of five tasks",
    },
    reproduced: 15,
    partly: 5,
    quick: { reproduced: 10, partly: 2 },
  },
  {
    id: "effective-limit",
    text: `Length at which one value is found in 75 % of the questions, by depth, as a share of the longest context that fits: ${where}`,
    paper: { words: "far below the advertised window for nearly every model" },
    unit: "of the longest context",
    units: "depths",
    control,
    direction: "lower",
    effect: "value",
    noEffect: 1,
    reproduced: 0.6,
    partly: 0.9,
    quick: { reproduced: 0.8, partly: 0.95 },
  },
  {
    ...compared,
    id: "threads-are-harder",
    text: `One lookup succeeds more often than a chain of two at the same lengths: ${where}`,
    paper: {
      words:
        "threading falls towards 0 with length and lookups; single needles are found by most models",
    },
    reproduced: 25,
    partly: 10,
    quick: { reproduced: 20, partly: 5 },
  },
  {
    ...compared,
    id: "forward-is-easier",
    text: `Chains that run forward through the text are followed more often than those that run backward: ${where}`,
    paper: { words: "forward above backward for nearly all models" },
    reproduced: 5,
    partly: 1,
    quick: { reproduced: 5, partly: 1 },
  },
  {
    ...compared,
    id: "lost-in-the-middle",
    text: `One value is found more often at the ends of the context than in its middle half: ${where}`,
    paper: { words: "single-needle accuracy is lowest towards the middle" },
    reproduced: 5,
    partly: 1,
    quick: { reproduced: 5, partly: 1 },
  },
  {
    id: "tokens-of-a-pair",
    text: "Tokens of a pair of UUIDs with GPT-4o's tokenizer: distance from the paper's number, over whole haystacks of 100 pairs",
    paper: { value: 0, unit: "tokens", compares: "measured", setting: "50 tokens a pair" },
    unit: "tokens",
    units: "haystacks",
    control: "GPT-2's tokenizer",
    direction: "lower",
    effect: "value",
    noEffect: 25,
    reproduced: 1,
    partly: 2,
    quick: { reproduced: 1, partly: 2 },
  },
  ...policyClaims,
] as const;

type Context = ReproductionContext<(typeof claims)[number]["id"]>;

/** A pair of UUIDs with GPT-4o's tokenizer, as the paper says it. */
const paperTokens = 50;

const ends = [0, 100];
const middle = [25, 50, 75];

export const reproduction: Reproduction = defineReproduction({
  system: "needle-threading",
  module: import.meta.url,
  models: ["jeton-nano"],
  claims,
  async run(context) {
    await context.part(() => countTokens(context));
    const plot = await context.part(() => measureGrid(context));
    const panel = await context.part(() => measurePolicies(context));
    if (!plot || !panel) return plot;
    return { ...plot, panels: [...plot.panels, panel] };
  },
});

/** A program that reads the table and follows each key to its end. */
const chaser: EvaluatedModel = {
  name: "program",
  contextLength: undefined,
  countTokens: undefined,
  concurrency: 1,
  answer: async (prompt) => {
    const pairs = new Map([...prompt.matchAll(/^(\S+) \| (\S+)$/gm)].map(([, k, v]) => [k!, v!]));
    const question = prompt.slice(prompt.lastIndexOf("Q:"));
    let value = findCodes(question, 4)[0]!;
    for (let next = pairs.get(value); next !== undefined; next = pairs.get(value)) value = next;
    return value;
  },
};

async function measureGrid(context: Context): Promise<Plot> {
  const { quick, seed, signal } = context;
  const grid: Partial<NeedleGrid> = {
    tasks: ["single", "threading"],
    pairs: quick ? [8, 64] : [8, 16, 32, 64, 96],
    depths: [...ends, ...middle].sort((a, b) => a - b),
    threadLengths: [2],
    directions: ["forward", "backward"],
    repeats: quick ? 6 : 20,
  };
  const folder = await context.model();
  const measure = async (model: EvaluatedModel): Promise<EvaluationReport> =>
    evaluateNeedleThreading(model, {
      grid,
      seed,
      codeLength: 4,
      wording: "table",
      signal,
      onProgress: (done, total) => context.progress(`asking ${model.name}`, done, total),
    });
  const report = await context.remember("grid", grid, async () => {
    const model = await loadModel(folder, { threads: 1, slots: 1 });
    try {
      return await measure(evaluateLocally(model, { name: "jeton-nano" }));
    } finally {
      await model.close();
    }
  });
  reportGrid(context, report, await measure(chaser));
  return plotOf(report);
}

/** Means in percent by haystack: over all cells that fit, of each repeat. */
function byHaystack({ cells }: EvaluationReport, isMeant: (cell: CellResult) => boolean): number[] {
  const chosen = cells.filter((cell) => cell.accuracy !== null && isMeant(cell));
  return Array.from({ length: chosen[0]!.questions }, (_, repeat) => {
    const sum = chosen.reduce((total, { scores }) => total + scores[repeat]!, 0);
    return (100 * sum) / chosen.length;
  });
}

function reportGrid(context: Context, report: EvaluationReport, program: EvaluationReport): void {
  const fitting = report.cells.filter(({ accuracy }) => accuracy !== null);
  const lengths = fitting.map(({ characters }) => characters);
  const [shortest, longest] = [Math.min(...lengths), Math.max(...lengths)];
  const isSingle = ({ group }: CellResult): boolean => group === "single";
  type Choice = (cell: CellResult) => boolean;
  const compare = (
    id: (typeof claims)[number]["id"],
    what: Choice,
    beside: Choice,
    name: string,
  ): void => {
    const [measured, baseline] = [byHaystack(report, what), byHaystack(report, beside)];
    // The program's own difference, set upon the model's baseline.
    const [best, other] = [byHaystack(program, what), byHaystack(program, beside)];
    context.report(id, {
      measured: meanOf(measured),
      baseline: meanOf(baseline),
      baselineName: name,
      control: meanOf(baseline.map((value, i) => value + best[i]! - other[i]!)),
    });
  };
  compare(
    "falls-with-length",
    (cell) => isSingle(cell) && cell.characters === shortest,
    (cell) => isSingle(cell) && cell.characters === longest,
    `${longest} characters`,
  );
  compare(
    "threads-are-harder",
    isSingle,
    ({ group }) => group.startsWith("threading"),
    "two lookups",
  );
  compare(
    "forward-is-easier",
    ({ group }) => group === "threading, forward",
    ({ group }) => group === "threading, backward",
    "backward",
  );
  compare(
    "lost-in-the-middle",
    (cell) => isSingle(cell) && ends.includes(cell.difficulty),
    (cell) => isSingle(cell) && middle.includes(cell.difficulty),
    "depths of 25, 50 and 75 %",
  );
  const sharesOf = ({ limits }: EvaluationReport): number[] =>
    limits
      .find(({ group }) => group === "single")!
      .limits.map(({ characters }) => Math.min(1, characters / longest));
  context.report("effective-limit", {
    measured: meanOf(sharesOf(report)),
    control: meanOf(sharesOf(program)),
    details: {
      limits: report.limits,
      windowCharacters: report.windowCharacters,
      cells: report.cells.map(({ group, difficulty, characters, accuracy, interval }) => ({
        group,
        difficulty,
        characters,
        accuracy,
        interval,
      })),
    },
  });
}

async function countTokens(context: Context): Promise<void> {
  const haystacks = Array.from({ length: 8 }, (_, i) =>
    printHaystack(samplePairs({ pairs: 100, seed: context.seed + i })),
  );
  const distances = async (name: string): Promise<number[]> => {
    const tokenizer = await loadTokenizer(await context.data(`tokenizers/${name}`));
    return haystacks.map((text) =>
      Math.abs(tokenizer.encodeIds(text, { addSpecialTokens: false }).length / 100 - paperTokens),
    );
  };
  context.report("tokens-of-a-pair", {
    measured: meanOf(await distances("o200k_base.tiktoken")),
    control: meanOf(await distances("gpt2/tokenizer.json")),
  });
}

function plotOf({ cells, limits }: EvaluationReport): Plot {
  return {
    title: "Needle Threading: jeton-nano, tables of codes of 4 digits",
    panels: limits.map(({ group, axis, limits: own }) => ({
      title: group,
      kind: "line",
      x: { title: "characters", scale: "log" },
      y: { title: "accuracy, %", zero: true },
      series: own.map(({ difficulty }) => ({
        name: `${axis} ${difficulty}`,
        points: cells.flatMap((cell) =>
          cell.group === group && cell.difficulty === difficulty && cell.accuracy !== null
            ? [{ x: cell.characters, y: 100 * cell.accuracy }]
            : [],
        ),
      })),
    })),
  };
}
