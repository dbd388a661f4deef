/**
 * The post-processors of tokenizer files: special tokens around one text or two, and the trimming of
 * offsets.
 */
import { JetonError } from "../../core/error.ts";
import { byteToCharacter } from "../decoders/byte-alphabet.ts";
import {
  asArray,
  asInteger,
  asObject,
  asString,
  invalidField,
  type JsonObject,
  readBoolean,
  readField,
  readInteger,
  readList,
  readString,
} from "../formats/json-reader.ts";
import { maxId } from "../models/vocabulary.ts";
import { characterLength } from "../normalizers/aligned-text.ts";
import { tooDeep } from "../normalizers/normalizers.ts";
import { isWhitespace } from "../pre-tokenizers/character-classes.ts";

/** A piece of a template: one of the two texts, or special tokens. */
export type TemplatePiece =
  | { readonly kind: "text"; readonly sequence: "A" | "B"; readonly typeId: number }
  | {
      readonly kind: "special";
      readonly ids: readonly number[];
      readonly tokens: readonly string[];
      readonly typeId: number;
    };

/** Changes to the encodings of the texts. */
export interface PostProcessor {
  /** How offsets lose the whitespace that their tokens begin or end with; null leaves them alone. */
  readonly trim: { readonly prefixSpace: boolean } | null;
  /** The order of texts and special tokens. */
  readonly single: readonly TemplatePiece[];
  readonly pair: readonly TemplatePiece[];
}

const textA: TemplatePiece = { kind: "text", sequence: "A", typeId: 0 };
const textB: TemplatePiece = { kind: "text", sequence: "B", typeId: 1 };
const plain: PostProcessor = { trim: null, single: [textA], pair: [textA, textB] };

/** Reads the `post_processor` of a tokenizer file; null leaves the texts as they are. */
export function readPostProcessor(value: unknown, path: string, depth = 0): PostProcessor {
  if (value === undefined || value === null) return plain;
  const object = asObject(value, path);
  const type = readString(object, "type", path);
  switch (type) {
    case "ByteLevel":
      return { ...plain, trim: readTrim(object, path) };
    case "TemplateProcessing":
      return readTemplate(object, path);
    case "BertProcessing":
      return createClassic(
        readSpecial(object, "cls", path),
        readSpecial(object, "sep", path),
        null,
      );
    case "RobertaProcessing":
      return createClassic(
        readSpecial(object, "cls", path),
        readSpecial(object, "sep", path),
        readTrim(object, path),
        true,
      );
    case "Sequence": {
      if (depth > 16) throw tooDeep(path);
      const steps = readList(object, "processors", path, (item, at) =>
        readPostProcessor(item, at, depth + 1),
      );
      return steps.reduce(compose, plain);
    }
    default:
      throw new JetonError(
        `${path}.type names the unknown post-processor ${JSON.stringify(type)}`,
        {
          code: "tokenizer-unknown-component",
          details: { path, type },
        },
      );
  }
}

function readTrim(object: JsonObject, path: string): PostProcessor["trim"] {
  if (!readBoolean(object, "trim_offsets", path, true)) return null;
  return { prefixSpace: readBoolean(object, "add_prefix_space", path, true) };
}

/** One processor after another: the later template receives the earlier one's result as its text. */
function compose(first: PostProcessor, second: PostProcessor): PostProcessor {
  const expand = (pieces: readonly TemplatePiece[], isPair: boolean): TemplatePiece[] =>
    pieces.flatMap((piece) => {
      if (piece.kind === "special") return [piece];
      const inner = isPair ? first.pair : first.single;
      // Each text of a pair keeps the special tokens that stand around it.
      const own = isPair ? partOf(inner, piece.sequence) : inner;
      return own.map((part) => ({ ...part, typeId: piece.typeId }));
    });
  return {
    trim: second.trim ?? first.trim,
    single: expand(second.single, false),
    pair: expand(second.pair, true),
  };
}

/** The pieces of a pair template that belong to one text: it and what stands before it or, last, after. */
function partOf(pieces: readonly TemplatePiece[], sequence: "A" | "B"): TemplatePiece[] {
  const cut = pieces.findIndex((piece) => piece.kind === "text" && piece.sequence === "B");
  if (cut < 0) return sequence === "A" ? [...pieces] : [textB];
  return sequence === "A" ? pieces.slice(0, cut) : pieces.slice(cut);
}

function readSpecial(object: JsonObject, key: string, path: string): TemplatePiece {
  const at = `${path}.${key}`;
  const pair = asArray(readField(object, key), at);
  return {
    kind: "special",
    ids: [asInteger(pair[1], `${at}[1]`, 0, maxId)],
    tokens: [asString(pair[0], `${at}[0]`)],
    typeId: 0,
  };
}

