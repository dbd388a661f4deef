/**
 * Tokens of any tokenizer in one form, so that vocabularies of different kinds can be compared: the
 * bytes that a token stands for, written in GPT-2's byte alphabet (a space is `Ġ`, a line end `Ċ`).
 */

import {
  byteToCharacter,
  decodeUtf8Strictly,
  fromByteAlphabet,
} from "../tokenizer/decoders/byte-alphabet.ts";
import { bytesOfToken, readByteToken, type Tokenizer } from "../tokenizer/index.ts";

/** How the tokens of a vocabulary are written. */
export type TokenStyle = "byte-level" | "metaspace" | "word-piece" | "plain";

/** A vocabulary with the byte form of every ordinary token. */
export interface TokenForms {
  readonly tokenizer: Tokenizer;
  readonly style: TokenStyle;
  /** Length of a table indexed by ids. */
  readonly size: number;
  /** Byte form by id; undefined for special tokens and ids that no token has. */
  readonly forms: readonly (string | undefined)[];
  /** The first id of each form. */
  readonly ids: ReadonlyMap<string, number>;
  /** Characters of the longest form. */
  readonly longest: number;
}

/** Reads the byte forms of a tokenizer's vocabulary. */
export function readTokenForms(tokenizer: Tokenizer): TokenForms {
  const size = tokenizer.vocabSize;
  const style = styleOf(tokenizer);
  const forms = new Array<string | undefined>(size).fill(undefined);
  const ids = new Map<string, number>();
  let longest = 0;
  for (let id = 0; id < size; id++) {
    const token = tokenizer.idToToken(id);
    if (token === undefined || token === "" || tokenizer.isSpecial(id)) continue;
    const form = formOf(token, style);
    forms[id] = form;
    if (!ids.has(form)) ids.set(form, id);
    longest = Math.max(longest, form.length);
  }
  return { tokenizer, style, size, forms, ids, longest };
}

function styleOf(tokenizer: Tokenizer): TokenStyle {
  if (byteToCharacter.every((character) => tokenizer.tokenToId(character) !== undefined)) {
    return "byte-level";
  }
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    const token = tokenizer.idToToken(id);
    if (token?.startsWith(metaspace)) return "metaspace";
    if (token !== undefined && token.length > 2 && token.startsWith("##")) return "word-piece";
  }
  return "plain";
}

const metaspace = "\u2581";

/** The byte form of a token as its vocabulary writes it. */
export function formOf(token: string, style: TokenStyle): string {
  switch (style) {
    case "byte-level":
      return writeForm(bytesOfToken(token));
    case "metaspace": {
      const byte = readByteToken(token);
      if (byte >= 0) return byteToCharacter[byte]!;
      return formOfText(token.replaceAll(metaspace, " "));
    }
    case "word-piece":
      return formOfText(token.startsWith("##") && token.length > 2 ? token.slice(2) : ` ${token}`);
    case "plain":
      return formOfText(token);
  }
}

const encoder: TextEncoder = new TextEncoder();

/** The byte form of a text. */
export function formOfText(text: string): string {
  return writeForm(encoder.encode(text));
}

/** The text of a byte form, or null where its bytes are not valid UTF-8. */
export function textOfForm(form: string): string | null {
  const bytes = fromByteAlphabet(form);
  return bytes === null ? null : decodeUtf8Strictly(bytes);
}

function writeForm(bytes: Uint8Array): string {
  let form = "";
  for (const byte of bytes) form += byteToCharacter[byte];
  return form;
}

/**
 * Cuts a byte form into tokens of another vocabulary: as its tokenizer does, where that gives these
 * very bytes (it may put a space before, or change letters), otherwise by the longest token that
 * fits at each place. Bytes that no token covers are left out.
 */
export function decompose(vocabulary: TokenForms, form: string): number[] {
  const { tokenizer, forms } = vocabulary;
  const text = textOfForm(form);
  if (text !== null) {
    const ids = tokenizer.encodeIds(text, {
      addSpecialTokens: false,
      applyLimits: false,
      allowedSpecial: "none",
    });
    let joined = "";
    for (const id of ids) joined += forms[id] ?? "";
    if (joined === form) return [...ids];
  }
  return cutByLongestTokens(vocabulary, form);
}

/** Longest-prefix matching; bytes that no token covers are left out. */
export function cutByLongestTokens(
  vocabulary: Pick<TokenForms, "ids" | "longest">,
  form: string,
): number[] {
  const { ids, longest } = vocabulary;
  const found: number[] = [];
  for (let at = 0; at < form.length; ) {
    let length = Math.min(longest, form.length - at);
    while (length > 0 && !ids.has(form.slice(at, at + length))) length--;
    if (length > 0) found.push(ids.get(form.slice(at, at + length))!);
    at += Math.max(1, length);
  }
  return found;
}
