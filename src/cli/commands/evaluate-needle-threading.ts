/** `jeton evaluate needle-threading`: how much of its context a model can use. */
import { type Command, defineCommand, defined } from "../command.ts";
import {
  evaluationOptions,
  parseChoices,
  parseNumbers,
  runEvaluation,
} from "../evaluate/evaluation-options.ts";
import { refuseMisplaced } from "../options/misplaced.ts";
import { modelOptions } from "../options/model-options.ts";

export const command: Command = defineCommand({
  name: "evaluate needle-threading",
  summary: "how much of its context a model can use",
  description:
    "Hides needles and threads among random pairs of codes and asks for them: one value (single), several " +
    "(multiple), those of marked keys (conditional), or the end of chains in which each value is the next key " +
    "(threading, multi-threading, branched-threading). Reports accuracies by length and difficulty with 95 % " +
    "intervals, and the effective context in characters, which tokenizers do not change. Decoding is greedy. " +
    "What does not fit the model's context is skipped, never cut. Lists are written with commas: 25,50,100.",
  positionals: [],
  options: {
    ...modelOptions,
    ...evaluationOptions,
    tasks: {
      kind: "text",
      value: "LIST",
      help: "single, multiple, conditional, threading, multi-threading, branched-threading; default: the first five",
    },
    pairs: {
      kind: "text",
      value: "LIST",
      help: "pairs of the haystacks, 80 characters each; default: 25,50,100,200,400",
    },
    depths: { kind: "text", value: "LIST", help: "depths of a single needle, in percent" },
    needles: { kind: "text", value: "LIST", help: "numbers of needles; default: 2,5,10" },
    placements: { kind: "text", value: "LIST", help: "random, clustered; default: random" },
    threadLengths: { kind: "text", value: "LIST", help: "lookups of a thread; default: 2,3,5" },
    directions: {
      kind: "text",
      value: "LIST",
      help: "forward, backward, random: how a thread runs through the text; default: forward,backward",
    },
    threadCounts: {
      kind: "text",
      value: "LIST",
      help: "threads at once, 3 lookups each; default: 2,5",
    },
    codeLength: {
      kind: "integer",
      value: "N",
      min: 2,
      max: 36,
      help: "characters of a code; 36, the default, is a UUID; fewer make short haystacks for small models, not comparable with published numbers",
    },
    wording: {
      kind: "text",
      value: "WORDING",
      choices: ["json", "table"],
      help: "json, the default, as published; table: lines of a table with a short question, for base models that follow no instructions",
    },
    tokenizers: {
      kind: "list",
      value: "M",
      help: "instead of asking a model, count the tokens of a pair in this tokenizer",
    },
    paperGrid: { kind: "flag", help: "the cells of the paper, where no list says otherwise" },
  },
  examples: [
    {
      line: "jeton evaluate needle-threading --tasks single --pairs 4,8 --repeats 2",
      shows: "how well the bundled model finds one value",
    },
    {
      line: "jeton evaluate needle-threading --endpoint http://localhost:8080/v1 --endpoint-model M --answers answers.jsonl --svg contour.svg",
      shows: "the contour of a served model; interrupted, the same line goes on",
    },
    {
      line: "jeton evaluate needle-threading --tokenizers path/to/one --tokenizers path/to/other",
      shows: "what a pair costs in tokens, and how many characters each window holds",
    },
  ],
  async run(context, values) {
    if (values.tokenizers.length > 0) {
      const read = ["tokenizers", "seed", "codeLength", "json", "help"];
      const others = Object.keys(values).filter((key) => !read.includes(key));
      refuseMisplaced(values, others, "means nothing for --tokenizers, which asks no model");
      const { printTokenizerStudy } = await import("../evaluate/study-tokenizers.ts");
      const { seed, codeLength, json } = values;
      return printTokenizerStudy(context, values.tokenizers, {
        ...defined({ seed, codeLength }),
        json,
      });
    }
    const { evaluateNeedleThreading, needleTasks, paperGrid } = await import(
      "../../evaluate/needle-threading/index.ts"
    );
    const grid = {
      ...(values.paperGrid && paperGrid),
      ...defined({
        tasks: parseChoices("--tasks", values.tasks, needleTasks),
        pairs: parseNumbers("--pairs", values.pairs),
        depths: parseNumbers("--depths", values.depths),
        needles: parseNumbers("--needles", values.needles),
        placements: parseChoices("--placements", values.placements, ["random", "clustered"]),
        threadLengths: parseNumbers("--thread-lengths", values.threadLengths),
        directions: parseChoices("--directions", values.directions, [
          "forward",
          "backward",
          "random",
        ]),
        threads: parseNumbers("--thread-counts", values.threadCounts),
        repeats: values.repeats,
      }),
    };
    const { codeLength, wording } = values;
    await runEvaluation(context, values, (model, run) =>
      evaluateNeedleThreading(model, { ...run, grid, ...defined({ codeLength, wording }) }),
    );
  },
});
