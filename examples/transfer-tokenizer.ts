// Moves the bundled model to another tokenizer: each new row is the mean of the rows of its old sub-tokens.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { complete, loadModel } from "jeton";
import { trainTokenizerFolder } from "jeton/train";
import { meanOfSubtokens, transfer } from "jeton/vocabulary";

const folder = await mkdtemp(join(tmpdir(), "jeton-example-"));
try {
  const source = await loadModel();
  const sourceFolder = source.folder;
  await source.close();
  const tokenizer = join(folder, "tokenizer");
  await trainTokenizerFolder({
    folder: tokenizer,
    corpus: { files: [process.argv[2] ?? "README.md"] },
    kind: "byte-level-bpe",
    vocabSize: 1024,
  });
  const out = join(folder, "model");
  const { sharedTokens } = await transfer(sourceFolder, tokenizer, meanOfSubtokens(), { out });
  console.log(sharedTokens, "tokens in both vocabularies");
  const model = await loadModel(out);
  const { text } = await complete(model, "The emperor", { seed: 1, maxTokens: 24 });
  console.log(text);
  await model.close();
} finally {
  await rm(folder, { recursive: true, force: true });
}
