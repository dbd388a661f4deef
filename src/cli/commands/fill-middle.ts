/** `jeton fill-middle`: text between two others. */
import { type Command, defineCommand, defined } from "../command.ts";
import { type FillMiddleDocument, writeJson } from "../json-output.ts";
import { withByteModel } from "../options/byte-model.ts";
import { checkGreedy } from "../options/generation-options.ts";
import { modelOptions } from "../options/model-options.ts";

export const command: Command = defineCommand({
  name: "fill-middle",
  summary: "write the text between a prefix and a suffix",
  description:
    "Writes what stands between two texts, byte by byte, so that the prefix may end anywhere. A model with " +
    "fill-in-the-middle tokens is asked in its own form. A model without them " +
    "has seen no such documents: continuations of the prefix are compared by how probable they make the suffix.",
  positionals: [
    { name: "prefix", required: true },
    { name: "suffix", required: true },
  ],
  options: {
    ...modelOptions,
    maxBytes: {
      kind: "integer",
      short: "n",
      value: "N",
      min: 1,
      help: "maximum number of bytes between the two; default 128",
    },
    candidates: {
      kind: "integer",
      value: "N",
      min: 1,
      max: 64,
      help: "continuations that are compared for a model without fill-in-the-middle tokens; default 4",
    },
    greedy: { kind: "flag", help: "always take the most probable byte" },
    temperature: {
      kind: "number",
      short: "t",
      value: "T",
      min: 0,
      max: 100,
      help: "0 is greedy, 1 (default) the model's own probabilities of bytes",
    },
    seed: {
      kind: "integer",
      value: "N",
      help: "seed of the sampling: the same seed gives the same text; default: a random one",
    },
    stop: { kind: "list", value: "TEXT", help: "end before this text" },
    quiet: { kind: "flag", short: "q", help: "do not say how the gap was filled" },
  },
  examples: [
    {
      line: 'jeton fill-middle --greedy --max-bytes 16 "The Roman emp" " of the East"',
      shows: "what stands between the two",
    },
  ],
  async run(context, values, [prefix, suffix]) {
    checkGreedy(values);
    return withByteModel(context, values, async (model) => {
      const { fillMiddle } = await import("../../generate/index.ts");
      const { stdout, stderr, signal } = context;
      const started = performance.now();
      const { middle, method, finishReason, seed } = await fillMiddle(model, prefix!, suffix!, {
        ...defined({
          maxBytes: values.maxBytes,
          candidates: values.candidates,
          temperature: values.temperature,
          seed: values.seed,
        }),
        ...(values.greedy && { greedy: true }),
        ...(values.stop.length > 0 && { stop: values.stop }),
        signal,
      });
      const seconds = (performance.now() - started) / 1000;
      if (values.json) {
        const { name, format, threads } = model;
        const found = { middle, method, finishReason, seconds, seed };
        return writeJson<FillMiddleDocument>(stdout, { ...found, model: name, format, threads });
      }
      await stdout.write(`${middle}\n`);
      if (values.quiet || method === "prompt") return;
      const note = `${model.name} has seen no fill-in-the-middle documents: continuations of the prefix were compared by the probability of the suffix`;
      await stderr.write(stderr.style.dim(`${note}\n`));
    });
  },
});
