/** `jeton context calibrate`: finds the filter layer of a model for gemfilter, and saves it with the model. */
import { formatTable } from "../../../core/table.ts";
import { type Command, defineCommand } from "../../command.ts";
import type { ContextCalibrateDocument } from "../../json-context.ts";
import { writeJson } from "../../json-output.ts";
import { createStatusLine } from "../../options/locate.ts";
import { modelOptions, withModel } from "../../options/model-options.ts";

const options = {
  model: modelOptions.model,
  format: modelOptions.format,
  threads: modelOptions.threads,
  k: {
    kind: "integer",
    value: "N",
    min: 1,
    default: 96,
    help: "prompt tokens that a layer chooses while it is measured",
  },
  tokens: {
    kind: "integer",
    value: "N",
    min: 128,
    help: "tokens of a prompt; default: the model's context, at most 1024",
  },
  prompts: { kind: "integer", value: "N", min: 1, default: 20, help: "prompts of each layer" },
  seed: { kind: "integer", value: "N", default: 0, help: "seed of the prompts" },
  save: {
    kind: "flag",
    help: "write the layer into generation_config.json of the model's folder, where gemfilter finds it",
  },
} as const;

export const command: Command = defineCommand({
  name: "context calibrate",
  summary: "find the layer with which gemfilter chooses tokens",
  description:
    "Asks every layer which tokens of prompts with a hidden number matter, and finds the first one that reliably " +
    "chooses the number: the filter layer of the context policy gemfilter. With --save it is kept with the model, and " +
    "jeton run --context-policy gemfilter needs no layer any more.",
  positionals: [],
  options,
  examples: [
    {
      line: "jeton context calibrate --prompts 4 --tokens 256",
      shows: "how often each layer of the bundled model chooses the hidden number",
    },
  ],
  async run(context, values) {
    const line = createStatusLine(context);
    await withModel(context, { ...values, context: undefined }, { slots: 1 }, async (model) => {
      const { calibrateFilterLayer, needlePrompts, saveFilterLayer } = await import(
        "../../../context/index.ts"
      );
      const { k, prompts: count, seed, save } = values;
      const tokens = values.tokens ?? Math.min(1024, model.contextLength);
      try {
        const { layer, curve } = await calibrateFilterLayer(
          model,
          needlePrompts(model.tokenizer, { tokens, count, seed }),
          {
            k,
            onProgress: (at, layers) => {
              context.signal.throwIfAborted();
              line.show(`layer ${at} of ${layers}`);
            },
          },
        );
        line.clear();
        if (save) await saveFilterLayer(model.folder, layer);
        const layers = curve.map(({ layer: number, distances }) => ({
          layer: number,
          chosen: distances.filter((distance) => distance === 0).length / distances.length,
        }));
        if (values.json) {
          const document = { model: model.name, layer, k, tokens, layers, saved: save };
          await writeJson<ContextCalibrateDocument>(context.stdout, document);
          return;
        }
        const columns = [
          { title: "layer", align: "right" as const },
          { title: "number chosen, %", align: "right" as const },
        ];
        const rows = layers.map((one) => [String(one.layer), String(Math.round(100 * one.chosen))]);
        const where = save ? `, saved in ${model.folder}` : "";
        await context.stdout.write(
          `${formatTable(columns, rows)}\n\nfilter layer: ${layer}${where}\n`,
        );
      } finally {
        line.clear();
      }
    });
  },
});
