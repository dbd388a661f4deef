/**
 * A tokenizer seen as tokens of bytes: what each token spells, and whether its texts survive the way
 * through it.
 */
import { JetonError } from "../../core/error.ts";
import type { AddedToken } from "../added-tokens.ts";
import { encodeUtf8 } from "../decoders/byte-alphabet.ts";
import { bytesOfToken, readByteToken } from "../decoders/decoders.ts";
import { createTextPipeline } from "../encoding/text-pipeline.ts";
import type { TokenizerParts } from "../formats/tokenizer-json.ts";
import { metaspace } from "../models/metaspace.ts";
import type { BytePairRules } from "../models/word-model.ts";
import type { PreTokenizerStep, SplitStep } from "../pre-tokenizers/pre-tokenizers.ts";
import { partsOf } from "../tokenizer.ts";
import type { Tokenizer } from "../tokenizer-interface.ts";

/** What byte probabilities read of a tokenizer. */
export interface ByteTokens {
  readonly size: number;
  /** Bytes of each ordinary token by id; undefined for special tokens and ids without one. */
  readonly bytesById: readonly (Uint8Array | undefined)[];
  /** Ids of tokens that are found in a text before it is cut, and spelt by no others. */
  readonly symbols: ReadonlySet<number>;
  /** Symbols that each ordinary token merges from. */
  symbolsOf(id: number): readonly number[] | undefined;
  readonly rules: BytePairRules;
  /** Cuts texts into words, on texts in which a space is written as `space`. */
  readonly steps: readonly PreTokenizerStep[];
  readonly space: string;
  /** Whether the model sees a space before the text: never, always, or where it has none itself. */
  readonly dummySpace: "never" | "always" | "unless-there";
  /** Whether single bytes spell characters that have no token; for models of characters. */
  readonly spellsByBytes: ((codePoint: number) => boolean) | undefined;
  /** True where the normalizer composes characters (NFC). */
  readonly composes: boolean;
}

/**
 * Reads a tokenizer as tokens of bytes.
 *
 * @throws JetonError `byte-tokens-unsupported` for tokenizers that are no byte-pair encoding, or whose
 *   normalizer, added tokens or pre-tokenizer change texts
 */
export function readByteTokens(tokenizer: Tokenizer): ByteTokens {
  const parts = partsOf(tokenizer);
  if (parts === undefined) throw unsupported("it is not one of jeton's own", {});
  const { model, addedTokens } = parts;
  const rules = model.bytePairs;
  if (rules === undefined || !rules.isPlain) {
    throw unsupported(
      rules === undefined
        ? `its model is ${model.kind}, and token sequences of that kind are not told valid by neighbours`
        : "its tokens carry marks of their place in a word",
      { kind: model.kind },
    );
  }
  const pipeline = createTextPipeline(parts);
  const steps = model.symbols ? pipeline.steps.slice(1) : pipeline.steps;
  const writing = readWriting(parts, rules.bytesAsSymbols);
  for (const step of steps) if (step.kind === "split") checkKeeping(step, writing.space);
  const special = new Set(addedTokens.flatMap(({ id, special }) => (special ? [id] : [])));
  const { tokens, ids } = model.vocabulary;
  const symbolTexts = readSymbols(parts, writing.space);
  const hasBytes = !rules.bytesAsSymbols && rules.byteIds?.every((id) => id >= 0) === true;
  const byteOf = (id: number): number =>
    hasBytes && !special.has(id) && rules.byteIds![readByteToken(tokens[id]!)] === id
      ? readByteToken(tokens[id]!)
      : -1;
  const bytesById = Array.from({ length: tokenizer.vocabSize }, (_, id) => {
    const symbol = symbolTexts.get(id);
    if (symbol !== undefined) return encodeUtf8(symbol);
    const token = tokens[id];
    if (token === undefined || token === "" || special.has(id) || id === model.unknownId) {
      return undefined;
    }
    if (rules.bytesAsSymbols) return bytesOfToken(token);
    const byte = byteOf(id);
    return byte >= 0 ? Uint8Array.of(byte) : encodeUtf8(token.replaceAll(writing.space, " "));
  });
  for (const [id, content] of symbolTexts) {
    checkSymbol(tokenizer, { id, content, bytesById, dummySpace: writing.dummySpace });
  }
  return {
    size: tokenizer.vocabSize,
    bytesById,
    symbols: new Set(symbolTexts.keys()),
    rules,
    steps,
    ...writing,
    symbolsOf(id) {
      const bytes = bytesById[id];
      if (bytes === undefined || symbolTexts.has(id)) return undefined;
      if (rules.bytesAsSymbols) return symbolsOfBytes(bytes, rules.byteIds!);
      if (byteOf(id) >= 0) return [id];
      const symbols = Array.from(tokens[id]!, (character) => ids.get(character) ?? -1);
      return symbols.includes(-1) ? undefined : symbols;
    },
    spellsByBytes: hasBytes
      ? (codePoint) => {
          const character = codePoint === 0x20 ? writing.space : String.fromCodePoint(codePoint);
          return !ids.has(character);
        }
      : undefined,
  };
}

