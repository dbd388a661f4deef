/**
 * The pre-tokenizers of tokenizer files: they cut normalized text into words and may rewrite them.
 *
 * A file's pre-tokenizer is compiled into a flat list of steps of two kinds: a split keeps ranges of
 * a piece, a rewrite changes its text. A byte-level pre-tokenizer that comes last leaves its rewrite
 * to the model, which then reads the UTF-8 bytes of the words directly.
 */
import { JetonError } from "../../core/error.ts";
import { toByteAlphabet } from "../decoders/byte-alphabet.ts";
import {
  asObject,
  invalidField,
  type JsonObject,
  readBoolean,
  readChoice,
  readField,
  readInteger,
  readList,
  readString,
} from "../formats/json-reader.ts";
import { metaspace } from "../models/metaspace.ts";
import { type AlignedText, applyChanges, type Changes } from "../normalizers/aligned-text.ts";
import { createReplace, prependAligned, tooDeep } from "../normalizers/normalizers.ts";
import { isNumeric, isPunctuation, isWhitespace } from "./character-classes.ts";
import {
  type EmitPiece,
  findMatches,
  readPattern,
  type SplitBehavior,
  splitAtMatches,
  splitBehaviors,
} from "./pattern.ts";
import { compilePattern, namedCharacters } from "./regex.ts";
import {
  createMarkScanner,
  createRunScanner,
  findScanner,
  knownPatterns,
  type Scanner,
  scanBertWords,
  scanSpacedWords,
} from "./scanners.ts";
import { scriptOf } from "./scripts.ts";

/** Keeps ranges of a piece. */
export interface SplitStep {
  readonly kind: "split";
  split(text: string, emit: EmitPiece): void;
  /** Finds the same pieces one by one; those that begin with white space may be dropped. */
  readonly scan?: Scanner;
  readonly dropsSpaces?: boolean;
  /** Characters beyond ASCII that its pattern names, as code points: those of ranges by their first and last. */
  readonly named?: readonly number[];
}

/** Changes the text of a piece. `atStart` tells whether the piece begins the source text. */
export interface RewriteStep {
  readonly kind: "rewrite";
  rewrite(text: string, atStart: boolean): string;
  align(aligned: AlignedText, atStart: boolean): AlignedText;
  /** True when the result depends on `atStart`. */
  readonly dependsOnStart?: boolean;
}

export type PreTokenizerStep = SplitStep | RewriteStep;

export interface PreTokenizer {
  readonly steps: readonly PreTokenizerStep[];
  /** True when the model must read words as UTF-8 bytes. */
  readonly bytesAsSymbols: boolean;
}

/** The split of GPT-2's byte-level pre-tokenizer. */
export const byteLevelPattern: string = knownPatterns.gpt2;

/**
 * Reads the `pre_tokenizer` of a tokenizer file. With `deferBytes` a byte-level rewrite that comes
 * last is left to the model.
 */
export function readPreTokenizer(value: unknown, path: string, deferBytes: boolean): PreTokenizer {
  if (value === undefined || value === null) return { steps: [], bytesAsSymbols: false };
  const steps = readSteps(value, path, 0);
  if (deferBytes && steps.at(-1) === byteRewrite) {
    return { steps: steps.slice(0, -1), bytesAsSymbols: true };
  }
  return { steps, bytesAsSymbols: false };
}

