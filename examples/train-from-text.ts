// Trains a vocabulary and a small model from a text file, then lets the model write.
//
//   npx tsx examples/train-from-text.ts book.txt 300
//
// A few hundred steps give words; a text that reads well takes more steps, a larger model and more text.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { complete, loadModel } from "jeton";
import { formatTrainingProgress, trainLanguageModel, trainTokenizerFolder } from "jeton/train";

const file = process.argv[2] ?? "README.md";
const steps = Number(process.argv[3] ?? 30);
const folder = await mkdtemp(join(tmpdir(), "jeton-example-"));
try {
  const tokenizer = join(folder, "tokenizer");
  const corpus = { files: [file] };
  await trainTokenizerFolder({
    folder: tokenizer,
    corpus,
    kind: "byte-level-bpe",
    vocabSize: 512,
  });
  const run = await trainLanguageModel({
    folder: join(folder, "run"),
    tokenizer,
    corpora: [corpus],
    steps,
    onProgress: (progress) => console.error(formatTrainingProgress(progress)),
    batch: 4,
    sequenceLength: 64,
    config: {
      model_type: "llama",
      hidden_size: 64,
      intermediate_size: 192,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      max_position_embeddings: 128,
    },
  });
  const model = await loadModel(run.modelFolder);
  const { text } = await complete(model, "The", { seed: 1, maxTokens: 32 });
  console.log(text);
  await model.close();
} finally {
  await rm(folder, { recursive: true, force: true });
}
