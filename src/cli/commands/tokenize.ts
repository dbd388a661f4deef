/** `jeton tokenize`: shows a text as tokens, converts JSON lines, or decodes ids. */
import { JetonError } from "../../core/error.ts";
import { formatCountOf } from "../../core/progress.ts";
import { formatTable } from "../../core/table.ts";
import type { EncodeOptions, Encoding, Tokenizer } from "../../tokenizer/index.ts";
import { type Command, defineCommand, modelArgument, UsageError } from "../command.ts";
import type { CommandContext } from "../context.ts";
import {
  type DecodeDocument,
  formatJson,
  type TokenizeDocument,
  type TokenizedLine,
  writeJson,
} from "../json-output.ts";
import { decodeText, readLines, readTextArgument } from "../options/input.ts";
import { locateTokenizer } from "../options/locate.ts";
import { refuseMisplaced } from "../options/misplaced.ts";
import { showPieces } from "../terminal/text-chunks.ts";

export const command: Command = defineCommand({
  name: "tokenize",
  summary: "show a text as tokens, or ids as text",
  description:
    "Splits a text into the tokens of a model and shows them with their ids and offsets. M is a " +
    "checkpoint folder, a folder with only a tokenizer, a tokenizer file, a bundled model such as jeton-nano, or a " +
    "name on the hub. Without a text, or with -, the text is read from standard input.",
  positionals: [{ name: modelArgument, required: true }, { name: "text|-" }],
  options: {
    special: {
      kind: "flag",
      help: "add the special tokens of the model's template; with --decode, show special tokens",
    },
    offsets: {
      kind: "text",
      value: "UNIT",
      choices: ["utf16", "codepoint"],
      help: "unit of the offsets; default: utf16",
    },
    whole: { kind: "flag", help: "ignore the truncation and padding settings of the tokenizer" },
    ids: { kind: "flag", help: "print only the ids, separated by spaces" },
    decode: { kind: "flag", help: "decode ids (separated by spaces or commas) to text" },
    jsonl: {
      kind: "flag",
      help:
        "read one JSON string per line from standard input and write { ids, tokens, offsets } per line; " +
        "with --decode, read one array of ids per line and write strings",
    },
  },
  examples: [
    {
      line: 'jeton tokenize jeton-nano "tokenization"',
      shows: "the tokens of the text with their ids and offsets",
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
    if (decode) refuseMisplaced(values, ["offsets", "whole", "ids"], "means nothing for --decode");
    if (jsonl) refuseMisplaced(values, ["ids"], "means nothing for --jsonl, whose lines have ids");
    if (idsOnly) refuseMisplaced(values, ["offsets"], "means nothing for --ids");
    const { loadTokenizer } = await import("../../tokenizer/index.ts");
    const folder = await locateTokenizer(context, model!).catch((error: unknown) => {
      throw text === undefined ? describeMissingModel(error, model!) : error;
    });
    const tokenizer = await loadTokenizer(folder);
    const encodeOptions: EncodeOptions = {
      addSpecialTokens: special,
      applyLimits: !whole,
      offsetUnit: values.offsets ?? "utf16",
    };
    if (jsonl) {
      const convert = decode
        ? (line: string) =>
            tokenizer.decode(checkIds(tokenizer, readIdArray(line)), {
              skipSpecialTokens: !special,
            })
        : (line: string) => toLine(tokenizer.encode(readString(line), encodeOptions));
      return convertLines(context, convert);
    }
    const { stdout } = context;
    const input = await readTextArgument(context, text);
    if (decode) {
      const decoded = tokenizer.decode(checkIds(tokenizer, parseIds(input)), {
        skipSpecialTokens: !special,
      });
      if (json) await writeJson<DecodeDocument>(stdout, { text: decoded });
      else await stdout.write(`${decoded}\n`);
      return;
    }
    const encoding = tokenizer.encode(input, encodeOptions);
    if (json) {
      const { length: count } = encoding.ids;
      await writeJson<TokenizeDocument>(stdout, { text: input, count, ...toLine(encoding) });
    } else if (idsOnly) {
      await stdout.write(`${encoding.ids.join(" ")}\n`);
    } else {
      await stdout.write(describeEncoding(context, tokenizer, input, encoding, encodeOptions));
    }
  },
});

/** A text alone was taken for the model. */
function describeMissingModel(error: unknown, found: string): unknown {
  if (!JetonError.isInstance(error) || error.code !== "model-name-invalid") return error;
  const { message, code, details } = error;
  const written = `jeton tokenize jeton-nano ${JSON.stringify(found)}`;
  const advice = `the model stands before the text: ${written}`;
  return new JetonError(`${message}; ${advice}`, { code, details, cause: error });
}

/** The JSON form of an encoding. */
function toLine({ ids, tokens, offsets }: Encoding): TokenizedLine {
  return { ids: Array.from(ids), tokens, offsets };
}

function describeEncoding(
  { stdout: { style } }: CommandContext,
  tokenizer: Tokenizer,
  text: string,
  encoding: Encoding,
  options: EncodeOptions,
): string {
  // The chunks are cut from a JavaScript string, so their offsets must count UTF-16 code units.
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
  return [
    showPieces(text, pieces, style),
    "",
    table,
    "",
    style.dim(
      `${formatCountOf(count, "token")}, ${formatCountOf(characters, "character")}${ratio}`,
    ),
    "",
  ].join("\n");
}

/** Output is buffered up to this size, but always written before waiting for more input. */
const writeSize = 1 << 16;

/** Converts standard input line by line; the lines before an invalid one are still written. */
async function convertLines(
  { stdin, stdout, signal }: CommandContext,
  convert: (line: string) => TokenizedLine | string,
): Promise<void> {
  for await (const { first, lines } of readLines(stdin, signal)) {
    let text = "";
    for (const [at, bytes] of lines.entries()) {
      try {
        text += `${formatJson(convert(decodeText(bytes, "the line")))}\n`;
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

/** The ids, if each is that of a token. Throws `ids-invalid`. */
function checkIds(tokenizer: Tokenizer, ids: number[]): number[] {
  const wrong = ids.find((id) => tokenizer.idToToken(id) === undefined);
  if (wrong === undefined) return ids;
  throw new JetonError(
    `no token has the id ${wrong}; the vocabulary has ${tokenizer.vocabSize} tokens`,
    {
      code: "ids-invalid",
      details: { found: wrong, vocabSize: tokenizer.vocabSize, expected: "ids of the vocabulary" },
    },
  );
}

/** Parses a list of ids: `1 2 3`, `1,2,3` or `[1, 2, 3]`. */
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