function readSteps(value: unknown, path: string, depth: number): PreTokenizerStep[] {
  const object = asObject(value, path);
  const type = readString(object, "type", path);
  switch (type) {
    case "ByteLevel":
      return readByteLevel(object, path);
    case "Whitespace":
      return [splitByPattern("\\w+|[^\\w\\s]+", "Removed", true, whitespaceWords)];
    case "WhitespaceSplit":
      return [splitAtSpaces(scanSpacedWords)];
    case "BertPreTokenizer":
      return [splitAtSpaces(scanBertWords)];
    case "Punctuation":
      return [
        splitByCharacter(
          isPunctuation,
          readChoice(object, "behavior", path, splitBehaviors, "Isolated"),
        ),
      ];
    case "Digits":
      return [
        splitByCharacter(
          isNumeric,
          readBoolean(object, "individual_digits", path, false) ? "Isolated" : "Contiguous",
        ),
      ];
    case "CharDelimiterSplit": {
      const delimiter = readString(object, "delimiter", path);
      if ([...delimiter].length !== 1) {
        throw invalidField(`${path}.delimiter`, delimiter, "one character");
      }
      const codePoint = delimiter.codePointAt(0)!;
      return [
        { ...splitByCharacter((other) => other === codePoint, "Removed"), named: [codePoint] },
      ];
    }
    case "Split": {
      const pattern = readPattern(readField(object, "pattern"), `${path}.pattern`);
      const behavior = readChoice(object, "behavior", path, splitBehaviors);
      const invert = readBoolean(object, "invert", path, false);
      return [splitByPattern(pattern.source, behavior, invert, pattern.expression)];
    }
    case "Metaspace":
      return readMetaspace(object, path);
    case "UnicodeScripts":
      return [{ kind: "split", split: splitByScript }];
    case "FixedLength":
      return [
        splitByLength(
          readInteger(object, "length", path, { minimum: 1, maximum: 1_000_000, fallback: 5 }),
        ),
      ];
    case "Sequence": {
      if (depth > 16) throw tooDeep(path);
      return readList(object, "pretokenizers", path, (item, at) =>
        readSteps(item, at, depth + 1),
      ).flat();
    }
    default:
      throw new JetonError(`${path}.type names the unknown pre-tokenizer ${JSON.stringify(type)}`, {
        code: "tokenizer-unknown-component",
        details: { path, type },
      });
  }
}

/** Words and runs of other characters, in the sense of the `Whitespace` pre-tokenizer. */
const whitespaceWords: RegExp =
  /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu;

function splitByPattern(
  source: string | undefined,
  behavior: SplitBehavior,
  invert: boolean,
  expression: RegExp,
): SplitStep {
  const step: SplitStep = {
    kind: "split",
    split(text, emit) {
      splitAtMatches(text.length, findMatches(expression, text), behavior, invert, emit);
    },
    named: namedCharacters(expression),
  };
  // A pattern that matches everything gives the same pieces whether these or the gaps are kept.
  const keepsAll = behavior === "Isolated" || (behavior === "Removed" && invert);
  const scan = keepsAll && source !== undefined ? findScanner(source) : undefined;
  return scan === undefined ? step : { ...step, scan };
}

/** The pieces that a scanner finds, but for white space. */
function splitAtSpaces(scan: Scanner): SplitStep {
  return {
    kind: "split",
    scan,
    dropsSpaces: true,
    split(text, emit) {
      const units = new Uint16Array(text.length);
      for (let i = 0; i < text.length; i++) units[i] = text.charCodeAt(i);
      for (let start = 0; start < text.length; ) {
        const end = scan(units, start, text.length);
        if (!isWhitespace(units[start]!)) emit(start, end);
        start = end;
      }
    },
  };
}

/** Every character that `test` accepts is a match of its own. */
function splitByCharacter(
  test: (codePoint: number) => boolean,
  behavior: SplitBehavior,
): SplitStep {
  return {
    kind: "split",
    split(text, emit) {
      const matches: number[] = [];
      for (let i = 0; i < text.length; ) {
        const codePoint = text.codePointAt(i)!;
        const next = i + (codePoint > 0xffff ? 2 : 1);
        if (test(codePoint)) matches.push(i, next);
        i = next;
      }
      splitAtMatches(text.length, matches, behavior, false, emit);
    },
  };
}

/**
 * Cuts where the script changes. Kana counts as Han, a space as any script; spaces before the
 * first character of a script are dropped, as in the reference implementation.
 */
function splitByScript(text: string, emit: EmitPiece): void {
  let last: string | undefined;
  let start = -1;
  for (let i = 0; i < text.length; ) {
    const codePoint = text.codePointAt(i)!;
    const script = scriptOf(codePoint);
    if (script !== undefined) {
      if (script !== last) {
        if (start >= 0) emit(start, i);
        start = i;
      }
      last = script;
    }
    i += codePoint > 0xffff ? 2 : 1;
  }
  if (start >= 0) emit(start, text.length);
}

