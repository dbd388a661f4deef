/** `jeton evaluate passkey`: one number in a long text. */
import { type Command, defineCommand, defined, type Values } from "../command.ts";
import { evaluationOptions, parseNumbers, runEvaluation } from "../evaluate/evaluation-options.ts";
import { readTextFile } from "../options/input.ts";
import { refuseMisplaced } from "../options/misplaced.ts";
import { modelOptions } from "../options/model-options.ts";

const options = {
  ...modelOptions,
  ...evaluationOptions,
  lengths: {
    kind: "text",
    value: "LIST",
    help: "characters of the text; default: 1000,2000,4000,8000",
  },
  windows: {
    kind: "text",
    value: "LIST",
    help: "instead of --lengths, multiples of the context that the model was trained for, e.g. 1,2,4,8,16,32",
  },
  depths: { kind: "text", value: "LIST", help: "percent; default: 0,25,50,75,100" },
  depthBins: {
    kind: "integer",
    value: "N",
    min: 1,
    max: 100,
    help: "instead of --depths, so many equal parts of the text, in each of which the place of every number is drawn; --repeats is 40 then",
  },
  text: {
    kind: "text",
    value: "FILE",
    help: "its sentences stand around the number; default: five sentences about a landscape, again and again",
  },
  quick: { kind: "flag", help: "with --depth-bins, 8 questions of each cell" },
} as const;

export const command: Command = defineCommand({
  name: "evaluate passkey",
  summary: "find one number in a long text",
  description:
    "Hides a number of five digits at some depth of a text that says nothing and asks for it. Reports accuracies " +
    "by length and depth with 95 % intervals, and the effective context in characters. Decoding is greedy. What " +
    "does not fit the model's context is skipped, never cut. Lists are written with commas: 1000,2000. With --policies " +
    "all and --budget, one table of every context policy whose tokens attend to so many others.",
  positionals: [],
  options,
  examples: [
    {
      line: "jeton evaluate passkey --lengths 400,800 --repeats 2",
      shows: "how far the bundled model finds a number",
    },
    {
      line: "jeton evaluate passkey --windows 1,2 --depth-bins 5 --quick --policies all --budget 256",
      shows:
        "every context policy at 256 attended tokens, within the trained context and at twice that",
    },
  ],
  async run(context, values) {
    const { evaluatePasskey } = await import("../../evaluate/index.ts");
    checkExclusive(values);
    const { depthBins, quick } = values;
    const text = values.text === undefined ? undefined : await readTextFile(values.text);
    const usual = depthBins === undefined ? undefined : quick ? 8 : 40;
    const own = defined({
      ...{ depthBins, text, repeats: values.repeats ?? usual },
      lengths: parseNumbers("--lengths", values.lengths),
      windows: parseNumbers("--windows", values.windows),
      depths: parseNumbers("--depths", values.depths),
    });
    await runEvaluation(context, values, (model, run) =>
      evaluatePasskey(model, { ...run, ...own }),
    );
  },
});

/** Throws `option-misplaced` for options that exclude each other. */
function checkExclusive(values: Values<typeof options>): void {
  if (values.windows !== undefined)
    refuseMisplaced(values, ["lengths"], "and --windows exclude each other");
  if (values.depthBins !== undefined) {
    refuseMisplaced(values, ["depths"], "and --depth-bins exclude each other");
  } else {
    refuseMisplaced(values, ["quick"], "belongs to --depth-bins");
  }
  if (values.quick) refuseMisplaced(values, ["repeats"], "and --quick exclude each other");
}
