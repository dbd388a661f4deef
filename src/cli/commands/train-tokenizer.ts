/** `jeton train tokenizer`: a vocabulary from your own text. */
import { formatBytes, formatCount, formatDuration } from "../../core/progress.ts";
import { type Command, defineCommand, defined, UsageError, type Values } from "../command.ts";
import { createStatusLine } from "../options/locate.ts";

const options = {
  out: {
    kind: "text",
    short: "o",
    value: "FOLDER",
    help: "where tokenizer.json and tokenizer_config.json go",
  },
  corpus: {
    kind: "list",
    value: "NAME",
    help: "text or JSON lines, also .gz: a file, a folder, a pattern such as 'prose/**/*.txt', or data:NAME of the data registry",
  },
  field: {
    kind: "text",
    value: "FIELD",
    help: "field of JSON lines that holds the text; default: text",
  },
  kind: {
    kind: "text",
    value: "KIND",
    choices: ["byte-level-bpe", "byte-fallback-bpe", "wordpiece", "unigram", "lib"],
    default: "byte-level-bpe",
    help: "GPT-2's way, Llama 2's, BERT's, SentencePiece's, or LiB's: expressions of several words",
  },
  vocabulary: {
    kind: "integer",
    short: "n",
    value: "N",
    min: 1,
    default: 8192,
    help: "number of tokens, special ones and alphabet included",
  },
  special: {
    kind: "list",
    value: "TOKEN",
    help: "special token, in order of the ids from 0; default: those that the kind needs",
  },
  begin: {
    kind: "text",
    value: "TOKEN",
    help: "special token that begins every text; none turns it off; default: <s> where it is special",
  },
  end: {
    kind: "text",
    value: "TOKEN",
    help: "special token that ends a document; none turns it off; default: <|endoftext|> or </s> where it is special",
  },
  pattern: {
    kind: "text",
    value: "PATTERN",
    choices: ["gpt2", "cl100k", "qwen2", "o200k"],
    help: "how byte-level BPE cuts text into words; default: gpt2",
  },
  regex: {
    kind: "text",
    value: "REGEX",
    help: "the same, by a regular expression that matches words",
  },
  splitDigits: { kind: "flag", help: "cut digits apart (byte-fallback BPE and Unigram)" },
  keepCase: { kind: "flag", help: "WordPiece: leave capitals and accents as they are" },
  normalization: {
    kind: "text",
    value: "FORM",
    choices: ["NFC", "NFD", "NFKC", "NFKD"],
    help: "Unicode normal form; default: none",
  },
  minFrequency: {
    kind: "integer",
    value: "N",
    help: "merge no pair that is rarer (BPE and WordPiece); default: 2",
  },
  maxTokenLength: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "longest token in characters, for byte-level BPE in bytes; default: 16 for Unigram, else any",
  },
  maxAlphabet: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "most characters in the alphabet, commonest first; rarer ones become bytes",
  },
  seedSize: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "Unigram: most substrings to start from; default: 1000000",
  },
  steps: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "LiB: steps of 500 lines (fewer of a short text) to learn for; default: 500",
  },
  seed: {
    kind: "integer",
    value: "N",
    help: "LiB: what its random choices derive from; default: 0",
  },
  overwrite: { kind: "flag", help: "replace a tokenizer that the folder holds" },
} as const;

