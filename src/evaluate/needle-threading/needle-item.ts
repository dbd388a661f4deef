/** Items of the benchmark: a haystack with needles or threads in it, a question, and the values that answer it. */
import { createRandom, type Random } from "../../core/index.ts";
import {
  checkedLater,
  checkOptionRules,
  checkRequired,
  choiceRule,
  countRule,
  integerRule,
  numberRule,
  type OptionRule,
} from "../../core/option-rules.ts";
import {
  type NeedleWording,
  needleOptionError,
  type Pair,
  printHaystack,
  samplePairs,
  uuidLength,
} from "./haystack.ts";
import { askQuestion } from "./questions.ts";

/** The tasks of the paper, by name. */
export const needleTasks = [
  "single",
  "multiple",
  "conditional",
  "threading",
  "multi-threading",
  "branched-threading",
] as const;

/** A task: what is asked about the haystack. */
export type NeedleTask = (typeof needleTasks)[number];

/** Where several needles lie. */
export const needlePlacements = ["random", "clustered"] as const;

/** Where several needles lie: anywhere, or one after the other. */
export type NeedlePlacement = (typeof needlePlacements)[number];

/** How the pairs of a thread follow each other. */
export const threadDirections = ["forward", "backward", "random"] as const;

/** How the pairs of a thread follow each other in the text. */
export type ThreadDirection = (typeof threadDirections)[number];

/** What varies between the cells of a task; settings of other tasks are refused. */
export interface NeedleSettings {
  readonly task: NeedleTask;
  /** Pairs of the haystack. */
  readonly pairs: number;
  /** `single`: place of the needle in percent, an index into the pairs. */
  readonly depth?: number;
  /** `multiple`, `conditional`: number of needles. */
  readonly needles?: number;
  readonly placement?: NeedlePlacement;
  /** `conditional`: the character that marks the keys. Default `"*"`. */
  readonly marker?: "*" | "&";
  /** Threads: number of pairs of a thread, which is the number of lookups. */
  readonly threadLength?: number;
  readonly direction?: ThreadDirection;
  /** `multi-threading`: number of threads. */
  readonly threads?: number;
  /** `branched-threading`: pairs that share a key, of which one goes on. Default 2. */
  readonly branches?: number;
}

/** An item. */
export interface NeedleItem {
  readonly settings: NeedleSettings;
  readonly repeat: number;
  readonly pairs: readonly Pair[];
  /** The pairs as text. */
  readonly haystack: string;
  readonly question: string;
  /** Places of the needles, or of each thread's pairs in the order of the lookups. */
  readonly places: readonly (readonly number[])[];
  /** Keys that the question names; for `conditional` the marked ones, which it does not name. */
  readonly keys: readonly string[];
  /** The values that answer the question, in the order of the keys. */
  readonly values: readonly string[];
}

/** What an item is drawn from besides its settings. */
export interface MakeNeedleItemOptions {
  /** Default 0. Repeat r has the haystack of Python's seed `seed + r`. */
  readonly seed?: number;
  /** Default 0. */
  readonly repeat?: number;
  /** Characters of a code, see `samplePairs`. Default 36, a UUID. */
  readonly codeLength?: number;
  /** Default `"json"`, as published. */
  readonly wording?: NeedleWording;
}

/**
 * Makes an item; equal arguments make equal ones. All items of a repeat share the first pairs of one haystack, but for
 * what their task changes in it.
 *
 * @throws JetonError `needle-option-invalid`, also where the haystack has too few pairs for the task
 */
export function makeNeedleItem(
  settings: NeedleSettings,
  options: MakeNeedleItemOptions = {},
): NeedleItem {
  const { seed = 0, repeat = 0, codeLength = uuidLength, wording = "json" } = options;
  checkOptionRules(options, makeRules, { what: "a needle item", invalidCode });
  checkSettings(settings);
  const drawn = samplePairs({ pairs: settings.pairs, seed: seed + repeat, codeLength });
  const random = createRandom(seed, "needle-threading", repeat, JSON.stringify(describe(settings)));
  const places = choosePlaces(settings, random);
  const { pairs, keys, values } = buryNeedles(drawn, places, settings, random);
  const question = askQuestion(settings, keys, wording);
  return {
    settings,
    repeat,
    pairs,
    haystack: printHaystack(pairs, wording),
    question,
    places: places.needles,
    keys,
    values,
  };
}

/** Number of pairs that a cell's needles, threads and branches take. */
export function pairsNeeded(settings: NeedleSettings): number {
  const { task, needles = 1, threads = 1, threadLength = 1, branches = 2 } = settings;
  if (task === "single") return 1;
  if (task === "multiple" || task === "conditional") return needles;
  if (task === "branched-threading") return threadLength + (threadLength - 2) * (branches - 1);
  return threads * threadLength;
}

/** The settings in a fixed order, for keys of random streams and identifiers. */
function describe(settings: NeedleSettings): unknown[] {
  const { task, pairs, depth, needles, placement, marker, threadLength, direction, threads } =
    settings;
  const all = [task, pairs, depth, needles, placement, marker, threadLength, direction, threads];
  return [...all, settings.branches].map((setting) => setting ?? null);
}

const counts = (least: number): OptionRule => integerRule(least, Number.MAX_SAFE_INTEGER);
const placement = choiceRule(needlePlacements);
const direction = choiceRule(threadDirections);