/** `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`, or RoBERTa's `<s> A </s> </s> B </s>`. */
function createClassic(
  start: TemplatePiece,
  end: TemplatePiece,
  trim: PostProcessor["trim"],
  doubled = false,
): PostProcessor {
  const second = doubled ? 0 : 1;
  const b: TemplatePiece = { ...textB, typeId: second };
  const middle = doubled ? [end, end] : [end];
  return {
    trim,
    single: [start, textA, end],
    pair: [start, textA, ...middle, b, { ...end, typeId: second }],
  };
}

function readTemplate(object: JsonObject, path: string): PostProcessor {
  const table = asObject(readField(object, "special_tokens") ?? {}, `${path}.special_tokens`);
  const readPieces = (key: string, fallback: readonly TemplatePiece[]): readonly TemplatePiece[] =>
    readField(object, key) === undefined
      ? fallback
      : readList(object, key, path, (item, at) => readPiece(item, at, table, path));
  const single = readPieces("single", [textA]);
  const pair = readPieces("pair", [textA, textB]);
  const texts = (pieces: readonly TemplatePiece[], sequence: string): number =>
    pieces.filter((piece) => piece.kind === "text" && piece.sequence === sequence).length;
  if (texts(single, "A") === 0 || texts(single, "B") > 0) {
    throw invalidField(`${path}.single`, readField(object, "single"), "a template of the text A");
  }
  if (texts(pair, "A") === 0 || texts(pair, "B") === 0) {
    throw invalidField(
      `${path}.pair`,
      readField(object, "pair"),
      "a template of the texts A and B",
    );
  }
  return { trim: null, single, pair };
}

function readPiece(value: unknown, at: string, table: JsonObject, path: string): TemplatePiece {
  const object = asObject(value, at);
  const typeRange = { minimum: 0, maximum: 1_000_000, fallback: 0 };
  const text = readField(object, "Sequence");
  if (text !== undefined) {
    const inner = asObject(text, `${at}.Sequence`);
    const sequence = readString(inner, "id", `${at}.Sequence`);
    if (sequence !== "A" && sequence !== "B") {
      throw invalidField(`${at}.Sequence.id`, sequence, "A or B");
    }
    const typeId = readInteger(inner, "type_id", `${at}.Sequence`, typeRange);
    return { kind: "text", sequence, typeId };
  }
  const special = readField(object, "SpecialToken");
  if (special === undefined) throw invalidField(at, value, "a Sequence or a SpecialToken");
  const inner = asObject(special, `${at}.SpecialToken`);
  const name = readString(inner, "id", `${at}.SpecialToken`);
  const entryPath = `${path}.special_tokens[${JSON.stringify(name)}]`;
  const entry = asObject(readField(table, name), entryPath);
  const ids = readList(entry, "ids", entryPath, (id, p) => asInteger(id, p, 0, maxId));
  const tokens = readList(entry, "tokens", entryPath, asString);
  if (ids.length !== tokens.length) {
    throw invalidField(`${entryPath}.tokens`, tokens, `${ids.length} tokens, one for each id`);
  }
  const typeId = readInteger(inner, "type_id", `${at}.SpecialToken`, typeRange);
  return { kind: "special", ids, tokens, typeId };
}

const byteSpace = byteToCharacter[32]!.charCodeAt(0);

/**
 * The offsets of a token (UTF-16 units of `text`) without the whitespace that it begins and ends
 * with, one character of the text for each. A space that the tokenizer itself put before the text
 * (`prefixSpace`) is not in the text and costs nothing.
 */
export function trimOffsets(
  text: string,
  token: string,
  offsets: readonly [number, number],
  isFirst: boolean,
  prefixSpace: boolean,
): [number, number] {
  const isSpace = (unit: number): boolean => unit === byteSpace || isWhitespace(unit);
  let leading = 0;
  while (leading < token.length && isSpace(token.charCodeAt(leading))) leading++;
  let trailing = 0;
  while (trailing < token.length && isSpace(token.charCodeAt(token.length - 1 - trailing))) {
    trailing++;
  }
  let [start, end] = offsets;
  if (leading > 0) {
    // Several spaces cannot be the tokenizer's own: they all stand in the text.
    if ((isFirst || start === 0) && prefixSpace && leading === 1) leading = 0;
    for (; leading > 0 && start < end; leading--) start += characterLength(text, start);
  }
  if (trailing > 0) {
    let last = end;
    let left = trailing;
    for (; left > 0 && last > 0; left--) last -= isPairBefore(text, last) ? 2 : 1;
    if (left === 0) end = Math.max(last, start);
  }
  return [start, end];
}

function isPairBefore(text: string, at: number): boolean {
  return at >= 2 && characterLength(text, at - 2) === 2;
}
