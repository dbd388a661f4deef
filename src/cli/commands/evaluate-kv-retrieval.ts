/** `jeton evaluate kv-retrieval`: one value among many pairs. */
import { readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { JetonError } from "../../core/error.ts";
import { type Command, defineCommand, defined } from "../command.ts";
import { evaluationOptions, parseNumbers, runEvaluation } from "../evaluate/evaluation-options.ts";
import { decodeText, fileUnreadable } from "../options/input.ts";
import { refuseMisplaced } from "../options/misplaced.ts";
import { modelOptions } from "../options/model-options.ts";

export const command: Command = defineCommand({
  name: "evaluate kv-retrieval",
  summary: "find one value among many pairs",
  description:
    "Asks for the value of one key of a JSON object of random pairs, with its pair at several depths. Reports " +
    "accuracies by length and depth with 95 % intervals, and the effective context in characters. Decoding is " +
    "greedy. What does not fit the model's context is skipped, never cut. Lists are written with commas: 75,140.",
  positionals: [],
  options: {
    ...modelOptions,
    ...evaluationOptions,
    file: {
      kind: "text",
      value: "FILE",
      help: "the published objects (JSON lines of ordered_kv_records, key, value; may be gzipped) instead of drawn ones",
    },
    pairs: { kind: "text", value: "LIST", help: "pairs of an object; default: 75,140" },
    depths: { kind: "text", value: "LIST", help: "percent; default: 0,25,50,75,100" },
  },
  examples: [
    {
      line: "jeton evaluate kv-retrieval --pairs 5,10 --repeats 2",
      shows: "how well the bundled model finds a value",
    },
  ],
  async run(context, values) {
    if (values.file !== undefined) {
      refuseMisplaced(values, ["pairs", "seed"], "is of drawn objects, not of --file");
    }
    const { evaluateKeyValues, parseKeyValueRecords } = await import("../../evaluate/index.ts");
    const own = defined({
      records:
        values.file === undefined ? undefined : parseKeyValueRecords(await read(values.file)),
      pairs: parseNumbers("--pairs", values.pairs),
      depths: parseNumbers("--depths", values.depths),
      repeats: values.repeats,
    });
    await runEvaluation(context, values, (model, run) =>
      evaluateKeyValues(model, { ...run, ...own }),
    );
  },
});

async function read(path: string): Promise<string> {
  try {
    const bytes = await readFile(path);
    return decodeText(bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes, path);
  } catch (cause) {
    if (JetonError.isInstance(cause)) throw cause;
    throw fileUnreadable(path, cause);
  }
}
