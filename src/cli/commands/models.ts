/** `jeton models list|pull|remove`: the models in the hub's cache. */
import { formatBytes } from "../../core/progress.ts";
import { formatTable } from "../../core/table.ts";
import { type Command, defineCommand } from "../command.ts";
import {
  type ModelsListDocument,
  type ModelsPullDocument,
  type ModelsRemoveDocument,
  writeJson,
} from "../json-output.ts";
import { locateModel } from "../options/locate.ts";

export const listCommand: Command = defineCommand({
  name: "models list",
  summary: "list the models in the hub's cache",
  description:
    "Lists the models that were downloaded from the hub, with their sizes and revisions. The cache is " +
    "shared with Python tools: HF_HUB_CACHE, otherwise ~/.cache/huggingface/hub.",
  positionals: [],
  options: {},
  examples: [{ line: "jeton models list", shows: "names, sizes and revisions" }],
  async run({ stdout, environment }, { json }) {
    const { listCachedModels } = await import("../../checkpoint/index.ts");
    const models = await listCachedModels({ environment });
    if (json) return writeJson<ModelsListDocument>(stdout, models);
    if (models.length === 0) return stdout.write("no models in the cache\n");
    const rows = models.map(({ name, bytes, revisions, isPartial }) => [
      name,
      formatBytes(bytes),
      Object.keys(revisions).join(", ") + (isPartial ? " (partial)" : ""),
    ]);
    const columns = [
      { title: "name" },
      { title: "size", align: "right" as const },
      { title: "revisions" },
    ];
    const { dim } = stdout.style;
    await stdout.write(`${formatTable(columns, rows, { styleHeading: dim })}\n`);
  },
});

export const pullCommand: Command = defineCommand({
  name: "models pull",
  summary: "download models from the hub",
  description:
    "Downloads models from the hub into its cache and prints their folders. An interrupted download is " +
    "resumed. A model in the cache is not downloaded again; --update asks the hub for a newer commit.",
  positionals: [{ name: "owner/name[@revision]", required: true, repeatable: true }],
  options: {
    update: { kind: "flag", help: "ask the hub whether the revision has a newer commit" },
    configOnly: { kind: "flag", help: "download only configuration and tokenizer, no weights" },
  },
  examples: [
    { line: "jeton models pull owner/name", shows: "the model, ready for --model owner/name" },
  ],
  async run(context, { update, configOnly, json }, names) {
    const pulled: { name: string; folder: string }[] = [];
    for (const name of names) {
      const folder = await locateModel(context, name, { weights: !configOnly, update });
      pulled.push({ name, folder });
      if (!json) await context.stdout.write(`${folder}\n`);
    }
    if (json) await writeJson<ModelsPullDocument>(context.stdout, pulled);
  },
});

export const removeCommand: Command = defineCommand({
  name: "models remove",
  summary: "remove models from the hub's cache",
  description:
    "Removes models from the hub's cache, which Python tools share: all their revisions and files.",
  positionals: [{ name: "owner/name", required: true, repeatable: true }],
  options: {},
  examples: [{ line: "jeton models remove owner/name", shows: "how much space this frees" }],
  async run({ stdout, environment }, { json }, names) {
    const { removeCachedModel } = await import("../../checkpoint/index.ts");
    const removed = [];
    for (const name of new Set(names)) {
      const model = await removeCachedModel(name, { environment });
      removed.push(model);
      if (!json) await stdout.write(`${model.name}: ${formatBytes(model.bytes)} freed\n`);
    }
    if (json) await writeJson<ModelsRemoveDocument>(stdout, removed);
  },
});