function splitByLength(length: number): SplitStep {
  return {
    kind: "split",
    split(text, emit) {
      let start = 0;
      let count = 0;
      for (let i = 0; i < text.length; ) {
        i += text.codePointAt(i)! > 0xffff ? 2 : 1;
        if (++count === length) {
          emit(start, i);
          start = i;
          count = 0;
        }
      }
      if (start < text.length) emit(start, text.length);
    },
  };
}

/** The rewrite into the byte alphabet; compared by identity when it can be left to the model. */
const byteRewrite: RewriteStep = {
  kind: "rewrite",
  rewrite: toByteAlphabet,
  align(aligned) {
    const described: Changes = { codePoints: [], changes: [], dropped: 0 };
    for (const character of aligned.text) {
      const bytes = toByteAlphabet(character);
      for (let i = 0; i < bytes.length; i++) {
        described.codePoints.push(bytes.charCodeAt(i));
        described.changes.push(i === 0 ? 0 : 1);
      }
    }
    return applyChanges(aligned, described);
  },
};

function readByteLevel(object: JsonObject, path: string): PreTokenizerStep[] {
  const steps: PreTokenizerStep[] = [];
  if (readBoolean(object, "add_prefix_space", path, true)) {
    steps.push({
      kind: "rewrite",
      rewrite: (text) => (text.startsWith(" ") ? text : ` ${text}`),
      align: (aligned) => (aligned.text.startsWith(" ") ? aligned : prependAligned(aligned, " ")),
    });
  }
  if (readBoolean(object, "use_regex", path, true)) {
    const expression = compilePattern(byteLevelPattern);
    steps.push(splitByPattern(byteLevelPattern, "Isolated", false, expression));
  }
  steps.push(byteRewrite);
  return steps;
}

/** Spaces become `replacement`, one is put in front as `scheme` says, and each begins a piece. */
function readMetaspace(object: JsonObject, path: string): PreTokenizerStep[] {
  const replacement = readString(object, "replacement", path, metaspace);
  if ([...replacement].length !== 1) {
    throw invalidField(`${path}.replacement`, replacement, "one character");
  }
  const legacy = readBoolean(object, "add_prefix_space", path, true) ? "always" : "never";
  const scheme = readChoice(
    object,
    "prepend_scheme",
    path,
    ["first", "never", "always"] as const,
    legacy,
  );
  const spaces = createReplace(/ /g, replacement);
  const prepends = (text: string, atStart: boolean): boolean =>
    scheme !== "never" && (scheme === "always" || atStart) && !text.startsWith(replacement);
  const steps: PreTokenizerStep[] = [
    {
      kind: "rewrite",
      rewrite(text, atStart) {
        const spaced = text.replaceAll(" ", replacement);
        return prepends(spaced, atStart) ? replacement + spaced : spaced;
      },
      align(aligned, atStart) {
        const spaced = spaces.align(aligned);
        return prepends(spaced.text, atStart) ? prependAligned(spaced, replacement) : spaced;
      },
      dependsOnStart: scheme === "first",
    },
  ];
  if (readBoolean(object, "split", path, true)) steps.push(splitBefore(replacement, false));
  return steps;
}

/**
 * Cuts before each `mark` (one character). With `keepRuns` a run of marks stays in one piece with
 * what follows it; without, each mark of a run begins a piece.
 */
export function splitBefore(mark: string, keepRuns: boolean): SplitStep {
  const step: SplitStep = {
    kind: "split",
    split(text, emit) {
      let start = 0;
      for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, at + mark.length)) {
        if (at > start && !(keepRuns && text.startsWith(mark, at - mark.length))) {
          emit(start, at);
          start = at;
        }
      }
      if (start < text.length) emit(start, text.length);
    },
  };
  if (mark.length > 1) return step;
  const unit = mark.charCodeAt(0);
  return { ...step, scan: keepRuns ? createRunScanner(unit) : createMarkScanner(unit) };
}
