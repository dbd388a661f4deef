/** `textwrap.wrap`: a line as several lines of limited width. */
import { valueFailure } from "../python/failure.ts";
import { codePointLength, sliceCodePoints } from "../python/strings/text.ts";

export interface WrapOptions {
  readonly width: number;
  readonly breakLongWords: boolean;
  readonly breakOnHyphens: boolean;
}

const space = "\\t\\n\\v\\f\\r ";
const letter = "[\\p{L}\\p{Nl}\\p{No}_]";
const wordPunctuation = "[\\p{L}\\p{N}_!\"'&.,?]";
/** Pieces that a line may be cut between: spaces, dashes, words and their parts behind hyphens. */
const piece = new RegExp(
  `[${space}]+` +
    `|(?<=${wordPunctuation})-{2,}(?=[\\p{L}\\p{N}_])` +
    `|[^${space}]` +
    `(?:[^${space}]*?(?:-(?:(?<=${letter}{2}-)|(?<=${letter}-${wordPunctuation}-))(?=${letter}-?${letter})` +
    `|(?=[${space}]|$)|(?<=${wordPunctuation})(?=-{2,}[\\p{L}\\p{N}_])))`,
  "gu",
);
const wordOrSpace = new RegExp(`[${space}]+|[^${space}]+`, "gu");

/** The lines of a text. */
export function wrapText(text: string, options: WrapOptions): string[] {
  const { width } = options;
  if (width <= 0) throw valueFailure(`invalid width ${width} (must be > 0)`);
  const chunks = (text.match(options.breakOnHyphens ? piece : wordOrSpace) ?? []).reverse();
  const lines: string[] = [];
  while (chunks.length > 0) {
    const line: string[] = [];
    let length = 0;
    if (lines.length > 0 && isBlank(chunks.at(-1)!)) chunks.pop();
    while (chunks.length > 0) {
      const chunkLength = codePointLength(chunks.at(-1)!);
      if (length + chunkLength > width) break;
      line.push(chunks.pop()!);
      length += chunkLength;
    }
    const next = chunks.at(-1);
    if (next !== undefined && codePointLength(next) > width) {
      breakLongWord(chunks, line, length, options);
    }
    if (line.length > 0 && isBlank(line.at(-1)!)) line.pop();
    if (line.length > 0) lines.push(line.join(""));
  }
  return lines;
}

function isBlank(chunk: string): boolean {
  return chunk.trim() === "";
}

/** Takes as much of a word as fits, at a hyphen if there is one, or the whole word alone. */
function breakLongWord(
  chunks: string[],
  line: string[],
  length: number,
  { width, breakLongWords, breakOnHyphens }: WrapOptions,
): void {
  const left = width - length;
  if (!breakLongWords) {
    if (line.length === 0) line.push(chunks.pop()!);
    return;
  }
  const word = chunks.pop()!;
  let end = left;
  if (breakOnHyphens && codePointLength(word) > left) {
    const head = sliceCodePoints(word, 0, left);
    const hyphen = head.lastIndexOf("-");
    if (hyphen > 0 && /[^-]/.test(head.slice(0, hyphen))) {
      end = codePointLength(head.slice(0, hyphen)) + 1;
    }
  }
  line.push(sliceCodePoints(word, 0, end));
  const rest = sliceCodePoints(word, end, codePointLength(word));
  if (rest !== "") chunks.push(rest);
}