const invalidCode = "needle-option-invalid";

/** What each task needs. */
const needed: Readonly<Record<NeedleTask, Readonly<Record<string, OptionRule>>>> = {
  single: { depth: numberRule(0, 100) },
  multiple: { needles: counts(1) },
  conditional: { needles: counts(1) },
  threading: { threadLength: counts(1) },
  "multi-threading": { threadLength: counts(1), threads: counts(1) },
  "branched-threading": { threadLength: counts(3) },
};

/** What else each task takes. */
const optional: typeof needed = {
  single: {},
  multiple: { placement },
  conditional: { placement, marker: choiceRule(["*", "&"]) },
  threading: { direction },
  "multi-threading": { direction },
  "branched-threading": { direction, branches: counts(1) },
};

function checkSettings(settings: NeedleSettings): void {
  const { task, pairs } = settings;
  if (!needleTasks.includes(task)) throw needleOptionError("task", task, needleTasks.join(", "));
  const rules = { task: checkedLater, pairs: checkedLater, ...needed[task], ...optional[task] };
  checkOptionRules(settings, rules, { what: `the needle task ${task}`, invalidCode });
  checkRequired(settings, needed[task], invalidCode);
  const least = pairsNeeded(settings);
  if (!(pairs >= least))
    throw needleOptionError("pairs", pairs, `at least ${least} for the task ${task}`);
}

/** The seed and the length of codes are checked where pairs are drawn. */
const makeRules: Readonly<Record<keyof MakeNeedleItemOptions, OptionRule>> = {
  seed: checkedLater,
  repeat: countRule,
  codeLength: checkedLater,
  wording: choiceRule(["json", "table"] satisfies NeedleWording[]),
};

/** Places of needles or threads, and of the dead ends of branches. */
interface Places {
  readonly needles: readonly (readonly number[])[];
  /** For each inner lookup of a branched thread, the places of the pairs that share its key. */
  readonly deadEnds: readonly (readonly number[])[];
}

function choosePlaces(settings: NeedleSettings, random: Random): Places {
  const { task, pairs, depth = 0, needles = 1, threads = 1, threadLength = 1 } = settings;
  const { placement = "random", branches = 2 } = settings;
  if (task === "single") {
    return { needles: [[Math.round((depth / 100) * (pairs - 1))]], deadEnds: [] };
  }
  if (task === "multiple" || task === "conditional") {
    const first = random.integer(pairs - needles + 1);
    const places =
      placement === "clustered"
        ? Array.from({ length: needles }, (_, i) => first + i)
        : sampleDistinct(random, pairs, needles).sort((a, b) => a - b);
    // The question names the keys in an order of its own.
    if (task === "multiple") random.shuffle(places);
    return { needles: places.map((place) => [place]), deadEnds: [] };
  }
  const count = task === "multi-threading" ? threads : 1;
  const drawn = sampleDistinct(random, pairs, pairsNeeded(settings));
  const split = Array.from({ length: count }, (_, i) =>
    order(drawn.slice(i * threadLength, (i + 1) * threadLength), settings.direction),
  );
  const rest = drawn.slice(count * threadLength);
  const inner = task === "branched-threading" ? threadLength - 2 : 0;
  const deadEnds = Array.from({ length: inner }, (_, i) =>
    rest.slice(i * (branches - 1), (i + 1) * (branches - 1)),
  );
  return { needles: split, deadEnds };
}

/** Distinct places in random order, without a list of all places. */
function sampleDistinct(random: Random, pairs: number, count: number): number[] {
  const places = new Set<number>();
  // Floyd's method draws each subset with the same probability.
  for (let last = pairs - count; last < pairs; last++) {
    const place = random.integer(last + 1);
    places.add(places.has(place) ? last : place);
  }
  return random.shuffle([...places]);
}

function order(places: number[], direction: ThreadDirection = "random"): number[] {
  if (direction === "forward") return places.sort((a, b) => a - b);
  if (direction === "backward") return places.sort((a, b) => b - a);
  return places;
}

/** Marks keys or links threads. */
function buryNeedles(
  drawn: readonly Pair[],
  { needles, deadEnds }: Places,
  { task, marker = "*" }: NeedleSettings,
  random: Random,
): Pick<NeedleItem, "pairs" | "keys" | "values"> {
  const pairs = drawn.map((pair) => ({ ...pair }));
  if (task === "conditional") {
    for (const [place] of needles) {
      const pair = pairs[place!]!;
      pair.key = markKey(pair.key, marker, random);
    }
  }
  for (const thread of needles) {
    for (const [hop, place] of thread.entries()) {
      const next = thread[hop + 1];
      if (next !== undefined) pairs[place]!.value = pairs[next]!.key;
    }
  }
  for (const [i, places] of deadEnds.entries()) {
    // The last key has no copies: their values would be as far from the start as the answer.
    for (const place of places) pairs[place]!.key = pairs[needles[0]![i + 1]!]!.key;
  }
  return {
    pairs,
    keys: needles.map((thread) => pairs[thread[0]!]!.key),
    values: needles.map((thread) => pairs[thread.at(-1)!]!.value),
  };
}

/** Replaces one hexadecimal digit, so that every pair keeps its width. */
function markKey(key: string, marker: string, random: Random): string {
  for (;;) {
    const at = random.integer(key.length);
    if (key[at] !== "-") return key.slice(0, at) + marker + key.slice(at + 1);
  }
}
