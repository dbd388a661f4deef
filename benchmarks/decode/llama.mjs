/**
 * The peer's half: llama.cpp through node-llama-cpp, by the lowest public interface that it has
 * (`LlamaContextSequence.evaluateWithMetadata`, greedy: one native call evaluates, one chooses; the
 * same generator stays open across `decode` calls).
 * Nothing is compiled or downloaded: only the prebuilt binaries that came with the package are used.
 *
 * Settings: no GPU, exactly the asked threads, batches of 512 (measured best of 64 to 512), F16 cache
 * (its default), memory mapping off (weights that are repacked for the processor would otherwise be
 * counted twice; as fast). Flash attention is an option, because which is faster depends on the
 * context: the harness measures both and keeps the better.
 */
import { serveHalf } from "./half.mjs";

const greedy = { temperature: 0, yieldEogToken: true };

/**
 * @param {object} options
 * @param {string} options.path GGUF file
 * @param {number} options.threads
 * @param {number} options.capacity tokens that the sequence must hold
 * @param {boolean} options.flashAttention
 * @param {"input-lookup" | "draft-model"} [options.predictor] drafts for `decode` (default none)
 * @param {string} [options.draft] GGUF file of the draft model
 * @param {object} [options.predictorOptions] of node-llama-cpp's predictor
 * @returns {Promise<import("./half.mjs").BenchModel>}
 */
async function createLlamaModel(options) {
  const { path, threads, capacity, flashAttention, predictor, predictorOptions } = options;
  // Imported here, so that a package that is not installed is an answer and not a dead process.
  const { DraftSequenceTokenPredictor, getLlama, InputLookupTokenPredictor } = await import(
    "node-llama-cpp"
  );
  const llama = await getLlama({
    build: "never",
    skipDownload: true,
    gpu: false,
    maxThreads: threads,
    logLevel: "error",
    progressLogs: false,
  });
  const model = await llama.loadModel({ modelPath: path, useMmap: false });
  const context = await model.createContext({
    contextSize: capacity + 1, // it keeps one cell free
    batchSize: Math.min(512, capacity),
    threads,
    flashAttention,
  });
  const openPredictor = async () => {
    if (predictor === "input-lookup") return new InputLookupTokenPredictor(predictorOptions);
    if (predictor !== "draft-model") return undefined;
    const draft = await llama.loadModel({ modelPath: options.draft, useMmap: false });
    const drafts = await draft.createContext({ contextSize: capacity + 1, threads });
    return new DraftSequenceTokenPredictor(drafts.getSequence(), predictorOptions);
  };
  const tokenPredictor = await openPredictor();
  const sequence = context.getSequence(tokenPredictor === undefined ? {} : { tokenPredictor });

  /** Ids that were fed, then the choice after them. */
  const ids = [];
  /** The open generator that feeds its own choices. */
  let steps;

  const closeSteps = async () => {
    await steps?.return();
    steps = undefined;
  };
  const next = async () => {
    const { value, done } = await steps.next();
    if (done) throw new Error("node-llama-cpp ended the sequence");
    ids.push(value.token);
    return value.token;
  };

  return {
    async prefill(added) {
      await closeSteps();
      ids.length = sequence.nextTokenIndex;
      ids.push(...added);
      tokenPredictor?.updateInputTokens(ids); // what its chat classes do with the prompt
      steps = sequence.evaluateWithMetadata(added, {}, greedy);
      return next();
    },
    async decode(count) {
      steps ??= sequence.evaluateWithMetadata([ids.at(-1)], {}, greedy);
      const chosen = new Array(count);
      for (let i = 0; i < count; i++) chosen[i] = await next();
      return chosen;
    },
    async reset(length = 0) {
      await closeSteps();
      if (length === 0) await sequence.clearHistory();
      else
        await sequence.eraseContextTokenRanges([{ start: length, end: sequence.nextTokenIndex }]);
      ids.length = length === 0 ? 0 : length + 1;
    },
    async describe() {
      return {
        flashAttention: context.flashAttention,
        threads: context.idealThreads,
        batchSize: context.batchSize,
      };
    },
    async memory() {
      return { predictions: sequence.tokenPredictions };
    },
    async close() {
      await closeSteps();
      await llama.dispose();
    },
  };
}

serveHalf(createLlamaModel);