/**
 * Texts of the tokens that are found in a text before it is cut, by id.
 *
 * @throws JetonError `byte-tokens-unsupported` where they change a text, or would be found one for another
 */
function readSymbols(
  { addedTokens, normalizer, model }: TokenizerParts,
  space: string,
): Map<number, string> {
  const added = addedTokens.filter(({ special, content }) => !special && content !== "");
  for (const { content, leftStrip, rightStrip, singleWord, normalized } of added) {
    const why =
      leftStrip || rightStrip
        ? "takes white space with it"
        : singleWord
          ? "is found between words only"
          : normalized &&
              normalizer !== null &&
              normalizer.normalize(content) !== content.replaceAll(" ", space)
            ? "is found by its normal form"
            : undefined;
    if (why === undefined) continue;
    throw unsupported(`the added token ${JSON.stringify(content)} ${why}`, { token: content });
  }
  // Those of the raw text are found before those of the normalized one, and special ones are passed over whole.
  const kindOf = (token: AddedToken): string =>
    token.special ? "special" : token.normalized ? "normalized" : "raw";
  for (const symbol of added) {
    const other = addedTokens.find(
      (one) => kindOf(one) !== kindOf(symbol) && overlaps(one.content, symbol.content),
    );
    if (other === undefined) continue;
    const [one, two] = [symbol, other].map(({ content }) => JSON.stringify(content));
    throw unsupported(`the added tokens ${one} and ${two} may overlap and are found apart`, {
      tokens: [symbol.content, other.content],
    });
  }
  const texts = new Map(added.map(({ id, content }) => [id, content]));
  for (const [content, id] of model.symbols ?? []) {
    texts.set(id, content.replaceAll(space, " "));
  }
  return texts;
}

/** Whether two different strings may share a part of a text. */
function overlaps(one: string, other: string): boolean {
  const meets = (left: string, right: string): boolean =>
    Array.from(right, (_, length) => length + 1).some((length) =>
      left.endsWith(right.slice(0, length)),
    );
  return one.includes(other) || other.includes(one) || meets(one, other) || meets(other, one);
}

