/**
 * LiB's way through a text: where two tokens fit, follow both until the two ways meet again and keep
 * the one with fewer tokens, of equal ones the one with the better ranks.
 */

/** The part of a lexicon that the choice needs. A token is identified by its rank. */
export interface RankedTokens {
  /** The longest and second longest token at a place, as rank and length; rank -1 for none. */
  match(text: string, at: number): void;
  chunkRank: number;
  chunkLength: number;
  smallRank: number;
  smallLength: number;
}

/** Receives the parts of a text; rank -1 for a character without a token. */
export type EmitPart = (rank: number, start: number, end: number) => void;

interface Path {
  ranks: number[];
  ends: number[];
  end: number;
  sum: number;
}

/** Cuts a text. The parts follow one another without gaps. */
export function choosePath(tokens: RankedTokens, text: string, emit: EmitPart): void {
  for (let at = 0; at < text.length; ) {
    tokens.match(text, at);
    const { chunkRank, chunkLength, smallRank, smallLength } = tokens;
    if (chunkRank < 0) {
      const end = at + characterAt(text, at);
      emit(-1, at, end);
      at = end;
    } else if (smallRank < 0) {
      emit(chunkRank, at, at + chunkLength);
      at += chunkLength;
    } else {
      const long = startPath(chunkRank, at + chunkLength);
      const short = startPath(smallRank, at + smallLength);
      while (long.end !== short.end) extend(tokens, text, long.end < short.end ? long : short);
      const best = isBetter(short, long) ? short : long;
      let start = at;
      for (const [i, end] of best.ends.entries()) {
        emit(best.ranks[i]!, start, end);
        start = end;
      }
      at = start;
    }
  }
}

function startPath(rank: number, end: number): Path {
  return { ranks: [rank], ends: [end], end, sum: rank };
}

/** Goes on by the longest token, or by one character. */
function extend(tokens: RankedTokens, text: string, path: Path): void {
  tokens.match(text, path.end);
  const rank = tokens.chunkRank;
  path.end += rank < 0 ? characterAt(text, path.end) : tokens.chunkLength;
  path.ranks.push(rank);
  path.ends.push(path.end);
  if (rank >= 0) path.sum += rank;
}

function isBetter(path: Path, other: Path): boolean {
  const difference = path.ends.length - other.ends.length;
  return difference !== 0 ? difference < 0 : path.sum < other.sum;
}

/** Length of the character at a place, in UTF-16 units. */
export function characterAt(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  return (unit & 0xfc00) === 0xd800 && at + 1 < text.length ? 2 : 1;
}
