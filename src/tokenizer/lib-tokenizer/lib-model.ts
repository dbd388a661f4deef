/**
 * A lexicon of LiB as the model of a tokenizer: the two-path choice over tokens whose ids are in the
 * order of their ranks, bytes for characters outside the lexicon.
 */

import { invalidField, type JsonObject, readField } from "../formats/json-reader.ts";
import { Trie } from "../models/trie.ts";
import { byteToken, utf8Bytes, utf8LengthOf } from "../models/utf8.ts";
import { readVocabulary, type Vocabulary } from "../models/vocabulary.ts";
import type { WordModel } from "../models/word-model.ts";
import { choosePath, type RankedTokens } from "./choose-path.ts";

/**
 * Reads the `model` of a tokenizer file of the type `LiB`: `vocab`, in which all 256 bytes `<0x00>` to
 * `<0xFF>` and the tokens of the lexicon stand, and `first_token`, the id of the best token; those
 * from there on are the lexicon.
 */
export function readLibModel(model: JsonObject, path: string): WordModel {
  const vocabulary = readVocabulary(model, path);
  const first = readField(model, "first_token");
  if (typeof first !== "number" || !Number.isInteger(first) || first < 0) {
    throw invalidField(`${path}.first_token`, first, "the id of the best token");
  }
  return createLibModel(vocabulary, first);
}

/** The tokens from id `first` on are the lexicon, best first. */
export function createLibModel(vocabulary: Vocabulary, first: number): WordModel {
  const byteIds = Int32Array.from({ length: 256 }, (_, byte) => {
    const id = vocabulary.ids.get(byteToken(byte));
    if (id === undefined || id >= first) {
      throw invalidField(`model.vocab[${byteToken(byte)}]`, id, `an id below ${first}`);
    }
    return id;
  });
  const trie = new Trie(vocabulary.ids.size * 4);
  for (const [token, id] of vocabulary.ids) if (id >= first && token !== "") trie.set(token, id);
  const tokens = createRankedTokens(trie);
  return {
    kind: "LiB",
    vocabulary,
    unknownId: undefined,
    unknownShowsText: false,
    encodeWord(word, sink) {
      let bytes = 0;
      choosePath(tokens, word, (id, start, end) => {
        const piece = word.slice(start, end);
        const after = bytes + utf8LengthOf(piece);
        if (id >= 0) sink.push(id, bytes, after);
        else for (const byte of utf8Bytes(piece)) sink.push(byteIds[byte]!, bytes, after);
        bytes = after;
      });
    },
  };
}

function createRankedTokens(trie: Trie): RankedTokens {
  const tokens: RankedTokens = {
    chunkRank: -1,
    chunkLength: 0,
    smallRank: -1,
    smallLength: 0,
    match(text, at) {
      tokens.chunkRank = -1;
      tokens.smallRank = -1;
      let node = 0;
      for (let end = at; end < text.length; ) {
        node = trie.step(node, text.charCodeAt(end++));
        if (node < 0) return;
        const id = trie.valueAt(node);
        if (id < 0) continue;
        tokens.smallRank = tokens.chunkRank;
        tokens.smallLength = tokens.chunkLength;
        tokens.chunkRank = id;
        tokens.chunkLength = end - at;
      }
    },
  };
  return tokens;
}
