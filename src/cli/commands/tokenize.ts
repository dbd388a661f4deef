/** `jeton tokenize`: a text as tokens, many texts as JSON lines, or ids as text. */
import { JetonError } from "../../core/error.ts";
import { formatTable } from "../../core/table.ts";
import type { EncodeOptions, Encoding, Tokenizer } from "../../tokenizer/index.ts";
import { type Command, defineCommand, UsageError } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { decodeText, readLines, readTextArgument } from "../options/input.ts";
import { locateModel } from "../options/locate.ts";
import { showPieces } from "../terminal/text-chunks.ts";

export const command: Command = defineCommand({
  name: "tokenize",
  summary: "show a text as tokens, or ids as text",
  description:
    "Splits a text into the tokens of a model: the tokens set apart, with their ids and their places " +
    "in the text. M is a checkpoint folder, a folder that holds only a tokenizer, a tokenizer file, or " +
    "a name on the hub. Without a text, or with -, standard input is read.",
  positionals: [{ name: "M", required: true }, { name: "text|-" }],
  options: {
    special: {
      kind: "flag",
      help: "add the special tokens of the model's template; with --decode, show special tokens",
    },
    offsets: {
      kind: "text",
      value: "UNIT",
      choices: ["utf16", "codepoint"],
      default: "utf16",
      help: "unit of the offsets",
    },
    whole: { kind: "flag", help: "ignore the truncation and the padding that the file sets" },
    ids: { kind: "flag", help: "print the ids alone, separated by spaces" },
    decode: { kind: "flag", help: "turn ids (separated by spaces or commas) into text" },
    jsonl: {
      kind: "flag",
      help:
        "read one JSON string a line from standard input and write { ids, tokens, offsets } a line; " +
        "with --decode, read one array of ids a line and write strings",
    },
  },
  examples: [
    {
      line: 'jeton tokenize path/to/checkpoint "tokenization"',
      shows: "the tokens of the text, their ids and offsets",
    },
    {
      line: "jeton tokenize path/to/tokenizer.json --jsonl < texts.jsonl > tokens.jsonl",
      shows: "many texts at once",
    },
  ],
  async run(context, values, [model, text]) {
    const { decode, jsonl, json, ids: idsOnly, special, whole } = values;
    if (jsonl && text !== undefined && text !== "-") {
      throw new UsageError("text-unexpected", "--jsonl reads from standard input; give no text");
    }
    const { loadTokenizer } = await import("../../tokenizer/index.ts");
    const folder = await locateModel(context, model!, { weights: false });
    const tokenizer = await loadTokenizer(folder);
    const encodeOptions: EncodeOptions = {
      addSpecialTokens: special,
      applyLimits: !whole,
      offsetUnit: values.offsets,
    };
    if (jsonl) {
      const convert = decode
        ? (line: string) => tokenizer.decode(readIdArray(line), { skipSpecialTokens: !special })
        : (line: string) => plainEncoding(tokenizer.encode(readString(line), encodeOptions));
      return convertLines(context, convert);
    }
    const { stdout } = context;
    const input = await readTextArgument(context, text);
    if (decode) {
      const decoded = tokenizer.decode(parseIds(input), { skipSpecialTokens: !special });
      await stdout.write(`${json ? JSON.stringify({ text: decoded }) : decoded}\n`);
      return;
    }
    const encoding = tokenizer.encode(input, encodeOptions);
    if (json) {
      const document = { text: input, count: encoding.ids.length, ...plainEncoding(encoding) };
      await stdout.write(`${JSON.stringify(document)}\n`);
    } else if (idsOnly) {
      await stdout.write(`${encoding.ids.join(" ")}\n`);
    } else {
      await stdout.write(describeEncoding(context, tokenizer, input, encoding, encodeOptions));
    }
  },
});

