/** The contents of a `tokenizer.json` with one word for each id: `w0`, `w1`, ... */
export function wordTokenizer(vocabSize: number): Record<string, unknown> {
  return {
    version: "1.0",
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: "WhitespaceSplit" },
    post_processor: null,
    decoder: null,
    model: {
      type: "WordLevel",
      vocab: Object.fromEntries(Array.from({ length: vocabSize }, (_, id) => [`w${id}`, id])),
      unk_token: "w0",
    },
  };
}
