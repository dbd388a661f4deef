/** `jeton fill`: predicts masked tokens. */
import { formatTable } from "../../core/table.ts";
import { type Command, defineCommand, defined } from "../command.ts";
import { type FillDocument, writeJson } from "../json-output.ts";
import {
  encoderOptions,
  headedModelOption,
  readTexts,
  withEncoder,
} from "../options/encoder-options.ts";

export const command: Command = defineCommand({
  name: "fill",
  summary: "predict the masked tokens of a text",
  description:
    "Predicts what stands in place of each mask of a text, with an encoder that was trained to. Without " +
    "texts, or with -, each line of standard input is a text.",
  positionals: [{ name: "text|-", repeatable: true }],
  options: {
    ...encoderOptions,
    model: headedModelOption,
    topK: { kind: "integer", value: "N", min: 1, default: 5, help: "tokens for each mask" },
    mask: {
      kind: "text",
      value: "TEXT",
      help: "what marks the mask in the texts; default: the tokenizer's own, e.g. [MASK]",
    },
  },
  examples: [
    {
      line: 'jeton fill --model path/to/encoder "The [MASK] is dead."',
      shows: "the five most probable words",
    },
    {
      line: 'jeton fill --model path/to/encoder --mask ___ "The ___ is dead."',
      shows: "the same, with another mark",
    },
  ],
  async run(context, values, positionals) {
    const texts = await readTexts(context, positionals, values.file);
    return withEncoder(context, values, async (model) => {
      const { fillMask } = await import("../../model/encoder/index.ts");
      const options = {
        topK: values.topK,
        ...defined({ mask: values.mask }),
        signal: context.signal,
      };
      const results = await Promise.all(
        texts.map(async (text) => ({ text, masks: await fillMask(model, text, options) })),
      );
      if (values.json) {
        const { name, format, threads } = model;
        await writeJson<FillDocument>(context.stdout, { model: name, format, threads, results });
        return;
      }
      const rows = results.flatMap(({ masks }, text) =>
        masks.flatMap((tokens, mask) =>
          tokens.map(({ text: token, probability }) => [
            String(text + 1),
            String(mask + 1),
            token,
            probability.toFixed(4),
          ]),
        ),
      );
      const table = formatTable(
        [
          { title: "text", align: "right" },
          { title: "mask", align: "right" },
          { title: "token" },
          { title: "probability", align: "right" },
        ],
        rows,
      );
      await context.stdout.write(`${table}\n`);
    });
  },
});
