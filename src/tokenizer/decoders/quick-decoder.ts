/**
 * Decoding of whole lists of ids, for the decoder chains that nearly all files have.
 *
 * What a token becomes is worked out once for each id and kept. Two kinds of chains qualify: the
 * byte-level decoder by itself, and maps of single tokens followed by byte fallback, joining and
 * stripping of the front. Any other chain is left to the stages themselves. The results are the
 * same; tests compare the two.
 */
import { byteOfUnit, decodeUtf8, decodeUtf8Strictly } from "./byte-alphabet.ts";
import { bytesOfToken, readByteToken, type StageFactory } from "./decoders.ts";

/** Decodes a list of ids. */
export interface QuickDecoder {
  decode(ids: ArrayLike<number>, skipSpecial: boolean): string;
}

/** The tokens that a decoder works on. */
export interface TokenSource {
  /** Largest id plus one. */
  readonly size: number;
  /** The token of an id, or undefined where there is none. */
  tokenOf(id: number): string | undefined;
  isSpecial(id: number): boolean;
}

/** A quick decoder for a chain of stages, or null when the chain has none. */
export function createQuickDecoder(
  stages: readonly StageFactory[],
  source: TokenSource,
): QuickDecoder | null {
  if (stages.length === 1 && stages[0]!.isByteLevel === true) return new ByteLevelDecoder(source);
  let at = 0;
  const maps: NonNullable<StageFactory["map"]>[] = [];
  while (stages[at]?.map !== undefined) maps.push(stages[at++]!.map!);
  const readRun = stages[at]?.readRun;
  if (readRun !== undefined) at++;
  const isFused = stages[at]?.isFuse === true;
  if (isFused) at++;
  const strip = isFused ? stages[at]?.stripsFront : undefined;
  if (strip !== undefined) at++;
  if (at < stages.length) return null;
  const map = (token: string, isFirst: boolean): string =>
    maps.reduce((text, step) => step(text, isFirst), token);
  return new MappedDecoder(source, map, readRun, strip);
}

/** Chains of maps: each id is a text, or a byte under byte fallback. */
class MappedDecoder implements QuickDecoder {
  readonly #source: TokenSource;
  readonly #map: (token: string, isFirst: boolean) => string;
  readonly #readRun: StageFactory["readRun"];
  readonly #strip: { content: string; count: number } | undefined;
  /** Text of each id where it is not the first. */
  readonly #forms: (string | number | undefined)[];

  constructor(
    source: TokenSource,
    map: (token: string, isFirst: boolean) => string,
    readRun: StageFactory["readRun"],
    strip: { content: string; count: number } | undefined,
  ) {
    this.#source = source;
    this.#map = map;
    this.#readRun = readRun;
    this.#strip = strip;
    this.#forms = new Array<string | number | undefined>(source.size).fill(undefined);
  }

  decode(ids: ArrayLike<number>, skipSpecial: boolean): string {
    const forms = this.#forms;
    const source = this.#source;
    let text = "";
    let isFirst = true;
    let run: number[] | null = null;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!;
      if (!(id >= 0 && id < forms.length)) continue;
      if (skipSpecial && source.isSpecial(id)) continue;
      let form = forms[id];
      if (form === undefined || isFirst) {
        const token = source.tokenOf(id);
        if (token === undefined) continue;
        form = this.#formOf(token, isFirst);
        if (!isFirst) forms[id] = form;
        isFirst = false;
      }
      if (typeof form === "number") {
        run ??= [];
        run.push(form);
        continue;
      }
      if (run !== null) {
        text += this.#textOfRun(run);
        run = null;
      }
      text += form;
    }
    if (run !== null) text += this.#textOfRun(run);
    if (this.#strip === undefined) return text;
    const { content, count } = this.#strip;
    let from = 0;
    for (let i = 0; i < count && text.startsWith(content, from); i++) from += content.length;
    return from === 0 ? text : text.slice(from);
  }

  #formOf(token: string, isFirst: boolean): string | number {
    const text = this.#map(token, isFirst);
    const byte = this.#readRun === undefined ? -1 : readByteToken(text);
    return byte < 0 ? text : byte;
  }

  #textOfRun(run: readonly number[]): string {
    return this.#readRun!(run).join("");
  }
}

const lengthBits = 6;
const lengthMask = (1 << lengthBits) - 1;

/** UTF-8 of a few bytes, without the cost of a call into the engine where they are valid. */
function decodeShortly(bytes: Uint8Array, length: number): string {
  let text = "";
  for (let i = 0; i < length; ) {
    const first = bytes[i]!;
    const size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 0;
    let codePoint = size === 1 ? first : size === 2 ? first & 0x1f : first & 0x0f;
    let isWhole = size > 0 && i + size <= length;
    for (let k = 1; k < size && isWhole; k++) {
      const next = bytes[i + k]!;
      isWhole = (next & 0xc0) === 0x80;
      codePoint = (codePoint << 6) | (next & 0x3f);
    }
    // Overlong forms, surrogates, four bytes and everything broken go the ordinary way.
    if (!isWhole || (size === 3 && (codePoint < 0x800 || (codePoint & 0xf800) === 0xd800))) {
      return decodeUtf8(bytes.subarray(0, length));
    }
    text += String.fromCharCode(codePoint);
    i += size;
  }
  return text;
}

/**
 * Byte-level decoding. Tokens that are made of whole characters are joined as text; runs of others
 * go through their bytes, and so does the rest of the list when such runs are frequent.
 */
