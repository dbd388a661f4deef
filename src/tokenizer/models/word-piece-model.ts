/**
 * WordPiece as in BERT: the longest token that begins the word, then the longest continuation, and
 * so on; a word that cannot be covered is unknown as a whole.
 */
import { JetonError } from "../../core/error.ts";
import { describeValue } from "../formats/json-reader.ts";
import type { TokenSink } from "./token-sink.ts";
import { Trie } from "./trie.ts";
import { utf8LengthOf } from "./utf8.ts";
import type { Vocabulary } from "./vocabulary.ts";
import type { WordModel } from "./word-model.ts";

export interface WordPieceOptions {
  vocabulary: Vocabulary;
  /** Token for words that cannot be covered. */
  unknownToken: string;
  /** Written before every token of a word but the first. */
  continuingPrefix: string;
  /** Longer words, counted in characters, are unknown. */
  maxWordLength: number;
}

export function createWordPieceModel(options: WordPieceOptions): WordModel {
  const { vocabulary, continuingPrefix, maxWordLength, unknownToken } = options;
  const unknownId = vocabulary.ids.get(unknownToken);
  const first = new Trie(vocabulary.ids.size * 2);
  const continuing = continuingPrefix === "" ? first : new Trie(vocabulary.ids.size);
  for (const [token, id] of vocabulary.ids) {
    if (token === "") continue;
    first.set(token, id);
    if (continuingPrefix !== "" && token.startsWith(continuingPrefix)) {
      const rest = token.slice(continuingPrefix.length);
      if (rest !== "") continuing.set(rest, id);
    }
  }

  const addUnknown = (sink: TokenSink, length: number): void => {
    if (unknownId === undefined) {
      throw new JetonError(
        `the unknown token ${describeValue(unknownToken)} is not in the vocabulary, and the text needs it`,
        { code: "tokenizer-unknown-token-absent", details: { token: unknownToken } },
      );
    }
    sink.push(unknownId, 0, length);
  };

  return {
    kind: "WordPiece",
    vocabulary,
    unknownId,
    unknownShowsText: false,
    encodeWord(word, sink) {
      if (word.length > maxWordLength && [...word].length > maxWordLength) {
        addUnknown(sink, utf8LengthOf(word));
        return;
      }
      const mark = sink.length;
      let trie = first;
      let bytes = 0;
      for (let start = 0; start < word.length; ) {
        let id = -1;
        let end = start;
        let node = 0;
        for (let i = start; i < word.length; ) {
          node = trie.step(node, word.charCodeAt(i++));
          if (node < 0) break;
          const value = trie.valueAt(node);
          if (value >= 0) {
            id = value;
            end = i;
          }
        }
        if (id < 0) {
          sink.length = mark;
          addUnknown(sink, utf8LengthOf(word));
          return;
        }
        const next = bytes + utf8LengthOf(word.slice(start, end));
        sink.push(id, bytes, next);
        bytes = next;
        start = end;
        trie = continuing;
      }
    },
  };
}
