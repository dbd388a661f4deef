/** `jeton inspect`: what checkpoints and tokenizers are, from their headers alone. */
import { formatTable } from "../../core/table.ts";
import { type Command, defineCommand } from "../command.ts";
import { chooseModel, locateModel } from "../locate.ts";

export const command: Command = defineCommand({
  name: "inspect",
  summary: "describe checkpoints and tokenizers",
  description:
    "Describes checkpoints and tokenizers: architecture, parameters, types and sizes of the weights, " +
    "context length, tokenizer, and the format in which weights are held by default. No weights are " +
    "read. Several are compared side by side. M is a checkpoint folder, a folder that holds only a " +
    "tokenizer or a configuration, a tokenizer file, or a name on the hub.",
  positionals: [{ name: "M", repeatable: true }],
  options: {
    configOnly: {
      kind: "flag",
      help: "of a model on the hub, download configuration and tokenizer alone, no weights",
    },
  },
  examples: [
    { line: "jeton inspect path/to/checkpoint", shows: "what is in the folder" },
    { line: "jeton inspect path/to/one path/to/other", shows: "both, side by side" },
  ],
  async run(context, { configOnly, json }, names) {
    const { describeModel, describeRows } = await import("../description.ts");
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
