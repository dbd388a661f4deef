/** Templates: where special tokens stand around the texts. */

import type { Encoding } from "../tokenizer-interface.ts";
import type { TemplatePiece } from "./post-processors.ts";

/** Tokens of one text before the template is applied. */
export interface Raw {
  ids: number[];
  tokens: string[];
  offsets: [number, number][];
}

/** Puts a special token at one end of a template, or takes it away, when a setting says so. */
export function forceEdge(
  template: readonly TemplatePiece[],
  edge: "start" | "end",
  wanted: boolean | undefined,
  piece: TemplatePiece | undefined,
): readonly TemplatePiece[] {
  if (wanted === undefined || piece === undefined || piece.kind !== "special") return template;
  const present = edge === "start" ? template[0] : template.at(-1);
  const has =
    present?.kind === "special" && present.ids.length === 1 && present.ids[0] === piece.ids[0];
  if (has === wanted) return template;
  if (edge === "start") return wanted ? [piece, ...template] : template.slice(1);
  return wanted ? [...template, piece] : template.slice(0, -1);
}

export function addToken(raw: Raw, id: number, token: string, start: number, end: number): void {
  raw.ids.push(id);
  raw.tokens.push(token);
  raw.offsets.push([start, end]);
}

export function cutRaw(raw: Raw, keep: number, direction: "Left" | "Right"): Raw {
  if (raw.ids.length <= keep) return raw;
  const from = direction === "Left" ? raw.ids.length - keep : 0;
  return {
    ids: raw.ids.slice(from, from + keep),
    tokens: raw.tokens.slice(from, from + keep),
    offsets: raw.offsets.slice(from, from + keep),
  };
}

export function applyTemplate(
  template: readonly TemplatePiece[],
  raws: Record<"A" | "B", Raw>,
): Encoding {
  const ids: number[] = [];
  const tokens: string[] = [];
  const offsets: [number, number][] = [];
  const typeIds: number[] = [];
  const special: number[] = [];
  for (const piece of template) {
    const part: Raw =
      piece.kind === "text"
        ? raws[piece.sequence]
        : { ids: [...piece.ids], tokens: [...piece.tokens], offsets: [] };
    for (let i = 0; i < part.ids.length; i++) {
      ids.push(part.ids[i]!);
      tokens.push(part.tokens[i]!);
      offsets.push(part.offsets[i] ?? [0, 0]);
      typeIds.push(piece.typeId);
      special.push(piece.kind === "special" ? 1 : 0);
    }
  }
  return {
    ids: Int32Array.from(ids),
    tokens,
    offsets,
    typeIds: Int32Array.from(typeIds),
    attentionMask: new Int32Array(ids.length).fill(1),
    specialTokensMask: Int32Array.from(special),
  };
}
