/** Which system is shown how: a demonstration over editable input, or why there is none. */
import type { ComponentType } from "preact";
import type { PolicyName } from "./policy-settings.ts";

/** Loads a demonstration when its page is opened. */
export interface LiveDemonstration {
  /** What is done, in a few words. */
  readonly title: string;
  readonly load: () => Promise<ComponentType>;
}

/** Why a system cannot be tried here. */
export interface NoDemonstration {
  readonly why: string;
  /** Commands with which it can be tried elsewhere. */
  readonly commands?: readonly string[];
}

export type Demonstration = LiveDemonstration | NoDemonstration;

const race = (drafter: "token-recycling" | "lookahead" | "dyspec" | "aded"): LiveDemonstration => ({
  title: "Drafters racing on one prompt",
  load: async () => (await import("./race.tsx")).raceOf(drafter),
});

const words = (
  system: "word-pooled" | "hierarchical-transformer" | "byte2word",
): LiveDemonstration => ({
  title: "How it reads a text: bytes in words",
  load: async () => (await import("./words.tsx")).wordsOf(system),
});

const policy = (name: PolicyName): LiveDemonstration => ({
  title: "Which tokens of a prompt it keeps",
  load: async () => (await import("./policies.tsx")).policyOf(name),
});

/** By the system's slug. */
export const demonstrations: Readonly<Record<string, Demonstration>> = {
  "lib-tokenizer": {
    title: "Vocabularies side by side",
    load: async () => (await import("./tokenizers.tsx")).TokenizersDemonstration,
  },
  "data-mixture-inference": {
    title: "Shares of two languages, read off a tokenizer's merges",
    load: async () => (await import("./mixture.tsx")).MixtureDemonstration,
  },
  "dynamic-tokenization": {
    title: "Merging tokens of a batch",
    load: async () => (await import("./merges.tsx")).MergesDemonstration,
  },
  zett: {
    title: "The model under a tokenizer that it has never met",
    load: async () => (await import("./new-vocabulary.tsx")).NewVocabularyDemonstration,
  },
  "trans-tokenization": {
    title: "Tokens of another language as averages of the model's own",
    load: async () => (await import("./translations.tsx")).TranslationsDemonstration,
  },
  "word-pooled": words("word-pooled"),
  "hierarchical-transformer": words("hierarchical-transformer"),
  byte2word: words("byte2word"),
  mrt5: {
    title: "Which bytes a trained gate deletes, and what is written from the rest",
    load: async () => (await import("./deleted-bytes.tsx")).DeletedBytesDemonstration,
  },
  lexinvariant: {
    title: "A text in an alphabet that no model has seen, and how surprising its symbols are",
    load: async () => (await import("./renamed-symbols.tsx")).RenamedSymbolsDemonstration,
  },
  openmoe: {
    title: "Which experts each token of a text is sent to",
    load: async () => (await import("./routing.tsx")).RoutingDemonstration,
  },
  "token-recycling": race("token-recycling"),
  lookahead: race("lookahead"),
  dyspec: race("dyspec"),
  aded: race("aded"),
  "exact-byte-probabilities": {
    title: "The next byte after a text that ends anywhere",
    load: async () => (await import("./bytes.tsx")).BytesDemonstration,
  },
  "token-select": policy("token-select"),
  longheads: policy("longheads"),
  "landmark-attention": {
    title: "A pass key in a text longer than the trained window, and the blocks that answer",
    load: async () => (await import("./landmarks.tsx")).LandmarksDemonstration,
  },
  gemfilter: policy("gemfilter"),
  "extensible-tokenization": {
    title: "A text read as fewer embeddings",
    load: async () => (await import("./packed-text.tsx")).PackedTextDemonstration,
  },
  "token-ring": {
    title: "Exact attention in a ring",
    load: async () => (await import("./ring.tsx")).RingDemonstration,
  },
  xtr: {
    title: "Search with the tokens that matched",
    load: async () => (await import("./search.tsx")).SearchDemonstration,
  },
  qtok: {
    title: "What two vocabularies are made of",
    load: async () => (await import("./vocabulary.tsx")).VocabularyDemonstration,
  },
  "needle-threading": {
    title: "One needle in a haystack",
    load: async () => (await import("./needle.tsx")).NeedleDemonstration,
  },
  "rag-token-metrics": {
    title: "Chunkers on your own text",
    load: async () => (await import("./chunks.tsx")).ChunksDemonstration,
  },
  "m2-bert-loco": {
    title: "What is lost when long documents are cut",
    load: async () => (await import("./long-documents.tsx")).LongDocumentsDemonstration,
  },
  dupmae: {
    title: "What it learns from a text",
    load: async () => (await import("./hidden-words.tsx")).HiddenWordsDemonstration,
  },
  coir: {
    title: "Rankers of code on your own snippets",
    load: async () => (await import("./code-search.tsx")).CodeSearchDemonstration,
  },
};