/** @throws JetonError `byte-tokens-unsupported` where a symbol changes what is beside it */
function checkSymbol(
  tokenizer: Tokenizer,
  {
    id,
    content,
    bytesById,
    dummySpace,
  }: Pick<ByteTokens, "bytesById" | "dummySpace"> & {
    readonly id: number;
    readonly content: string;
  },
): void {
  const letter = bytesById.find((bytes) => bytes?.length === 1 && isLetter(bytes[0]!));
  const beside = letter ? String.fromCharCode(letter[0]!) : "";
  for (const text of [content, `${beside}${content}${beside}`]) {
    const ids = tokenizer.encodeIds(text, {
      ...{ addSpecialTokens: false, applyLimits: false },
      allowedSpecial: "none",
    });
    const found = Array.from(ids).flatMap((id) => Array.from(bytesById[id] ?? []));
    const hasDummy = dummySpace === "always" || (dummySpace !== "never" && text[0] !== " ");
    const expected = encodeUtf8((hasDummy ? " " : "") + text);
    const isSame =
      found.length === expected.length && expected.every((byte, at) => found[at] === byte);
    if (isSame && ids.includes(id)) continue;
    throw unsupported(
      `its token ${JSON.stringify(content)} changes the text ${JSON.stringify(text)} around it`,
      { token: content, found: [...ids] },
    );
  }
}

function isLetter(byte: number): boolean {
  return (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;
}

function symbolsOfBytes(bytes: Uint8Array, byteIds: Int32Array): number[] | undefined {
  const symbols = Array.from(bytes, (byte) => byteIds[byte]!);
  return symbols.includes(-1) ? undefined : symbols;
}

/** How the normalizer and the rewrites before the first split write a text. */
function readWriting(
  { normalizer, steps }: TokenizerParts,
  bytesAsSymbols: boolean,
): Pick<ByteTokens, "space" | "dummySpace" | "composes"> {
  const write = (text: string): string =>
    steps.reduce(
      (written, step) => (step.kind === "rewrite" ? step.rewrite(written, true) : written),
      normalizer === null ? text : normalizer.normalize(text),
    );
  const bare = write("a");
  const space = write("a b").includes(metaspace) ? metaspace : " ";
  const hasDummy = bare === `${space}a`;
  const dummySpace = !hasDummy ? "never" : write(" a") === `${space}a` ? "unless-there" : "always";
  for (const sample of samples) {
    const added = dummySpace === "always" || (hasDummy && sample[0] !== " ") ? space : "";
    const expected = added + sample.replaceAll(" ", space);
    const found = write(sample);
    if (found === expected || (bytesAsSymbols && found === sample)) continue;
    throw unsupported(
      `its normalizer or pre-tokenizer writes ${JSON.stringify(sample)} as ${JSON.stringify(found)}`,
      { sample, found, expected },
    );
  }
  return { space, dummySpace, composes: write("e\u0301") !== `${hasDummy ? space : ""}e\u0301` };
}

/** @throws JetonError `byte-tokens-unsupported` where a split drops a part of a text, so that no token spells it */
function checkKeeping(step: SplitStep, space: string): void {
  const named = (step.named ?? []).map((point) => String.fromCodePoint(point));
  for (const sample of [...samples, `a${named.join("a")}a`]) {
    const text = sample.replaceAll(" ", space);
    let kept = 0;
    step.split(text, (start, end) => {
      kept += end - start;
    });
    if (kept === text.length) continue;
    throw unsupported(`its pre-tokenizer drops a part of ${JSON.stringify(sample)}`, {
      sample,
      dropped: text.length - kept,
    });
  }
}

/** Texts that a normalizer must leave as they are, but for how spaces are written. */
const samples: readonly string[] = [
  "a",
  "Ab  c ",
  " a",
  "  a ",
  "a\tb\nc\r\nd",
  "x!\"#$%&'()*+,-./0123456789:;<=>?@[\\]^_`{|}~",
  "\u00e9t\u00e9 \u00c5",
  "a\u00a0b\u3000c",
  "\ufb01 \uff21 \u00b2",
  "\u4e2d\u6587 \uac00",
];

/** The error for a tokenizer without exact byte probabilities. */
export function unsupported(reason: string, details: Record<string, unknown>): JetonError {
  return new JetonError(
    `this tokenizer gives no exact byte probabilities: ${reason}; expected byte-pair encoding that keeps texts as they are`,
    { code: "byte-tokens-unsupported", details },
  );
}
