/** `jeton evaluate passkey`: one number in a long text. */
import { type Command, defineCommand, defined } from "../command.ts";
import { evaluationOptions, parseNumbers, runEvaluation } from "../evaluate/evaluation-options.ts";
import { modelOptions } from "../options/model-options.ts";

export const command: Command = defineCommand({
  name: "evaluate passkey",
  summary: "find one number in a long text",
  description:
    "Hides a number of five digits at some depth of a text that says nothing and asks for it. Reports accuracies " +
    "by length and depth with 95 % intervals, and the effective context in characters. Decoding is greedy. What " +
    "does not fit the model's context is skipped, never cut. Lists are written with commas: 1000,2000.",
  positionals: [],
  options: {
    ...modelOptions,
    ...evaluationOptions,
    lengths: {
      kind: "text",
      value: "LIST",
      help: "characters of the text; default: 1000,2000,4000,8000",
    },
    depths: { kind: "text", value: "LIST", help: "percent; default: 0,25,50,75,100" },
  },
  examples: [
    {
      line: "jeton evaluate passkey --lengths 400,800 --repeats 2",
      shows: "how far the bundled model finds a number",
    },
  ],
  async run(context, values) {
    const { evaluatePasskey } = await import("../../evaluate/index.ts");
    const own = defined({
      lengths: parseNumbers("--lengths", values.lengths),
      depths: parseNumbers("--depths", values.depths),
      repeats: values.repeats,
    });
    await runEvaluation(context, values, (model, run) =>
      evaluatePasskey(model, { ...run, ...own }),
    );
  },
});
