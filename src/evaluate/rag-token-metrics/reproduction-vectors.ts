/** Static word vectors in the Model2Vec layout: the embedding model of a reproduction. */
import { join } from "node:path";
import { openSafetensors } from "../../checkpoint/index.ts";
import { loadTokenizer } from "../../tokenizer/index.ts";

/** Texts to vectors. */
export interface WordVectors {
  /** The mean of the vectors of a text's words; zeros for a text without a known word. */
  embed(text: string): Float32Array;
}

/** Opens a folder with `model.safetensors` (`embeddings`) and `tokenizer.json`. */
export async function loadWordVectors(folder: string): Promise<WordVectors> {
  const tokenizer = await loadTokenizer(folder);
  const file = await openSafetensors(join(folder, "model.safetensors"));
  const rows = await file.readFloat32("embeddings");
  await file.close();
  const dim = rows.length / tokenizer.vocabSize;
  return {
    embed(text) {
      const vector = new Float32Array(dim);
      const ids = tokenizer.encodeIds(text, { addSpecialTokens: false });
      for (const id of ids) {
        if (id === tokenizer.unkTokenId) continue;
        for (let i = 0; i < dim; i++) vector[i]! += rows[id * dim + i]! / ids.length;
      }
      return vector;
    },
  };
}
