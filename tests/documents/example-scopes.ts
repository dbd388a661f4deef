/**
 * What surrounds each `@example`: imports and values that the doc comment takes for granted. The example itself
 * runs as it stands in the source.
 */

/** How the examples of one source file run. */
export interface ExampleScope {
  /** TypeScript before the example. */
  readonly before: string;
  /** TypeScript after it: closes what was opened. */
  readonly after?: string;
  /** Why the example is only checked by the compiler. */
  readonly notRun?: string;
}

const model =
  'import { loadModel } from "jeton/model";\nconst model = await loadModel("models/jeton-nano");\n';
const prompt = 'const prompt = "one two three one two three one two";\n';
const close = "await model.close();";
const generation = (names: string): string =>
  `import { ${names} } from "jeton/generate";\n${model}${prompt}`;

const noEncoder = "no encoder is bundled; src/model/encoder/families.test.ts runs the same calls";
const encoderScope = (names: string): ExampleScope => ({
  before: `import { ${names}, type LoadedEncoder } from "jeton/model";\ndeclare const model: LoadedEncoder;\n`,
  notRun: noEncoder,
});

/** By file; its second example has `#2` added. */
export const exampleScopes: Readonly<Record<string, ExampleScope>> = {
  "src/browser.ts": {
    before: 'import { fetchModel, generate, locateWasm } from "jeton/browser";\n',
    notRun: "needs a page; tests/browser runs the same calls",
  },
  "src/browser-worker.ts": {
    notRun: "the script of a worker; tests/bundlers bundles it",
  },
  "src/browser-worker.ts#2": {
    before: 'import { fetchModel } from "jeton/browser";\n',
    notRun: "needs a page; tests/bundlers runs the same calls",
  },
  "src/checkpoint/checkpoint.ts": {
    before: 'import { openCheckpoint } from "jeton/checkpoint";\n',
  },
  "src/checkpoint/hub/hub.ts": {
    before: 'import { resolveModel } from "jeton/checkpoint";\n',
    notRun: "downloads from the hub",
  },
  "src/checkpoint/packed-cache.ts": {
    before:
      'import { openCheckpoint, openPackedCache } from "jeton/checkpoint";\n' +
      'const checkpoint = await openCheckpoint("models/jeton-nano");\n' +
      "declare function pack(from: typeof checkpoint): never[];\n",
    notRun: "packing weights is the caller's",
  },
  "src/checkpoint/safetensors/safetensors.ts": {
    before: 'import { openSafetensors } from "jeton/checkpoint";\n',
  },
  "src/context/extensible-tokenization/prompt-with-context.ts": {
    before:
      'import { promptWithContext, readPackedContext } from "jeton/context";\n' +
      `import { generate } from "jeton/generate";\n${model}`,
    notRun: "needs a packed text; packed-context.test.ts runs the same calls",
  },
  "src/context/extensible-tokenization/train-compressor.ts": {
    before: 'import { trainCompressor } from "jeton/context";\n',
    notRun: "takes minutes; the README beside it trains two steps",
  },
  "src/evaluate/needle-threading/needle-threading.ts": {
    before: `import { evaluateLocally, evaluateNeedleThreading } from "jeton/evaluate";\n${model}`,
    after: close,
  },
  "src/evaluate/coir/coir.ts": {
    before: 'import { createBm25Ranker, evaluateSet, readCoirSet } from "jeton/evaluate";\n',
    notRun: "needs a set of files; coir.test.ts runs the same calls",
  },
  "src/evaluate/loco/loco.ts": {
    before: 'import { createBm25Ranker, evaluateLocoTask, readLocoTasks } from "jeton/evaluate";\n',
    notRun: "needs files of tasks; loco.test.ts runs the same calls",
  },
  "src/model/encoder/sentence/embed-hybrid.ts": encoderScope("embedHybrid"),
  "src/model/encoder/sentence/embed-sparse.ts": encoderScope("embedSparse"),
  "src/retrieve/m2-bert-loco/m2-bert-loco.ts": {
    before: 'import { longEncoderConfig } from "jeton/retrieve";\n',
  },
  "src/evaluate/rag-token-metrics/evaluate-chunking.ts": {
    before:
      'import { createSentenceChunker, evaluateChunking, type SpanQuestion } from "jeton/evaluate";\n' +
      'const corpora = new Map([["x", "One. Two."]]);\nconst questions: SpanQuestion[] = [];\n',
  },
  "src/evaluate/trec/evaluate-run.ts": {
    before: 'import { evaluateRun, parseJudgments, parseRun } from "jeton/evaluate";\n',
  },
  "src/lexical/analysis/analyzer.ts": {
    before: 'import { analyze, createAnalyzer } from "jeton/lexical";\n',
  },
  "src/lexical/bm25.ts": { before: 'import { createBm25Index } from "jeton/lexical";\n' },
  "src/lexical/character-ngrams.ts": {
    before: 'import { characterNgrams } from "jeton/lexical";\n',
  },
  "src/lexical/min-hash.ts": {
    before: 'import { characterNgrams, createMinHash, estimateJaccard } from "jeton/lexical";\n',
  },
  "src/retrieve/open-index.ts": { before: 'import { openIndex } from "jeton/retrieve";\n' },
  "src/evaluate/qtok/qtok.ts": {
    before:
      'import { inspectVocabularies } from "jeton/evaluate";\nimport { loadTokenizer } from "jeton/tokenizer";\n',
  },
  "src/front.ts": {
    before: 'import { loadModel } from "jeton";\n',
    after: close,
  },
  "src/front.ts#2": {
    before:
      'import { generate, loadModel } from "jeton";\nconst model = await loadModel("chat-model");\n',
    after: close,
  },
  "src/generate/aded/aded-drafter.ts": {
    before: generation("createAdedDrafter, generate"),
    after: close,
  },
  "src/generate/dyspec/dyspec-drafter.ts": {
    before: generation("createDyspecDrafter, generate"),
    after: close,
  },
  "src/generate/generate.ts": { before: generation("generate"), after: close },
  "src/generate/lookahead/lookahead.ts": {
    before: `${generation("createLookaheadDrafter, generate")}const pastAnswer = "one two three";\n`,
    after: close,
  },
  "src/generate/sampling/logits-processors.ts": {
    before: 'import type { LogitsProcessor } from "jeton/generate";\n',
    after:
      "const logits = new Float32Array(3);\n" +
      "await noStutter({ ids: [0, 2], promptLength: 1, logits });\n" +
      'if (logits[2] !== -Infinity) throw new Error("the last token is not excluded");',
  },
  "src/generate/speculative/auto.ts": {
    before: `${generation(
      "complete, createAutoDrafter, createDraftModelDrafter, createPromptLookupDrafter",
    )}const small = await loadModel("models/jeton-nano-draft");\n`,
    after: `await small.close();\n${close}`,
  },
  "src/generate/speculative/draft-model.ts": {
    before: generation("complete, createDraftModelDrafter"),
    after: `if (result.text === "") throw new Error("no text");\nawait draft.close();\n${close}`,
  },
  "src/generate/speculative/drafter.ts": {
    before: generation("complete, type Drafter"),
    after:
      "const { drafting } = await complete(model, prompt, { drafter: again, maxTokens: 8 });\n" +
      `if (!drafting?.drafted) throw new Error("nothing was drafted");\n${close}`,
  },
  "src/generate/speculative/open-drafter.ts": {
    before: generation("complete, openDrafter"),
    after: `if (!drafting) throw new Error("no statistics of", { cause: text });\n${close}`,
  },
  "src/generate/speculative/prompt-lookup.ts": {
    before: generation("complete, createPromptLookupDrafter"),
    after: `if (!result.drafting?.drafted) throw new Error("nothing was drafted");\n${close}`,
  },
  "src/generate/token-recycling/draft-template.ts": {
    before: 'import { createTemplate } from "jeton/generate";\n',
  },
  "src/generate/token-recycling/token-recycling.ts": {
    before: generation("createTokenRecyclingDrafter, generate"),
    after: close,
  },
  "src/index.ts": { before: "" },
  "src/lens/run-lens.ts": {
    before: `import { createLensHost, runLens } from "jeton/lens";\n${model}`,
    after: close,
  },
  "src/model/load-model.ts": { before: 'import { loadModel } from "jeton/model";\n' },
  "src/model/open-model.ts": {
    before:
      'import { readFile } from "node:fs/promises";\nimport { openModel } from "jeton/browser";\n' +
      'const read = async (name: string) => JSON.parse(await readFile("models/jeton-nano/" + name, "utf8"));\n' +
      'const config = await read("config.json");\nconst tokenizer = await read("tokenizer.json");\n' +
      'const data = new Uint8Array(await readFile("models/jeton-nano/model.safetensors"));\n',
  },
  "src/serve/index.ts": {
    before: `import { startServer } from "jeton/serve";\n${model}`,
    after: `await server.close();\n${close}`,
  },
  "src/tokenizer/data-mixture-inference/data-mixture-inference.ts": {
    before:
      'import { inferMixture, loadMergeList } from "jeton/tokenizer";\n' +
      'import { readFileSync } from "node:fs";\n' +
      'const texts = [readFileSync("book.txt", "utf8")];\nconst files = [readFileSync("code/one.ts", "utf8")];\n',
  },
  "src/tokenizer/lib-tokenizer/train-lib-tokenizer.ts": {
    before: 'import { trainLibTokenizer } from "jeton/tokenizer";\n',
  },
  "src/tokenizer/tokenizer.ts": {
    before:
      'import { readFileSync } from "node:fs";\nimport { createTokenizer } from "jeton/tokenizer";\n' +
      'const text = readFileSync("tokenizer.json", "utf8");\n',
    after: 'if (tokens.length !== offsets.length) throw new Error("tokens without offsets");',
  },
  "src/train/run/trainer.ts": {
    before:
      'import { openTrainer, type ParameterValue, type TrainingGraph, type TrainingInputs } from "jeton/train";\n' +
      "declare const languageModel: TrainingGraph, contrast: TrainingGraph;\n" +
      "declare const parameters: ReadonlyMap<string, ParameterValue>;\n" +
      "declare const textInputs: TrainingInputs, pairInputs: TrainingInputs;\n",
    after: "console.log(losses);",
    notRun: "the graphs are the caller's; src/train/run/trainer.test.ts has real ones",
  },
  "src/train/encoder/train-encoder.ts": {
    before: 'import { trainEncoder } from "jeton/train";\n',
    after: "console.log(modelFolder);",
    notRun: "needs pairs of texts; src/train/encoder has the same calls under test",
  },
  "src/train/train-language-model.ts": {
    before: 'import { formatTrainingProgress, trainLanguageModel } from "jeton/train";\n',
    after: "console.log(modelFolder);",
    notRun: "2,000 steps take minutes; examples/train-from-text.ts trains for fewer",
  },
  "src/train/train-tokenizer.ts": {
    before: 'import { trainTokenizerFolder } from "jeton/train";\n',
  },
  "src/vocabulary/dynamic-tokenization/large-vocabulary.ts": {
    before:
      'import { growVocabulary, type Hypernetwork, makeLargeVocabulary, type openDynamicModel } from "jeton/vocabulary";\n' +
      "declare const model: Awaited<ReturnType<typeof openDynamicModel>>;\n" +
      "declare const hypernetwork: Hypernetwork;\n" +
      'const frequentWords = ["emperor"];\nconst texts = ["The emperor"];\n',
    after: "console.log(vocabulary);",
    notRun: "needs a trained hypernetwork",
  },
  "src/vocabulary/dynamic-tokenization/merged-texts.ts": {
    before:
      'import { cutByMerging, readModelFiles, trainHypernetwork } from "jeton/vocabulary";\n' +
      'const texts = ["The emperor"];\n',
    after: "console.log(hypernetwork);",
    notRun: "trains for minutes",
  },
  "src/generate/bytes/generate-bytes.ts": {
    before: generation("generateBytes, openByteDistribution"),
    after: close,
  },
  "src/generate/exact-byte-probabilities/open-byte-distribution.ts": {
    before: generation("openByteDistribution"),
    after: `if (logs.length !== 257) throw new Error("not 257 outcomes");\n${close}`,
  },
  "src/generate/generate-from.ts": {
    before:
      'import { generateFrom } from "jeton/generate";\nimport type { LoadedSeq2Seq } from "jeton/model";\n' +
      "declare const model: LoadedSeq2Seq;\n",
    notRun: "no encoder-decoder is bundled; src/model/seq2seq/seq2seq.test.ts runs the same calls",
  },
  "src/model/byte/perturb-text.ts": { before: 'import { perturbText } from "jeton/model";\n' },
  "src/model/byte/split-words.ts": { before: 'import { splitWords } from "jeton/model";\n' },
  "src/model/byte2word/word-texts.ts": { before: 'import { basicWords } from "jeton/model";\n' },
  "src/model/encoder/tasks/classify.ts": encoderScope("classify"),
  "src/model/encoder/tasks/embed.ts": {
    ...encoderScope("embed"),
    after: "console.log(question, answer);",
  },
  "src/model/encoder/tasks/fill-mask.ts": {
    ...encoderScope("fillMask, maskTokenOf"),
    after: "console.log(first);",
  },
  "src/model/encoder/tasks/rerank.ts": encoderScope("rerank"),
  "src/model/encoder/load-encoder.ts": {
    before: 'import { embed, loadEncoder } from "jeton/model";\n',
    after: "console.log(vector);",
    notRun: noEncoder,
  },
  "src/model/hierarchical-transformer/hierarchical-transformer.ts": {
    before: 'import { hierarchicalConfig } from "jeton/model";\n',
    after: "console.log(config);",
  },
  "src/model/open-folder.ts": {
    before: 'import { embed, openModel } from "jeton/model";\n',
    notRun: noEncoder,
  },
  "src/model/seq2seq/load-seq2seq.ts": {
    before:
      'import { generateFrom } from "jeton/generate";\nimport { loadSeq2Seq } from "jeton/model";\n',
    notRun: "no encoder-decoder is bundled; src/model/seq2seq/seq2seq.test.ts runs the same calls",
  },
  "src/model/word-pooled/word-pooled.ts": {
    before: 'import { wordPooledConfig } from "jeton/model";\n',
    after: "console.log(config);",
  },
  "src/vocabulary/dynamic-tokenization/large-vocabulary.ts#2": {
    before:
      'import { growVocabulary, makeLargeVocabulary, type openDynamicModel } from "jeton/vocabulary";\n' +
      "declare const model: Awaited<ReturnType<typeof openDynamicModel>>;\n" +
      'const texts = ["The emperor"];\n',
    after: "console.log(vocabulary);",
    notRun: "needs a trained hypernetwork",
  },
  "src/vocabulary/trans-tokenization/hydra.ts": {
    before: 'import { generate } from "jeton";\nimport { openHydra } from "jeton/vocabulary";\n',
    notRun: "needs a model with two vocabularies; its README makes one",
  },
  "src/vocabulary/transfer.ts": {
    before: 'import { meanOfSubtokens, transfer } from "jeton/vocabulary";\n',
  },
};

/** Files whose functions the package does not export: tests and reproductions call them. */
export const internalExamples: readonly string[] = [
  "src/data/registry.ts",
  "src/generate/measure/reproduction-tasks.ts",
  "src/testing/test-data.ts",
];
