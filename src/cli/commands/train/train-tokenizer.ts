/** `jeton train tokenizer`: trains a tokenizer on your own text. */
import { formatBytes, formatCount, formatDuration } from "../../../core/progress.ts";
import { kindsOfOption } from "../../../tokenizer/training/option-kinds.ts";
import { type Command, defineCommand, defined, UsageError, type Values } from "../../command.ts";
import {
  type TrainTokenizerDocument,
  type TrainTokenizerProgressLine,
  writeJson,
} from "../../json-output.ts";
import { createStatusLine } from "../../options/locate.ts";

const options = {
  out: {
    kind: "text",
    short: "o",
    value: "FOLDER",
    help: "folder for tokenizer.json and tokenizer_config.json",
  },
  corpus: {
    kind: "list",
    value: "NAME",
    help: "text or JSON lines, also .gz: a file, a folder, a pattern such as 'prose/**/*.txt', or data:NAME of the data registry",
  },
  field: {
    kind: "text",
    value: "FIELD",
    help: "field of JSON lines with the text; default: text",
  },
  kind: {
    kind: "text",
    value: "KIND",
    choices: ["byte-level-bpe", "byte-fallback-bpe", "wordpiece", "unigram", "lib"],
    default: "byte-level-bpe",
    help: "BPE as in GPT-2, BPE as in Llama 2, as in BERT, as in SentencePiece, or LiB with multi-word expressions",
  },
  vocabulary: {
    kind: "integer",
    short: "n",
    value: "N",
    min: 1,
    default: 8192,
    help: "number of tokens, including special tokens and alphabet",
  },
  special: {
    kind: "list",
    value: "TOKEN",
    help: "special token; ids count from 0 in this order; default: those that the kind needs",
  },
  begin: {
    kind: "text",
    value: "TOKEN",
    help: "BOS token; none turns it off; default: <s> if it is a special token",
  },
  end: {
    kind: "text",
    value: "TOKEN",
    help: "EOS token; none turns it off; default: <|endoftext|> or </s> if it is a special token",
  },
  pattern: {
    kind: "text",
    value: "PATTERN",
    choices: ["gpt2", "cl100k", "qwen2", "o200k"],
    help: "how byte-level BPE splits text into words; default: gpt2",
  },
  regex: {
    kind: "text",
    value: "REGEX",
    help: "split text into words by a regular expression that matches words",
  },
  splitDigits: { kind: "flag", help: "one token per digit (byte-fallback BPE and Unigram)" },
  keepCase: { kind: "flag", help: "WordPiece: keep capitals and accents" },
  normalization: {
    kind: "text",
    value: "FORM",
    choices: ["NFC", "NFD", "NFKC", "NFKD"],
    help: "Unicode normal form; default: none",
  },
  minFrequency: {
    kind: "integer",
    value: "N",
    help: "minimum count of a merged pair (BPE and WordPiece); default: 2",
  },
  maxTokenLength: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "maximum length of a token in characters, for byte-level BPE in bytes; default: 16 for Unigram, else unlimited",
  },
  maxAlphabet: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "maximum number of characters in the alphabet; rarer ones become bytes",
  },
  seedSize: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "Unigram: maximum number of initial substrings; default: 1000000",
  },
  steps: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "LiB: training steps of 500 lines (fewer for a short text); default: 500",
  },
  seed: {
    kind: "integer",
    value: "N",
    help: "LiB: seed of its random numbers; default: 0",
  },
  overwrite: { kind: "flag", help: "replace a tokenizer in the folder" },
} as const;

export const command: Command = defineCommand({
  name: "train tokenizer",
  summary: "learn a vocabulary from your own text",
  description:
    "Trains a tokenizer and writes it as an ordinary tokenizer.json, atomically. Text is read as a " +
    "stream; memory holds only words and their counts (for LiB all lines). The same files in the same " +
    "order give the same tokenizer. LiB tokenizers can be read by jeton only.",
  positionals: [],
  options,
  examples: [
    {
      line: "jeton train tokenizer --corpus 'prose/*.txt' --vocabulary 8192 --out my-tokenizer",
      shows: 'byte-level BPE; try it with jeton tokenize my-tokenizer "some text"',
    },
    {
      line: "jeton train tokenizer --kind unigram --corpus data:text/gibbon --corpus notes.jsonl -n 16000 -o my-tokenizer",
      shows: "a Unigram tokenizer from the data registry and from JSON lines",
    },
  ],
  async run(context, values) {
    const { out } = values;
    if (out === undefined || values.corpus.length === 0) {
      const absent = [
        ...(out === undefined ? ["--out FOLDER"] : []),
        ...(values.corpus.length === 0 ? ["--corpus NAME"] : []),
      ];
      throw new UsageError(
        "option-missing",
        `jeton train tokenizer needs ${absent.join(" and ")}`,
        {
          option: absent[0]!.split(" ")[0],
        },
      );
    }
    checkKind(values);
    const { formatTokenizerTrainingProgress, trainTokenizerFolder } = await import(
      "../../../train/index.ts"
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
        ...(values.keepCase && { lowercase: false }),
        ...(values.splitDigits && { splitDigits: true }),
        overwrite: values.overwrite,
        signal: context.signal,
        onProgress: (progress) => {
          if (values.json) void writeJson<TrainTokenizerProgressLine>(stderr, progress);
          else line.show(formatTokenizerTrainingProgress(progress));
        },
      });
      line.clear();
      const seconds = (performance.now() - began) / 1000;
      if (values.json) {
        await writeJson<TrainTokenizerDocument>(stdout, { ...result, seconds });
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

/** Throws if the chosen kind would ignore an option. */
function checkKind(values: Values<typeof options>): void {
  const { kind } = values;
  const given: readonly (readonly [string, keyof typeof kindsOfOption, unknown])[] = [
    ["--pattern", "pattern", values.pattern],
    ["--regex", "pattern", values.regex],
    ["--split-digits", "splitDigits", values.splitDigits || undefined],
    ["--keep-case", "lowercase", values.keepCase || undefined],
    ["--begin", "bosToken", values.begin],
    ["--end", "eosToken", values.end],
    ["--min-frequency", "minFrequency", values.minFrequency],
    ["--normalization", "normalization", values.normalization],
    ["--steps", "steps", values.steps],
    ["--seed", "seed", values.seed],
    ["--max-alphabet", "maxAlphabet", values.maxAlphabet],
    ["--seed-size", "seedSize", values.seedSize],
  ];
  const [misplaced] =
    given.find(([, name, value]) => value !== undefined && !kindsOfOption[name].includes(kind)) ??
    [];
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

/** `none` means no token; without a value the library's default applies. */
function chooseToken<K extends string>(
  key: K,
  token: string | undefined,
): Partial<Record<K, string | null>> {
  if (token === undefined) return {};
  return { [key]: token === "none" ? null : token } as Record<K, string | null>;
}
