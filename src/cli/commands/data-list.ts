/** `jeton data list`: the files of the data registry. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { formatTable } from "../../core/table.ts";
import { type Command, defineCommand } from "../command.ts";
import { type DataListDocument, writeJson } from "../json-output.ts";

export const command: Command = defineCommand({
  name: "data list",
  summary: "list the public data files of tests and reproductions",
  description:
    "Lists the files of the data registry: the public texts, tokenizers and test sets that tests, " +
    "trainings (--corpus data:NAME) and reproductions read, each with its licence and whether it is in " +
    "the data folder. The data folder is JETON_DATA, otherwise ~/.cache/jeton/data. NAME is a file or a " +
    "folder of the registry; without one all files are listed.",
  positionals: [{ name: "NAME", repeatable: true }],
  options: {
    missing: { kind: "flag", help: "only files that are not in the data folder" },
  },
  examples: [
    { line: "jeton data list text/wikitext-2", shows: "the files of one data set" },
    { line: "jeton data list --missing --json", shows: "what jeton data fetch would get, as JSON" },
  ],
  async run({ stdout, environment }, { missing, json }, names) {
    const { findDataFiles, targetFolder } = await import("../../data/index.ts");
    const folder = targetFolder(environment);
    const files = await Promise.all(
      findDataFiles(names).map(async (file) => {
        const isPresent = await stat(join(folder, file.name)).then(
          (found) => found.isFile(),
          () => false,
        );
        return { ...file, present: isPresent };
      }),
    );
    const chosen = missing ? files.filter((file) => !file.present) : files;
    if (json) return writeJson<DataListDocument>(stdout, { folder, files: chosen });
    const { style } = stdout;
    const rows = chosen.map(({ name, present, derived, licence }) => [
      present ? style.green("present") : derived === undefined ? "missing" : style.dim("derived"),
      name,
      licence,
    ]);
    if (rows.length > 0) {
      const columns = [{ title: "" }, { title: "name" }, { title: "licence" }];
      await stdout.write(`${formatTable(columns, rows, { styleHeading: style.dim })}\n\n`);
    }
    const present = chosen.filter((file) => file.present).length;
    await stdout.write(`${present} of ${chosen.length} in ${folder}\n`);
  },
});
