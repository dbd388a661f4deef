/** `jeton transfer`: moves a model to another tokenizer. */
import type { TransferMethod } from "../../vocabulary/index.ts";
import { type Command, defineCommand, defined, UsageError, type Values } from "../command.ts";
import { type TransferDocument, writeJson } from "../json-output.ts";
import { chooseModel, createStatusLine, locateModel, pathOfName } from "../options/locate.ts";
import { refuseMisplaced } from "../options/misplaced.ts";

const options = {
  model: {
    kind: "text",
    short: "m",
    value: "M",
    help: "checkpoint folder, or owner/name on the hub; default: the bundled model jeton-nano",
  },
  tokenizer: {
    kind: "text",
    short: "t",
    value: "T",
    help: "the new tokenizer: a folder, tokenizer.json, a SentencePiece model, a .tiktoken file, or a bundled model such as jeton-nano",
  },
  method: {
    kind: "text",
    value: "METHOD",
    choices: ["random", "overlap", "mean", "wechsel", "trans-tokenization", "zett"],
    default: "mean",
    help: "how the embedding rows of new tokens are computed",
  },
  out: { kind: "text", short: "o", value: "FOLDER", help: "folder of the transferred model" },
  sourceText: {
    kind: "text",
    value: "FILE",
    help: "sentences in the model's language, one per line (wechsel, trans-tokenization)",
  },
  targetText: {
    kind: "text",
    value: "FILE",
    help: "their translations, line by line (wechsel, trans-tokenization)",
  },
  directions: {
    kind: "text",
    value: "WHICH",
    choices: ["forward", "both"],
    help: "directions of word alignment (trans-tokenization); default: forward",
  },
  minCount: {
    kind: "number",
    value: "N",
    min: 0,
    help: "drop rarer word pairs (trans-tokenization); default: 10; use 2 for a few thousand sentences",
  },
  hypernetwork: {
    kind: "text",
    value: "FILE",
    help: "the hypernetwork of the model; with --text it is trained and written to this file (zett)",
  },
  acceptOtherModel: {
    kind: "flag",
    help: "take a hypernetwork that was trained for another model of the same shape, such as the one that this model was fine-tuned from (zett)",
  },
  text: {
    kind: "list",
    value: "FILE",
    help: "text to train a hypernetwork on, one paragraph per line (zett)",
  },
  steps: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "training steps of a hypernetwork (zett); default: 300",
  },
  dtype: {
    kind: "text",
    value: "TYPE",
    choices: ["F32", "F16", "BF16"],
    help: "type of the stored new tables; default: that of the old ones",
  },
  seed: { kind: "integer", value: "N", default: 0, help: "seed of random rows" },
} as const;

export const command: Command = defineCommand({
  name: "transfer",
  summary: "move a model to another tokenizer",
  description:
    "Gives a model another vocabulary and writes it as an ordinary checkpoint folder: the layers stay " +
    "as they are, the embedding rows of the new tokens are predicted. random, overlap (shared tokens " +
    "keep their rows) and mean (of the old tokens that spell the new one) need no data; wechsel and " +
    "trans-tokenization learn from parallel text which tokens have the same meaning; zett trains one " +
    "hypernetwork per model, which then works for any tokenizer.",
  positionals: [],
  options,
  examples: [
    {
      line: "jeton transfer --model path/to/checkpoint --tokenizer path/to/tokenizer -o moved",
      shows: "the model with another tokenizer; try it with jeton run --model moved",
    },
    {
      line: "jeton transfer --model path/to/checkpoint --tokenizer german --method trans-tokenization --source-text train.en --target-text train.de -o german-model",
      shows: "an English model whose German tokens start from the embeddings of their translations",
    },
    {
      line: "jeton transfer --model path/to/checkpoint --tokenizer path/to/tokenizer --method zett --text prose.txt --hypernetwork hypernetwork.safetensors -o moved",
      shows: "trains a hypernetwork for the model; without --text the next transfer reuses it",
    },
  ],
  async run(context, values) {
    const { tokenizer, out } = values;
    if (tokenizer === undefined || out === undefined) {
      const missing = [
        ...(tokenizer === undefined ? ["--tokenizer T"] : []),
        ...(out === undefined ? ["--out FOLDER"] : []),
      ];
      throw new UsageError("option-missing", `jeton transfer needs ${missing.join(" and ")}`, {
        option: missing[0]!.split(" ")[0],
      });
    }
    checkMethod(values);
    const name = chooseModel(values.model);
    const makeMethod = chooseMethod(values, context.signal);
    const model = await locateModel(context, name);
    const { transfer } = await import("../../vocabulary/index.ts");
    const line = createStatusLine(context);
    try {
      // Created only after the model and both tokenizers are read: training a hypernetwork takes minutes.
      const method: TransferMethod = {
        name: values.method,
        predict: async (task) => {
          const made = await makeMethod(model, (stage) => line.show(stage));
          return made.predict(task);
        },
      };
      const result = await transfer(model, pathOfName(tokenizer), method, {
        out,
        seed: values.seed,
        ...defined({ dtype: values.dtype }),
        signal: context.signal,
        onProgress: (stage, done, total) =>
          line.show(total === undefined ? stage : `${stage} ${done}/${total}`),
      });
      line.clear();
      const { stdout } = context;
      if (values.json) await writeJson<TransferDocument>(stdout, result);
      else await stdout.write(`${result.folder}\n`);
    } finally {
      line.clear();
    }
  },
});

