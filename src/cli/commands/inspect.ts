/** `jeton inspect`: describes checkpoints and tokenizers from their headers. */
import { formatTable } from "../../core/table.ts";
import { type Command, defineCommand, modelArgument, UsageError } from "../command.ts";
import { type InspectDocument, writeJson } from "../json-output.ts";
import { chooseModel, locateModel } from "../options/locate.ts";
import { refuseMisplaced } from "../options/misplaced.ts";

export const command: Command = defineCommand({
  name: "inspect",
  summary: "describe checkpoints and tokenizers",
  description:
    "Describes checkpoints and tokenizers: architecture, parameters, types and sizes of the weights, " +
    "context length, tokenizer, and the default format of the weights in memory. No weights are read. " +
    "Several models are compared side by side. M is a checkpoint folder, a folder with only a " +
    "tokenizer or a configuration, a tokenizer file, a bundled model, or a name on the hub; default: jeton-nano. --mixture infers from the " +
    "merges of a byte-pair tokenizer the shares of the sampled kinds of text in its training data " +
    "(needs the package highs). --qtok reports the composition of vocabularies: words, pieces, " +
    "characters, fragments, scripts and letters, and measures them on parallel texts. --routing reads " +
    "texts with one sparse model and reports which experts their tokens are sent to, and why.",
  positionals: [{ name: modelArgument, repeatable: true }],
  options: {
    configOnly: {
      kind: "flag",
      help: "download only configuration and tokenizer of a model on the hub, no weights",
    },
    mixture: {
      kind: "text",
      value: "FOLDER",
      help: "infer the training-data mixture; FOLDER has a text file or a folder of texts per category",
    },
    merges: {
      kind: "integer",
      value: "N",
      help: "with --mixture, the number of merges to read from the start of the list; default: 3000",
      min: 1,
    },
    qtok: { kind: "flag", help: "report the composition of the vocabularies" },
    texts: {
      kind: "text",
      value: "FOLDER",
      help: "with --qtok, measure on parallel texts: one file per language (de.txt), one sentence per line",
    },
    csv: { kind: "text", value: "FILE", help: "with --qtok, write all numbers to this CSV file" },
    routing: {
      kind: "list",
      value: "FILE",
      help: "read this text with the model and report the choices of its routers; several files are compared",
    },
    svg: {
      kind: "text",
      value: "FILE",
      help: "with --qtok or --routing, render the report to this SVG file",
    },
  },
  examples: [
    { line: "jeton inspect path/to/checkpoint", shows: "the contents of the folder" },
    { line: "jeton inspect path/to/one path/to/other", shows: "both, side by side" },
    {
      line: "jeton inspect path/to/tokenizer.json --mixture samples/",
      shows: "the share of each kind of text in the tokenizer's training data",
    },
    {
      line: "jeton inspect path/to/one path/to/other --qtok --svg report.svg",
      shows: "the composition of two vocabularies, as tables and as a plot",
    },
    {
      line: "jeton inspect path/to/checkpoint --routing prose.txt --routing code.txt",
      shows: "how a mixture of experts routes both texts, layer by layer",
    },
  ],
  async run(context, values, names) {
    const { configOnly, mixture, merges, qtok, texts, csv, svg, routing, json } = values;
    const asked = [mixture !== undefined, qtok, routing.length > 0].filter(Boolean);
    if (asked.length > 1) {
      throw new UsageError("inspect-ambiguous", "give one of --mixture, --qtok and --routing");
    }
    if (!qtok && (texts ?? csv) !== undefined) {
      throw new UsageError("inspect-without-qtok", "--texts and --csv belong to --qtok");
    }
    if (!qtok && routing.length === 0 && svg !== undefined) {
      throw new UsageError("inspect-without-qtok", "--svg belongs to --qtok or --routing");
    }
    if (mixture === undefined && merges !== undefined) {
      throw new UsageError("inspect-without-mixture", "--merges belongs to --mixture");
    }
    if (asked.length > 0) {
      const why = "means nothing here: --mixture and --qtok read no weights, --routing needs them";
      refuseMisplaced(values, ["configOnly"], why);
    }
    const chosen = names.length === 0 ? [chooseModel(undefined)] : names;
    if (routing.length > 0) {
      if (chosen.length > 1) {
        throw new UsageError("inspect-ambiguous", "--routing reports on one model at a time");
      }
      const { inspectRouting } = await import("../inspect/routing.ts");
      return inspectRouting(context, chosen[0]!, { texts: routing, svg, json });
    }
    if (qtok) {
      const { inspectQtok } = await import("../inspect/qtok.ts");
      return inspectQtok(context, chosen, { texts, csv, svg, json });
    }
    if (mixture !== undefined) {
      const { inspectMixture } = await import("../inspect/mixture.ts");
      return inspectMixture(context, chosen, { samples: mixture, merges: merges ?? 3000, json });
    }
    const { describeModel } = await import("../inspect/description.ts");
    const { describeRows } = await import("../inspect/description-table.ts");
    const descriptions = [];
    for (const name of chosen) {
      const path = await locateModel(context, name, { weights: !configOnly });
      descriptions.push(await describeModel(name, path));
      context.signal.throwIfAborted();
    }
    const { stdout } = context;
    if (json) {
      const [first, ...others] = descriptions;
      await writeJson<InspectDocument>(stdout, others.length === 0 ? first! : descriptions);
      return;
    }
    const columns = [{ title: "" }, ...descriptions.map(() => ({ title: "" }))];
    const rows = describeRows(descriptions).map(([label, ...cells]) => [
      stdout.style.dim(label!),
      ...cells,
    ]);
    await stdout.write(`${formatTable(columns, rows)}\n`);
  },
});