export const command: Command = defineCommand({
  name: "train tokenizer",
  summary: "learn a vocabulary from your own text",
  description:
    "Trains a tokenizer and writes it as an ordinary tokenizer.json, whole or not at all. Text is " +
    "read as a stream; only words and their counts are held in memory (for LiB all lines). The same " +
    "files in the same order give the same tokenizer. LiB's files are read by jeton alone.",
  positionals: [],
  options,
  examples: [
    {
      line: "jeton train tokenizer --corpus 'prose/*.txt' --vocabulary 8192 --out my-tokenizer",
      shows: 'byte-level BPE; jeton tokenize my-tokenizer "some text" shows what it does',
    },
    {
      line: "jeton train tokenizer --kind unigram --corpus data:text/gibbon --corpus notes.jsonl -n 16000 -o my-tokenizer",
      shows: "SentencePiece's way, from the data registry and from lines of JSON",
    },
  ],
  async run(context, values) {
    const { out } = values;
    if (out === undefined) throw missing("out", "FOLDER");
    if (values.corpus.length === 0) throw missing("corpus", "NAME");
    checkKind(values);
    const { formatTokenizerTrainingProgress, trainTokenizerFolder } = await import(
      "../../train/index.ts"
    );
    const { stdout, stderr } = context;
    const line = createStatusLine(context);
    const began = performance.now();
    try {
      const result = await trainTokenizerFolder({
        folder: out,
        corpus: { files: values.corpus, ...defined({ field: values.field }) },
        kind: values.kind,
        vocabSize: values.vocabulary,
        ...(values.special.length > 0 && { specialTokens: values.special }),
        ...chooseToken("bosToken", values.begin),
        ...chooseToken("eosToken", values.end),
        ...defined({
          pattern: values.regex === undefined ? values.pattern : { regex: values.regex },
          normalization: values.normalization,
          minFrequency: values.minFrequency,
          maxTokenLength: values.maxTokenLength,
          maxAlphabet: values.maxAlphabet,
          seedSize: values.seedSize,
          steps: values.steps,
          seed: values.seed,
        }),
        lowercase: !values.keepCase,
        splitDigits: values.splitDigits,
        overwrite: values.overwrite,
        signal: context.signal,
        onProgress: (progress) => {
          if (values.json) void stderr.write(`${JSON.stringify(progress)}\n`);
          else line.show(formatTokenizerTrainingProgress(progress));
        },
      });
      line.clear();
      const seconds = (performance.now() - began) / 1000;
      if (values.json) {
        await stdout.write(`${JSON.stringify({ ...result, seconds })}\n`);
        return;
      }
      await stdout.write(`${result.folder}\n`);
      const { vocabSize, bytes, words, distinctWords } = result;
      await stderr.write(
        `${vocabSize} tokens from ${formatBytes(bytes)} of text (${formatCount(words)} words, ` +
          `${formatCount(distinctWords)} distinct) in ${formatDuration(seconds)}\n`,
      );
    } finally {
      line.clear();
    }
  },
});

function missing(option: string, value: string): UsageError {
  return new UsageError("option-missing", `jeton train tokenizer needs --${option} ${value}`, {
    option: `--${option}`,
  });
}

/** Options that the chosen kind would silently leave aside are mistakes. */
function checkKind(values: Values<typeof options>): void {
  const { kind } = values;
  const isBytes = kind === "byte-level-bpe";
  const isLib = kind === "lib";
  const isMetaspace = kind === "byte-fallback-bpe" || kind === "unigram";
  const misplaced = [
    !isBytes && values.pattern !== undefined && "--pattern",
    !isBytes && values.regex !== undefined && "--regex",
    !isMetaspace && values.splitDigits && "--split-digits",
    kind !== "wordpiece" && values.keepCase && "--keep-case",
    (kind === "unigram" || isLib) && values.minFrequency !== undefined && "--min-frequency",
    isLib && values.normalization !== undefined && "--normalization",
    !isLib && values.steps !== undefined && "--steps",
    !isLib && values.seed !== undefined && "--seed",
    (isBytes || isLib) && values.maxAlphabet !== undefined && "--max-alphabet",
    kind !== "unigram" && values.seedSize !== undefined && "--seed-size",
  ].find((option) => option !== false);
  if (misplaced !== undefined) {
    throw new UsageError("option-misplaced", `${misplaced} means nothing for --kind ${kind}`, {
      option: misplaced,
      kind,
    });
  }
  if (values.pattern !== undefined && values.regex !== undefined) {
    throw new UsageError("option-misplaced", "--pattern and --regex exclude each other", {
      option: "--regex",
    });
  }
}

/** `none` is no token; nothing said is the library's default. */
function chooseToken<K extends string>(
  key: K,
  token: string | undefined,
): Partial<Record<K, string | null>> {
  if (token === undefined) return {};
  return { [key]: token === "none" ? null : token } as Record<K, string | null>;
}