/** An encoding as JSON writes it. */
function plainEncoding({ ids, tokens, offsets }: Encoding): {
  ids: number[];
  tokens: string[];
  offsets: [number, number][];
} {
  return { ids: Array.from(ids), tokens, offsets };
}

function describeEncoding(
  { stdout: { style } }: CommandContext,
  tokenizer: Tokenizer,
  text: string,
  encoding: Encoding,
  options: EncodeOptions,
): string {
  // The pieces are cut from the text, which counts in UTF-16 whatever the table shows.
  const pieces =
    options.offsetUnit === "utf16"
      ? encoding
      : tokenizer.encode(text, { ...options, offsetUnit: "utf16" });
  const count = encoding.ids.length;
  const characters = Array.from(text).length;
  const ratio = count === 0 ? "" : `, ${(characters / count).toFixed(2)} characters a token`;
  const rows = Array.from(encoding.ids, (id, at) => {
    const [start, end] = encoding.offsets[at]!;
    return [String(id), `${start}-${end}`, JSON.stringify(encoding.tokens[at]).slice(1, -1)];
  });
  const table = formatTable(
    [{ title: "id", align: "right" }, { title: "offsets" }, { title: "token" }],
    rows,
    { styleHeading: style.bold },
  );
  const plural = (number: number, word: string): string =>
    `${number} ${word}${number === 1 ? "" : "s"}`;
  return [
    showPieces(text, pieces, style),
    "",
    table,
    "",
    style.dim(`${plural(count, "token")}, ${plural(characters, "character")}${ratio}`),
    "",
  ].join("\n");
}

/** Writes are gathered up to this size, but never across input that has yet to arrive. */
const writeSize = 1 << 16;

/** Converts standard input line by line; what was converted before a bad line is written. */
async function convertLines(
  { stdin, stdout, signal }: CommandContext,
  convert: (line: string) => unknown,
): Promise<void> {
  for await (const { first, lines } of readLines(stdin, signal)) {
    let text = "";
    for (const [at, bytes] of lines.entries()) {
      try {
        text += `${JSON.stringify(convert(decodeText(bytes, "the line")))}\n`;
      } catch (error) {
        await stdout.write(text);
        throw describeBadLine(error, first + at);
      }
      if (text.length >= writeSize) {
        await stdout.write(text);
        text = "";
        signal.throwIfAborted();
      }
    }
    await stdout.write(text);
  }
}

function describeBadLine(error: unknown, line: number): unknown {
  if (!JetonError.isInstance(error)) return error;
  return new JetonError(`line ${line} of standard input: ${error.message}`, {
    code: error.code,
    details: { ...error.details, line },
    cause: error,
  });
}

function readString(line: string): string {
  const value = parseLine(line, "one JSON string");
  if (typeof value === "string") return value;
  throw badLine("one JSON string", line);
}

function readIdArray(line: string): number[] {
  const expected = "one JSON array of ids";
  const value = parseLine(line, expected);
  if (Array.isArray(value) && value.every((id) => Number.isSafeInteger(id) && id >= 0))
    return value;
  throw badLine(expected, line);
}

function parseLine(line: string, expected: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw badLine(expected, line);
  }
}

function badLine(expected: string, line: string): JetonError {
  const found = line.length > 60 ? `${line.slice(0, 60)}...` : line;
  return new JetonError(`expected ${expected}, found ${found === "" ? "an empty line" : found}`, {
    code: "line-invalid",
    details: { expected, found },
  });
}

/** Ids as people and programs write them: `1 2 3`, `1,2,3`, `[1, 2, 3]`. */
function parseIds(text: string): number[] {
  const parts = text.replace(/^\s*\[|\]\s*$/g, "").split(/[\s,]+/);
  return parts
    .filter((part) => part !== "")
    .map((part) => {
      if (/^\d+$/.test(part)) return Number(part);
      throw new JetonError(`expected ids separated by spaces, found ${JSON.stringify(part)}`, {
        code: "ids-invalid",
        details: { found: part, expected: "integers" },
      });
    });
}
