/** `jeton classify`: classes of texts, of pairs of texts, of tokens, and spans that answer a question. */
import { formatTable } from "../../core/table.ts";
import type { LoadedEncoder } from "../../model/encoder/types.ts";
import { type Command, defineCommand, defined, UsageError } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { type ClassifyDocument, writeJson } from "../json-output.ts";
import {
  encoderOptions,
  headedModelOption,
  readTexts,
  withEncoder,
} from "../options/encoder-options.ts";
import { refuseMisplaced } from "../options/misplaced.ts";

export const command: Command = defineCommand({
  name: "classify",
  summary: "classes of texts or of their tokens; spans that answer a question",
  description:
    "Classifies each text with the head of an encoder checkpoint: classes of the whole text, of its " +
    "tokens (names and the like), or, with --question, the span of the text that answers it. Without " +
    "texts, or with -, each line of standard input is a text.",
  positionals: [{ name: "text|-", repeatable: true }],
  options: {
    ...encoderOptions,
    model: headedModelOption,
    pair: { kind: "text", value: "TEXT", help: "the second text of each pair" },
    question: { kind: "text", value: "TEXT", help: "find the span that answers this" },
    topK: {
      kind: "integer",
      value: "N",
      min: 1,
      help: "show the N most probable; default: all, of spans 1",
    },
    every: { kind: "flag", help: "classes of every token, not of groups of them" },
  },
  examples: [
    {
      line: 'jeton classify --model path/to/classifier "What a wonderful day!"',
      shows: "the classes of the sentence with their probabilities",
    },
    {
      line: 'jeton classify --model path/to/tagger "Marie Curie worked in Paris."',
      shows: "names with their places in the text",
    },
  ],
  async run(context, values, positionals) {
    if (values.pair !== undefined && values.question !== undefined) {
      throw new UsageError("option-conflict", "give --pair or --question, not both");
    }
    if (values.question !== undefined) {
      refuseMisplaced(values, ["every"], "means nothing for --question, which finds spans");
    }
    const texts = await readTexts(context, positionals, values.file);
    return withEncoder(context, values, async (model) => {
      const results = await classifyTexts(context, model, texts, values);
      if (values.json) {
        const { name, format, threads } = model;
        await writeJson<ClassifyDocument>(context.stdout, {
          model: name,
          format,
          threads,
          results: texts.map((text, index) => ({ text, ...results[index]! })),
        });
        return;
      }
      await context.stdout.write(`${formatResults(texts, results)}\n`);
    });
  },
});

type Result = Omit<ClassifyDocument["results"][number], "text">;

async function classifyTexts(
  { signal }: CommandContext,
  model: LoadedEncoder,
  texts: readonly string[],
  values: {
    readonly pair: string | undefined;
    readonly question: string | undefined;
    readonly topK: number | undefined;
    readonly every: boolean;
  },
): Promise<Result[]> {
  const { classify, classifyTokens, findSpans } = await import("../../model/encoder/index.ts");
  const { question, pair } = values;
  const limit = defined({ topK: values.topK });
  if (question !== undefined) {
    return Promise.all(
      texts.map(async (text) => ({
        spans: await findSpans(model, question, text, { ...limit, signal }),
      })),
    );
  }
  if (model.heads.includes("tokens")) {
    const why = `means nothing for ${model.name}, which classifies tokens`;
    refuseMisplaced(values, ["pair", "topK"], why);
    const found = await classifyTokens(model, texts, { group: !values.every, signal });
    return found.map((spans) => ({ spans }));
  }
  refuseMisplaced(values, ["every"], `means nothing for ${model.name}, which classifies texts`);
  const pairs = pair === undefined ? texts : texts.map((text) => [text, pair] as const);
  const found = await classify(model, pairs, { ...limit, signal });
  return found.map((classes) => ({ classes }));
}

function formatResults(texts: readonly string[], results: readonly Result[]): string {
  const rows = results.flatMap(({ classes = [], spans = [] }, index) => [
    ...classes.map(({ label, score }) => [shorten(texts[index]!), label, score.toFixed(4), ""]),
    ...spans.map(({ text, score, start, end, ...rest }) => [
      shorten(texts[index]!),
      "label" in rest ? String(rest.label) : "answer",
      score.toFixed(4),
      `${start}-${end} ${text}`,
    ]),
  ]);
  return formatTable(
    [{ title: "text" }, { title: "class" }, { title: "score", align: "right" }, { title: "place" }],
    rows,
  );
}

const shorten = (text: string): string => (text.length > 40 ? `${text.slice(0, 39)}…` : text);
