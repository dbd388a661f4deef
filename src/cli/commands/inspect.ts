/** `jeton inspect`: what checkpoints and tokenizers are, from their headers alone. */
import { formatTable } from "../../core/table.ts";
import { type Command, defineCommand, UsageError } from "../command.ts";
import { chooseModel, locateModel } from "../options/locate.ts";

export const command: Command = defineCommand({
  name: "inspect",
  summary: "describe checkpoints and tokenizers",
  description:
    "Describes checkpoints and tokenizers: architecture, parameters, types and sizes of the weights, " +
    "context length, tokenizer, and the format in which weights are held by default. No weights are " +
    "read. Several are compared side by side. M is a checkpoint folder, a folder that holds only a " +
    "tokenizer or a configuration, a tokenizer file, or a name on the hub. With --mixture it reads " +
    "from a byte-pair tokenizer's merges in what shares the sampled kinds of text were mixed in its " +
    "training data (needs the package highs). With --qtok it reports what the vocabularies are made " +
    "of: words, pieces, characters, fragments, scripts, letters, and what they make of parallel texts.",
  positionals: [{ name: "M", repeatable: true }],
  options: {
    configOnly: {
      kind: "flag",
      help: "of a model on the hub, download configuration and tokenizer alone, no weights",
    },
    mixture: {
      kind: "text",
      value: "FOLDER",
      help: "infer the mixture of the training data: a text file, or a folder of them, for each category",
    },
    merges: {
      kind: "integer",
      value: "N",
      help: "with --mixture, how many merges to read from the start of the list; default: 3000",
      min: 1,
    },
    qtok: { kind: "flag", help: "report what the vocabularies are made of" },
    texts: {
      kind: "text",
      value: "FOLDER",
      help: "with --qtok, measure on parallel texts: a file for each language, de.txt, a sentence a line",
    },
    csv: { kind: "text", value: "FILE", help: "with --qtok, write all numbers to a CSV file" },
    svg: { kind: "text", value: "FILE", help: "with --qtok, draw the report on one page" },
  },
  examples: [
    { line: "jeton inspect path/to/checkpoint", shows: "what is in the folder" },
    { line: "jeton inspect path/to/one path/to/other", shows: "both, side by side" },
    {
      line: "jeton inspect path/to/tokenizer.json --mixture samples/",
      shows: "how much of each kind of text the tokenizer was trained on",
    },
    {
      line: "jeton inspect path/to/one path/to/other --qtok --svg report.svg",
      shows: "what two vocabularies are made of, as tables and as a page",
    },
  ],
  async run(context, values, names) {
    const { configOnly, mixture, merges, qtok, texts, csv, svg, json } = values;
    if (mixture !== undefined && qtok) {
      throw new UsageError("inspect-ambiguous", "give --mixture or --qtok, not both");
    }
    if (!qtok && (texts ?? csv ?? svg) !== undefined) {
      throw new UsageError("inspect-without-qtok", "--texts, --csv and --svg belong to --qtok");
    }
    if (mixture === undefined && merges !== undefined) {
      throw new UsageError("inspect-without-mixture", "--merges belongs to --mixture");
    }
    if (qtok) {
      const { inspectQtok } = await import("../inspect/qtok.ts");
      const chosen = names.length === 0 ? [chooseModel(undefined)] : names;
      return inspectQtok(context, chosen, { texts, csv, svg, json });
    }
    if (mixture !== undefined) {
      const { inspectMixture } = await import("../inspect/mixture.ts");
      const chosen = names.length === 0 ? [chooseModel(undefined)] : names;
      return inspectMixture(context, chosen, { samples: mixture, merges: merges ?? 3000, json });
    }
    const { describeModel, describeRows } = await import("../inspect/description.ts");
    const descriptions = [];
    for (const name of names.length === 0 ? [chooseModel(undefined)] : names) {
      const path = await locateModel(context, name, { weights: !configOnly });
      descriptions.push(await describeModel(name, path));
      context.signal.throwIfAborted();
    }
    const { stdout } = context;
    if (json) {
      const document = descriptions.length === 1 ? descriptions[0] : descriptions;
      await stdout.write(`${JSON.stringify(document, null, 2)}\n`);
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