const parallelMethods: readonly string[] = ["wechsel", "trans-tokenization"];

type MethodOption =
  | "sourceText"
  | "targetText"
  | "directions"
  | "minCount"
  | "hypernetwork"
  | "acceptOtherModel"
  | "text"
  | "steps";

/** The methods that read an option. */
const methodsOf: Readonly<Record<MethodOption, readonly string[]>> = {
  sourceText: parallelMethods,
  targetText: parallelMethods,
  directions: ["trans-tokenization"],
  minCount: ["trans-tokenization"],
  hypernetwork: ["zett"],
  acceptOtherModel: ["zett"],
  text: ["zett"],
  steps: ["zett"],
};

/** Throws if the chosen method would ignore an option. */
function checkMethod(values: Values<typeof options>): void {
  const { method, text } = values;
  const keys = Object.keys(methodsOf) as MethodOption[];
  const unread = keys.filter((key) => !methodsOf[key].includes(method));
  refuseMisplaced(values, unread, `means nothing for --method ${method}`);
  if (text.length === 0) {
    refuseMisplaced(values, ["steps"], "means nothing without --text to train on");
  } else {
    const why = "means nothing beside --text: a hypernetwork is trained for the model at hand";
    refuseMisplaced(values, ["acceptOtherModel"], why);
  }
}

type MakeMethod = (model: string, progress: (stage: string) => void) => Promise<TransferMethod>;

/** Checks the options of the method; the returned function creates the method later. */
function chooseMethod(values: Values<typeof options>, signal: AbortSignal): MakeMethod {
  const { method, sourceText, targetText } = values;
  const load = (): Promise<typeof import("../../vocabulary/index.ts")> =>
    import("../../vocabulary/index.ts");
  switch (method) {
    case "random":
      return async () => (await load()).randomRows();
    case "overlap":
      return async () => (await load()).lexicalOverlap();
    case "mean":
      return async () => (await load()).meanOfSubtokens();
    case "wechsel":
    case "trans-tokenization": {
      if (sourceText === undefined || targetText === undefined) {
        throw new UsageError(
          "option-missing",
          `${method} learns from parallel text: give --source-text and --target-text`,
          { option: sourceText === undefined ? "source-text" : "target-text" },
        );
      }
      return async () => {
        const { nearestTokens, readParallelText, transTokenization } = await load();
        const pairs = await readParallelText(sourceText, targetText);
        if (method === "wechsel") return nearestTokens({ pairs });
        const { directions, minCount } = values;
        return transTokenization({ pairs, ...defined({ directions, minCount }) });
      };
    }
    case "zett": {
      const { hypernetwork, acceptOtherModel, text, steps, seed } = values;
      if (hypernetwork === undefined) {
        throw new UsageError(
          "option-missing",
          "zett needs --hypernetwork: a file to read, or with --text one to write",
          { option: "hypernetwork" },
        );
      }
      return async (model, progress) => {
        const { readHypernetwork, readTexts, trainHypernetwork, writeHypernetwork, zett } =
          await load();
        if (text.length === 0) {
          return zett(await readHypernetwork(hypernetwork), { acceptOtherModel });
        }
        const trained = await trainHypernetwork(model, {
          texts: await readTexts(text),
          seed,
          ...defined({ steps }),
          signal,
          onProgress: (_, done, total, loss) =>
            progress(`training a hypernetwork, step ${done}/${total}, loss ${loss.toFixed(3)}`),
        });
        await writeHypernetwork(hypernetwork, trained);
        return zett(trained);
      };
    }
  }
}
