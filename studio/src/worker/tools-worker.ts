/** The worker in which demonstrations call functions of the library that need no language model. */
import { failureOf } from "./failure.ts";
import {
  evaluateChunks,
  makeNeedle,
  rankCode,
  ringAttention,
  scoreNeedle,
} from "./retrieval-tools.ts";
import {
  compareTokenizers,
  inspectVocabulary,
  mergeTokens,
  splitText,
  type Tool,
  translateVocabulary,
} from "./tokenizer-tools.ts";
import type { ToolAnswer, ToolName, ToolRequest } from "./tool-types.ts";

const tools: { readonly [Name in ToolName]: Tool<Name> } = {
  compareTokenizers,
  mergeTokens,
  translateTokens: translateVocabulary,
  splitWords: splitText,
  inspectVocabulary,
  makeNeedle,
  scoreNeedle,
  evaluateChunks,
  rankCode,
  // The encoder and its runtime come with the first search.
  searchLines: async (input, base) => (await import("./search-tool.ts")).searchLines(input, base),
  attendInRing: ringAttention,
  cutDocuments: async (input, base) =>
    (await import("./long-documents-tool.ts")).cutDocuments(input, base),
  // The solver comes with the first mixture.
  inferMixture: async (input, base) =>
    (await import("./mixture-tool.ts")).inferMixtureOf(input, base),
  hideWords: async (input, base) => (await import("./hide-words-tool.ts")).hideWords(input, base),
  // The bundled decoder comes with the first packed text.
  packText: async (input, base) => (await import("./pack-text-tool.ts")).packText(input, base),
  transferVocabulary: async (input, base) =>
    (await import("./transfer-tool.ts")).transferVocabulary(input, base),
  // So do the models of symbols.
  readRenamed: async (input, base) =>
    (await import("./read-renamed-tool.ts")).readRenamed(input, base),
  // The encoder-decoder and its runtime come with the first text.
  deleteBytes: async (input, base) =>
    (await import("./delete-bytes-tool.ts")).deleteBytes(input, base),
};

addEventListener("message", ({ data }: MessageEvent<ToolRequest>) => {
  const { id, name, input, base } = data;
  const run = tools[name] as (input: unknown, base: string) => unknown;
  const send = (answer: ToolAnswer): void => postMessage(answer);
  (async () => run(input, base))().then(
    (output) => send({ id, output }),
    (error: unknown) => send({ id, error: failureOf(error) }),
  );
});
