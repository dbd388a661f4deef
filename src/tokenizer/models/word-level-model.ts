/**
 * The simplest model: a word is a token or it is unknown.
 */
import { JetonError } from "../../core/error.ts";
import { describeValue } from "../formats/json-reader.ts";
import { utf8LengthOf } from "./utf8.ts";
import type { Vocabulary } from "./vocabulary.ts";
import type { WordModel } from "./word-model.ts";

export function createWordLevelModel(vocabulary: Vocabulary, unknownToken: string): WordModel {
  const unknownId = vocabulary.ids.get(unknownToken);
  return {
    kind: "WordLevel",
    vocabulary,
    unknownId,
    unknownShowsText: false,
    encodeWord(word, sink) {
      const id = vocabulary.ids.get(word) ?? unknownId;
      if (id === undefined) {
        throw new JetonError(
          `the unknown token ${describeValue(unknownToken)} is not in the vocabulary, and the text needs it`,
          { code: "tokenizer-unknown-token-absent", details: { token: unknownToken } },
        );
      }
      sink.push(id, 0, utf8LengthOf(word));
    },
  };
}
