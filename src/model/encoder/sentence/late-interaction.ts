/**
 * Texts of late-interaction models (ColBERT; Khattab and Zaharia, 2020): a marker behind the first token,
 * queries filled up with mask tokens, and which tokens of a document give vectors.
 */
import { JetonError } from "../../../core/index.ts";
import type { Tokenizer } from "../../../tokenizer/index.ts";

/** How queries and documents of a late-interaction model are prepared. */
export interface LateInteraction {
  /** Ids of the markers behind the first token; undefined where there is none. */
  readonly queryMarker: number | undefined;
  readonly documentMarker: number | undefined;
  /** Text before a query and a document; mostly empty beside markers. */
  readonly queryPrompt: string;
  readonly documentPrompt: string;
  /** Most tokens, the marker included. */
  readonly queryLength: number;
  readonly documentLength: number;
  /** Queries are filled up to `expansionLength` with this id; undefined: they are not. */
  readonly expansionId: number | undefined;
  readonly expansionLength: number;
  /** Whether tokens see those that a query was filled up with. */
  readonly attendToExpansion: boolean;
  /** Ids whose vectors are left out of texts of `skipsIn`. */
  readonly skippedIds: ReadonlySet<number>;
  readonly skipsIn: readonly ("query" | "document")[];
  /** The only ids whose vectors a document keeps; undefined: all but those that are skipped. */
  readonly keptIds?: ReadonlySet<number> | undefined;
  /** Texts are lower-cased first. */
  readonly lowerCase: boolean;
}

/** A text as a late-interaction model reads it. */
export interface LateText {
  readonly ids: Int32Array;
  readonly types: Int32Array;
  /** 1 for tokens that others see. */
  readonly attended: Uint8Array;
  /** 1 for tokens whose vectors remain. */
  readonly kept: Uint8Array;
  /** `[start, end)` of each token in its text; `[0, 0]` for markers, special tokens and filling. */
  readonly offsets: readonly (readonly [number, number])[];
}

/** Prepares a query or a document. */
export function prepareLateText(
  tokenizer: Tokenizer,
  late: LateInteraction,
  text: string,
  role: "query" | "document",
): LateText {
  const isQuery = role === "query";
  const marker = isQuery ? late.queryMarker : late.documentMarker;
  const length = isQuery ? late.queryLength : late.documentLength;
  const prompt = isQuery ? late.queryPrompt : late.documentPrompt;
  const encoding = tokenizer.encode(prompt + (late.lowerCase ? text.toLowerCase() : text), {
    applyLimits: false,
    maxLength: length - (marker === undefined ? 0 : 1),
  });
  const ids = Array.from(encoding.ids);
  const types = Array.from(encoding.typeIds);
  const inText = (place: number): number => Math.max(0, place - prompt.length);
  const offsets = Array.from(encoding.offsets, ([start, end]): readonly [number, number] => [
    inText(start),
    inText(end),
  ]);
  if (marker !== undefined) {
    ids.splice(1, 0, marker);
    types.splice(1, 0, 0);
    offsets.splice(1, 0, [0, 0]);
  }
  const written = ids.length;
  if (isQuery && late.expansionId !== undefined) {
    while (ids.length < late.expansionLength) {
      ids.push(late.expansionId);
      types.push(0);
      offsets.push([0, 0]);
    }
  }
  const attended = Uint8Array.from(ids, (_, place) =>
    place < written || late.attendToExpansion ? 1 : 0,
  );
  const skipped = late.skipsIn.includes(role) ? late.skippedIds : new Set<number>();
  const only = isQuery ? undefined : late.keptIds;
  const kept = Uint8Array.from(ids, (id) => (!skipped.has(id) && (only?.has(id) ?? true) ? 1 : 0));
  if (ids.length === 0) {
    throw new JetonError("the text has no tokens, expected at least one", {
      code: "encoder-input-empty",
      details: { text, role },
    });
  }
  return { ids: Int32Array.from(ids), types: Int32Array.from(types), attended, kept, offsets };
}
