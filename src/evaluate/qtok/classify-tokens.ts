/**
 * Qtok's first part: the tokens of a vocabulary of any family in one canonical spelling,
 * and their twelve categories. The rules and their order are the paper's.
 */
import type { Tokenizer } from "../../tokenizer/index.ts";
import { commonScript, hasNameless, nameWordOf } from "./name-words.ts";

/** Categories, in the order of the paper's tables. */
export const tokenCategories = [
  "control",
  "byte",
  "character",
  "spaced word",
  "inner piece",
  "other character",
  "spaced other",
  "inner other",
  "broken character",
  "nameless character",
  "spaced nameless",
  "inner nameless",
] as const;

/**
 * - `control`: special tokens, `<…>` and `[…]`
 * - `byte`: a single byte
 * - `character`, `other character`, `nameless character`: a single character that belongs to a script,
 *   to none (digits, punctuation, symbols), or has no name (control characters)
 * - `spaced word`, `spaced other`, `spaced nameless`: a space, then letters of one script, or not
 * - `inner piece`, `inner other`, `inner nameless`: the same without a space in front
 * - `broken character`: bytes that are no valid UTF-8, parts of characters
 */
export type TokenCategory = (typeof tokenCategories)[number];

/** How a tokenizer writes its tokens. */
export type Spelling = "byte-level" | "metaspace" | "wordpiece" | "plain";

/** A token of a vocabulary. */
export interface CanonicalToken {
  readonly id: number;
  /**
   * Text of the token, a space in front where it begins a word; `<0yXX…>` with hexadecimal digits for
   * bytes that are no text; one symbol of GPT-2's byte alphabet for a single byte.
   */
  readonly text: string;
  readonly category: TokenCategory;
  /** Script of letters, where the category has one. */
  readonly script: string | undefined;
}

/** Options of `classifyTokens`. */
export interface ClassifyOptions {
  /**
   * Count as the paper's program does. In byte-level vocabularies only printable bytes are `byte`;
   * others are characters or parts of them. In vocabularies of characters, one-letter tokens up to
   * Latin-1 become hexadecimal text and so `inner other`. Default false: a byte is a byte, a letter a
   * letter.
   */
  asPublished?: boolean;
}

/** The byte of each symbol of GPT-2's byte alphabet. */
const byteOfSymbol: ReadonlyMap<string, number> = makeByteSymbols();

function makeByteSymbols(): Map<string, number> {
  const symbols = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const isPrintable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    symbols.set(String.fromCodePoint(isPrintable ? byte : next++), byte);
  }
  return symbols;
}

const symbolOfByte: readonly string[] = [...byteOfSymbol.keys()];

/** How a tokenizer spells its tokens, by what its vocabulary holds. */
export function findSpelling(tokenizer: Tokenizer): Spelling {
  if (tokenizer.kind === "WordPiece") return "wordpiece";
  const has = (token: string): boolean => tokenizer.tokenToId(token) !== undefined;
  if (has("\u2581")) return "metaspace";
  return has("\u0120") && has("\u010a") ? "byte-level" : "plain";
}

/** The tokens of a vocabulary with their categories, by id. Ids without a token are left out. */
export function classifyVocabulary(
  tokenizer: Tokenizer,
  options: ClassifyOptions = {},
): CanonicalToken[] {
  const { asPublished = false } = options;
  const spelling = findSpelling(tokenizer);
  const tokens: CanonicalToken[] = [];
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    const raw = tokenizer.idToToken(id);
    if (raw === undefined || raw === "") continue;
    const { text, isByte } = toCanonical(raw, spelling, tokenizer.isSpecial(id), asPublished);
    // The original program looks at the decoded character, not at its number of bytes.
    const looksLikeByte = asPublished && byteOfSymbol.has(text);
    const found =
      isByte || looksLikeByte ? { category: "byte" as const, script: undefined } : classify(text);
    tokens.push({ id, text, ...found });
  }
  return tokens;
}

/** The canonical spelling of a token, and whether it is known to be a byte. */
function toCanonical(
  raw: string,
  spelling: Spelling,
  isSpecial: boolean,
  asPublished: boolean,
): { readonly text: string; readonly isByte: boolean } {
  const plain = (text: string) => ({ text, isByte: false });
  const named = /^<0x([0-9A-Fa-f]{2})>$/.exec(raw);
  if (named !== null) return { text: symbolOfByte[Number.parseInt(named[1]!, 16)]!, isByte: true };
  if (isSpecial) return plain(raw);
  switch (spelling) {
    case "byte-level": {
      if (!byteOfSymbol.has(raw)) return plain(fromByteSymbols(raw));
      if (!asPublished) return { text: raw, isByte: true };
      return plain(fromByteSymbols(raw));
    }
    case "metaspace": {
      const spaced = raw.length > 1 && raw.startsWith("\u2581") ? ` ${raw.slice(1)}` : raw;
      return plain(asPublished ? writeHexadecimal(spaced) : spaced);
    }
    case "wordpiece": {
      const text = raw.startsWith("##") && raw.length > 2 ? raw.slice(2) : ` ${raw}`;
      return plain(/^ \[.+\]$/.test(text) ? raw : text);
    }
    case "plain":
      return plain(asPublished ? writeHexadecimal(raw) : raw);
  }
}

function writeHexadecimal(text: string): string {
  if (!byteOfSymbol.has(text)) return text;
  return `0X${text.codePointAt(0)!.toString(16).toUpperCase()}`;
}

const strictDecoder: TextDecoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** The text of a token in the byte alphabet, or the escape of bytes that are no text. */
function fromByteSymbols(raw: string): string {
  const symbols = [...raw];
  // Added tokens are ordinary text, which may hold characters that no byte is written as.
  if (!symbols.every((symbol) => byteOfSymbol.has(symbol))) return raw;
  const bytes = Uint8Array.from(symbols, (symbol) => byteOfSymbol.get(symbol)!);
  try {
    return strictDecoder.decode(bytes);
  } catch {
    const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0").toUpperCase());
    return `<0y${digits.join("")}>`;
  }
}

const markup: ReadonlySet<string> = new Set(
  "br h1 h2 h3 h4 h5 h6 b img li tr td p th u em".split(" "),
);

function isControl(text: string): boolean {
  const inside = /^<(.*)>$|^\[(.*)\]$/su.exec(text);
  if (inside === null || text.includes("<0y")) return false;
  const name = (inside[1] ?? inside[2]!).toLowerCase().replaceAll("/", "");
  return !markup.has(name);
}

/** Category and script of a canonical spelling: the first rule that fits. */
export function classify(text: string): Pick<CanonicalToken, "category" | "script"> {
  const characters = [...text];
  if (characters.length === 1) {
    const word = nameWordOf(text.codePointAt(0)!);
    if (word === undefined) return { category: "nameless character", script: undefined };
    if (word === "other") return { category: "other character", script: undefined };
    return { category: "character", script: word };
  }
  if (text.startsWith(" ")) {
    const script = commonScript(text.slice(1));
    if (script !== undefined) return { category: "spaced word", script };
    return { category: hasNameless(text) ? "spaced nameless" : "spaced other", script };
  }
  if (isControl(text)) return { category: "control", script: undefined };
  if (text.startsWith("<0y")) return { category: "broken character", script: undefined };
  const script = commonScript(text);
  if (script !== undefined) return { category: "inner piece", script };
  return { category: hasNameless(text) ? "inner nameless" : "inner other", script };
}
