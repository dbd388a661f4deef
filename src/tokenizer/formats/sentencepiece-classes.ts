/**
 * What a class of tokenizer does beside its SentencePiece model: T5's puts the end token behind every text. Classes that
 * move ids or change texts are refused, for their model file alone gives other ids.
 *
 * Source: transformers 5.18.0, `tokenization_t5.py` and those of the classes that are refused.
 */
import type { AddedToken } from "../added-tokens.ts";
import { readPostProcessor } from "../post-processors/post-processors.ts";
import { unsupportedClass } from "./tokenizer-class.ts";
import { createEnding } from "./tokenizer-file.ts";
import type { TokenizerParts } from "./tokenizer-json.ts";

/** Classes whose ids or texts are not those of the model file. */
const refused: readonly string[] = [
  ...["Albert", "Barthez", "BigBird", "Camembert", "DebertaV2", "FNet", "MBart", "MBart50"],
  ...["Pegasus", "Reformer", "RemBert", "XLMRoberta", "XLNet"],
].map((name) => `${name}Tokenizer`);

/** Placeholders for left-out parts of a text, where the settings do not say how many. */
const usualExtraIds = 100;

/** What the files beside a model file say. */
export interface SentencePieceClass {
  /** As `tokenizerClassOf` gives it. */
  readonly className: string | undefined;
  /** `extra_ids` */
  readonly extraIds: unknown;
}

/**
 * The parts of a SentencePiece model with what its class adds.
 *
 * @param file where it comes from, for errors
 * @throws JetonError `tokenizer-class-unsupported`
 */
export function applySentencePieceClass(
  parts: TokenizerParts,
  { className: name, extraIds }: SentencePieceClass,
  file: string,
): TokenizerParts {
  if (name !== undefined && refused.includes(name)) {
    throw unsupportedClass(file, `holds a part of ${name}, whose ids or texts differ`, name);
  }
  if (name !== "T5Tokenizer" && name !== "MT5Tokenizer") return parts;
  const isCount = Number.isSafeInteger(extraIds) && Number(extraIds) >= 0 && Number(extraIds) < 1e5;
  return withT5(parts, isCount ? Number(extraIds) : usualExtraIds);
}

/** The end token behind each text, and `<extra_id_0>`, the last id, and those before it where nothing else names any. */
function withT5(parts: TokenizerParts, count: number): TokenizerParts {
  const { vocabulary } = parts.model;
  const end = "</s>";
  const id = vocabulary.ids.get(end);
  if (id === undefined) return parts;
  const size = vocabulary.tokens.length;
  const named = parts.addedTokens.some((token) => token.content.startsWith("<extra_id_"));
  const extra = Array.from(
    { length: named ? 0 : count },
    (_, at): AddedToken => ({
      id: size + at,
      content: `<extra_id_${count - 1 - at}>`,
      special: true,
      leftStrip: false,
      rightStrip: false,
      singleWord: false,
      normalized: false,
    }),
  );
  return {
    ...parts,
    addedTokens: [...parts.addedTokens, ...extra],
    postProcessor: readPostProcessor(createEnding(end, id), "post_processor"),
  };
}
