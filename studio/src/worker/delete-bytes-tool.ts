/** What the gate of the bundled MrT5 deletes of a text, and what its decoder writes: calls the library. */
import {
  completeFrom,
  fetchSeq2Seq,
  JetonError,
  type LoadedSeq2Seq,
  locateWasm,
} from "jeton/browser";
import { openOnce } from "./open-once.ts";
import type { DeletedBytes, Tools } from "./tool-types.ts";

/** Bytes of a piece, as in the training of jeton-mrt5. */
const longestPiece = 48;
const maxPieces = 24;

const bundledModel: (base: string) => Promise<LoadedSeq2Seq> = openOnce((base) => {
  locateWasm(new URL("onnxruntime/", base).href);
  return fetchSeq2Seq(new URL("models/jeton-mrt5/", base), { threads: 1 });
});

/** Reads each piece of a text and writes from what is left of it. */
export async function deleteBytes(
  { text, threshold, soft }: Tools["deleteBytes"][0],
  base: string,
): Promise<Tools["deleteBytes"][1]> {
  const pieces = cutPieces(text);
  if (pieces.length > maxPieces) {
    const found = `the text makes ${pieces.length} pieces of at most ${longestPiece} bytes`;
    throw new JetonError(`${found}, expected at most ${maxPieces}`, { code: "tool-input" });
  }
  const model = await bundledModel(base);
  const how = soft ? { soft } : { threshold };
  const found: DeletedBytes[] = [];
  for (const piece of pieces) {
    const [read] = await model.encode([piece], how);
    const gate = read!.gate!;
    const kept = new Set(gate.kept);
    const names = [...Array.from(new TextEncoder().encode(piece), nameOfByte), "</s>"];
    const { text: written } = await completeFrom(model, piece, {
      ...{ greedy: true, maxTokens: 2 * longestPiece, ...how },
    });
    found.push({
      bytes: names.map((name, at) => ({ text: name, kept: kept.has(at), gate: gate.values[at]! })),
      written,
    });
  }
  return found;
}

/** Lines, cut between words where they are longer than what the model was trained on. */
function cutPieces(text: string): string[] {
  const length = (piece: string): number => new TextEncoder().encode(piece).length;
  const pieces: string[] = [];
  for (const line of text.split("\n")) {
    let piece = "";
    for (const word of line.split(/(?<=\s)/)) {
      if (piece !== "" && length(piece + word) > longestPiece) {
        pieces.push(piece);
        piece = "";
      }
      piece += word;
    }
    pieces.push(piece);
  }
  return pieces.filter((piece) => piece.trim() !== "");
}

function nameOfByte(byte: number): string {
  return byte >= 32 && byte < 127
    ? String.fromCharCode(byte)
    : `\\x${byte.toString(16).padStart(2, "0")}`;
}