class ByteLevelDecoder implements QuickDecoder {
  readonly #source: TokenSource;
  /** Text of each id, null where its bytes are no whole characters. */
  readonly #plainTexts: (string | null | undefined)[];
  /** The same with special tokens. */
  readonly #allTexts: (string | null | undefined)[];
  #bytes: Uint8Array | undefined;
  /**
   * The bytes of each id in one number: the complement of a single byte, or start and length; a
   * length of all ones sends to `starts`.
   */
  #spans: Int32Array = new Int32Array(0);
  /** Where the bytes of each id start; one more entry marks the end. */
  #starts: Int32Array = new Int32Array(0);
  #special: Uint8Array = new Uint8Array(0);
  #buffer: Uint8Array = new Uint8Array(4096);

  constructor(source: TokenSource) {
    this.#source = source;
    this.#plainTexts = new Array<string | null | undefined>(source.size).fill(undefined);
    this.#allTexts = [...this.#plainTexts];
  }

  decode(ids: ArrayLike<number>, skipSpecial: boolean): string {
    const texts = skipSpecial ? this.#plainTexts : this.#allTexts;
    const { length } = ids;
    let text = "";
    let broken = 0;
    for (let i = 0; i < length; i++) {
      const piece = texts[ids[i]!] ?? this.#findText(ids[i]!, texts, skipSpecial);
      if (piece !== null) {
        text += piece;
        continue;
      }
      // A character in parts ends before the next whole token. Many such are better done together.
      const isFrequent = broken > 4 && broken * 16 > i;
      let end = isFrequent ? length : i + 1;
      while (end < length && this.#mayContinue(ids[end]!, texts, skipSpecial)) end++;
      text += this.#decodeBytes(ids, i, end, skipSpecial);
      broken += end - i;
      i = end - 1;
    }
    return text;
  }

  /** The text of an id that the list does not hold yet; null where its bytes are no whole characters. */
  #findText(id: number, texts: (string | null | undefined)[], skipSpecial: boolean): string | null {
    if (!(id >= 0 && id < texts.length)) return "";
    if (texts[id] === undefined) {
      const isSkipped = skipSpecial && this.#source.isSpecial(id);
      texts[id] = isSkipped ? "" : this.#readText(id);
    }
    return texts[id]!;
  }

  /** True for a token whose bytes are no whole characters, and for one that leaves no text. */
  #mayContinue(id: number, texts: (string | null | undefined)[], skipSpecial: boolean): boolean {
    const piece = this.#findText(id, texts, skipSpecial);
    return piece === null || piece === "";
  }

  #specialIds(): Uint8Array {
    if (this.#special.length === 0) {
      const source = this.#source;
      this.#special = Uint8Array.from({ length: source.size }, (_, id) =>
        source.isSpecial(id) ? 1 : 0,
      );
    }
    return this.#special;
  }

  #readText(id: number): string | null {
    const token = this.#source.tokenOf(id) ?? "";
    let text = "";
    for (let i = 0; i < token.length; i++) {
      const byte = byteOfUnit(token.charCodeAt(i));
      if (byte < 0 || byte >= 0x80) return decodeUtf8Strictly(bytesOfToken(token));
      text += String.fromCharCode(byte);
    }
    return text;
  }

  /** The text of ids [start, end) by their bytes. */
  #decodeBytes(ids: ArrayLike<number>, start: number, end: number, skipSpecial: boolean): string {
    this.#bytes ??= this.#collectBytes();
    const bytes = this.#bytes;
    const spans = this.#spans;
    const starts = this.#starts;
    const special = this.#specialIds();
    const size = special.length;
    let buffer = this.#buffer;
    let at = 0;
    for (let i = start; i < end; i++) {
      const id = ids[i]!;
      if (!(id >= 0 && id < size) || (skipSpecial && special[id] === 1)) continue;
      const span = spans[id]!;
      if (span < 0) {
        if (at === buffer.length) buffer = this.#growBuffer(1);
        buffer[at++] = ~span;
        continue;
      }
      const length = span & lengthMask;
      let from = span >>> lengthBits;
      let to = from + length;
      if (length === lengthMask) {
        from = starts[id]!;
        to = starts[id + 1]!;
      }
      if (at + to - from > buffer.length) buffer = this.#growBuffer(at + to - from);
      while (from < to) buffer[at++] = bytes[from++]!;
    }
    const text = at <= 16 ? decodeShortly(buffer, at) : decodeUtf8(buffer.subarray(0, at));
    if (buffer.length > 1 << 22) this.#buffer = new Uint8Array(4096);
    return text;
  }

  #growBuffer(needed: number): Uint8Array {
    const grown = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer);
    this.#buffer = grown;
    return grown;
  }

  /** The bytes of every token in one array. */
  #collectBytes(): Uint8Array {
    const source = this.#source;
    const starts = new Int32Array(source.size + 1);
    let bytes = new Uint8Array(source.size * 8);
    let at = 0;
    for (let id = 0; id < source.size; id++) {
      const token = source.tokenOf(id);
      if (token !== undefined) {
        const piece = bytesOfToken(token);
        if (at + piece.length > bytes.length) {
          const grown = new Uint8Array((at + piece.length) * 2);
          grown.set(bytes);
          bytes = grown;
        }
        bytes.set(piece, at);
        at += piece.length;
      }
      starts[id + 1] = at;
    }
    this.#starts = starts;
    this.#spans = Int32Array.from({ length: source.size }, (_, id) => {
      const start = starts[id]!;
      const length = starts[id + 1]! - start;
      if (length === 1) return ~bytes[start]!;
      return length < lengthMask && start < 1 << 24 ? (start << lengthBits) | length : lengthMask;
    });
    return bytes.slice(0, at);
  }
}
