/** What demonstrations ask of the tools' worker, and what they get: plain data. */
import type { WorkerFailure } from "../engine/messages.ts";

export interface CompareTokenizersInput {
  /** What vocabularies are learned from. */
  readonly corpus: string;
  /** Types of each learned vocabulary, bytes and special tokens included. */
  readonly vocabSize: number;
  /** What is cut into tokens. */
  readonly text: string;
}

/** A text under one tokenizer. */
export interface TokenizedText {
  readonly name: string;
  /** Types of the vocabulary. */
  readonly types: number;
  /** The text's pieces, as they stand in it. */
  readonly pieces: readonly string[];
}

export interface MergeTokensInput {
  readonly texts: readonly string[];
  readonly merges: number;
}

export interface MergeTokensOutput {
  readonly before: readonly (readonly string[])[];
  readonly after: readonly (readonly string[])[];
  /** Merges that were made, with the tokens that each saved. */
  readonly merges: readonly { readonly text: string; readonly saved: number }[];
  /** Merges that are possible until whole words. */
  readonly possible: number;
}

export interface TranslateTokensInput {
  /** A sentence a line, the same number in both. */
  readonly source: string;
  readonly target: string;
  /** Types of the target language's tokenizer, learned from its lines. */
  readonly vocabSize: number;
}

export interface TranslatedToken {
  readonly token: string;
  /** Tokens of the model that it is an average of, heaviest first. */
  readonly sources: readonly { readonly token: string; readonly weight: number }[];
  /** False where it has no evidence of its own and borrows from its neighbours. */
  readonly mapped: boolean;
}

export interface SplitWordsInput {
  readonly text: string;
  readonly rule: "unicode" | "whitespace" | "four-bytes";
}

export interface SplitWordsOutput {
  readonly words: readonly { readonly text: string; readonly bytes: number }[];
  readonly bytes: number;
  /** Tokens of the same text under the bundled model's tokenizer. */
  readonly tokens: number;
}

export interface VocabularyOfText {
  readonly name: string;
  readonly size: number;
  readonly categories: Readonly<Record<string, number>>;
  /** Tokens for each word of the text. */
  readonly fertility: number;
  readonly bytesPerToken: number;
  /** Share of the words that take more than one token. */
  readonly continuedWords: number;
}

export interface InspectVocabularyInput {
  readonly text: string;
  /** Types of the vocabulary that is learned from the text. */
  readonly vocabSize: number;
}

export interface MakeNeedleInput {
  readonly pairs: number;
  readonly depth: number;
  readonly seed: number;
}

export interface MadeNeedle {
  readonly prompt: string;
  readonly keys: readonly string[];
  readonly values: readonly string[];
}

export interface ScoreNeedleInput extends Pick<MadeNeedle, "keys" | "values"> {
  readonly answer: string;
}

export interface ChunkingRow {
  readonly chunker: string;
  readonly chunks: number;
  readonly recall: number;
  readonly precision: number;
  readonly iou: number;
  readonly precisionOmega: number;
}

export interface EvaluateChunksInput {
  readonly text: string;
  readonly question: string;
  /** A stretch of the text, word for word. */
  readonly answer: string;
  /** Chunks that are retrieved. */
  readonly k: number;
}

export interface RankCodeInput {
  readonly query: string;
  /** Snippets, apart by lines of `---`. */
  readonly snippets: string;
}

export interface CodeRanking {
  readonly ranker: string;
  /** Numbers of snippets, best first, with scores; snippets that are not found are left out. */
  readonly found: readonly { readonly snippet: number; readonly score: number }[];
  /** Terms of the query. */
  readonly terms: readonly string[];
}

export interface AttendInRingInput {
  readonly ranks: number;
  readonly tokens: number;
  readonly causal: boolean;
}

export interface AttendInRingOutput {
  /** Largest difference from attention in one place. */
  readonly difference: number;
  /** Messages in the order in which they were sent. */
  readonly messages: readonly {
    readonly from: number;
    readonly to: number;
    readonly bytes: number;
  }[];
  readonly traffic: readonly {
    readonly from: number;
    readonly to: number;
    readonly kind: "query" | "result";
    readonly bytes: number;
  }[];
}

export interface SearchLinesInput {
  readonly query: string;
  /** A record a line. */
  readonly text: string;
  /** Tokens of the index that each token of the query retrieves. */
  readonly candidates: number;
}

/** What one ranker found. */
export interface SearchRanking {
  readonly ranker: string;
  readonly hits: readonly {
    readonly text: string;
    readonly score: number;
    /** Which part of the text earned which part of the score. */
    readonly matches: readonly {
      readonly queryToken: number;
      readonly score: number;
      /** No token of the text was retrieved: the score is a bound. */
      readonly imputed: boolean;
      readonly term?: string;
      readonly span?: readonly [number, number];
    }[];
  }[];
}

export interface SearchLinesOutput {
  readonly queryTokens: readonly string[];
  readonly rankings: readonly SearchRanking[];
}

export interface CutDocumentsInput {
  /** Documents, apart by lines of `---`. */
  readonly documents: string;
  /** A question a line, behind the number of the document that answers it: `2: when was it lit`. */
  readonly questions: string;
}

/** How rankers find the documents of which only the first words are left. */
export interface CutDocuments {
  /** Words that are left of each document; undefined: all. */
  readonly words: number | undefined;
  /** Share of the documents' characters. */
  readonly share: number;
  readonly rankings: readonly {
    readonly ranker: string;
    readonly ndcg: number;
    /** For each question the place of the document that answers it; undefined where it is not found. */
    readonly places: readonly (number | undefined)[];
  }[];
}

export interface HideWordsInput {
  readonly text: string;
  /** Shares of the tokens that are hidden: from the encoder, and from a row of the decoder. */
  readonly masking: number;
  readonly hiding: number;
  readonly seed: number;
}

/** What one pass of a pre-training hides of a text. */
export interface HiddenWords {
  /** The tokens of the text, without special ones. */
  readonly tokens: readonly string[];
  /** What the encoder reads in their places. */
  readonly read: readonly string[];
  /** Places that the encoder has to tell. */
  readonly masked: readonly number[];
  /** For each token the places that the decoder sees while it tells it. */
  readonly visible: readonly (readonly number[])[];
  /** The different words that the other states have to tell. */
  readonly bag: readonly string[];
}

export interface InferMixtureInput {
  /** Samples of the two languages, or domains. */
  readonly first: string;
  readonly second: string;
  /** Share of the first one in the tokenizer's training text, 0 to 1. */
  readonly share: number;
  readonly merges: number;
}

export interface MixtureOfMerges {
  /** Shares of the training text in bytes: as mixed, and as inferred from the merges. */
  readonly mixed: number;
  readonly inferred: number;
  /** What the merges make, in their order. */
  readonly merges: readonly string[];
}

export interface PackTextInput {
  readonly text: string;
  /** A different text of the same kind: what any embeddings at all do. */
  readonly another: string;
  /** What follows the text; every token of it but the first is scored. */
  readonly next: string;
  /** What the model continues behind the text. */
  readonly question: string;
  /** Tokens for each embedding. */
  readonly factor: number;
}

/** What the model makes of what follows a text, behind one way to read it. */
export interface PackedReading {
  readonly name: string;
  /** Positions of the model's context that it takes. */
  readonly positions: number;
  /** Bits a token of what follows; absent where it does not fit into the context. */
  readonly bits?: number;
  readonly answer?: string;
}

export interface PackedText {
  readonly tokens: number;
  /** Tokens that are scored. */
  readonly scored: number;
  /** What each embedding stands for. */
  readonly groups: readonly string[];
  readonly readings: readonly PackedReading[];
}

export interface TransferVocabularyInput {
  /** What the new tokenizer is learned from. */
  readonly corpus: string;
  readonly kind: "byte-level-bpe" | "unigram";
  /** Types of the new vocabulary. */
  readonly vocabSize: number;
  /** What is read in its tokens. */
  readonly text: string;
}

/** A token of the new vocabulary that the model does not have. */
export interface NewToken {
  readonly token: string;
  /** The model's tokens that spell it. */
  readonly spelling: readonly string[];
  /** The model's tokens whose embeddings lie nearest to each of the predicted ones, by the name of the method. */
  readonly nearest: Readonly<Record<string, readonly string[]>>;
}

export interface TransferredVocabulary {
  readonly types: number;
  /** Types that the model has as well. */
  readonly shared: number;
  /** New tokens of the text, most frequent first. */
  readonly newTokens: readonly NewToken[];
  /** The text in the model's own tokens, and in the new ones by each method. */
  readonly readings: readonly {
    readonly name: string;
    readonly tokens: number;
    readonly bitsPerByte: number;
  }[];
}

export interface DeleteBytesInput {
  readonly text: string;
  /** Bytes whose gate value is not above this are deleted. */
  readonly threshold: number;
  /** Nothing is removed: gate values are terms of the scores, as in training. The threshold is without effect. */
  readonly soft: boolean;
}

/** What an encoder with a delete gate makes of a piece of the text, and what its decoder writes from that. */
export interface DeletedBytes {
  readonly bytes: readonly {
    /** The byte's character, `\\xc3` where it is part of one, or the end of the piece. */
    readonly text: string;
    readonly kept: boolean;
    /** From -30 (delete) to 0 (keep). */
    readonly gate: number;
  }[];
  readonly written: string;
}

export interface ReadRenamedInput {
  readonly text: string;
  /** Of the new alphabet. */
  readonly seed: number;
}

/** How a text reads with and without the names of its letters. */
export interface RenamedReading {
  /** The text in lower case with single spaces, and the same in the new alphabet; cut to what the models read. */
  readonly text: string;
  readonly renamed: string;
  /** Bits that each symbol but the first is a surprise of, by reader. */
  readonly readers: readonly {
    readonly name: "lexinvariant" | "ordinary, renamed" | "ordinary, own letters" | "counting";
    readonly bits: readonly number[];
  }[];
}

/** Each tool: its input and its output. */
export interface Tools {
  readonly compareTokenizers: readonly [CompareTokenizersInput, readonly TokenizedText[]];
  readonly mergeTokens: readonly [MergeTokensInput, MergeTokensOutput];
  readonly translateTokens: readonly [TranslateTokensInput, readonly TranslatedToken[]];
  readonly splitWords: readonly [SplitWordsInput, SplitWordsOutput];
  readonly inspectVocabulary: readonly [InspectVocabularyInput, readonly VocabularyOfText[]];
  readonly makeNeedle: readonly [MakeNeedleInput, MadeNeedle];
  readonly scoreNeedle: readonly [ScoreNeedleInput, { readonly accuracy: number }];
  readonly evaluateChunks: readonly [EvaluateChunksInput, readonly ChunkingRow[]];
  readonly rankCode: readonly [RankCodeInput, readonly CodeRanking[]];
  readonly searchLines: readonly [SearchLinesInput, SearchLinesOutput];
  readonly attendInRing: readonly [AttendInRingInput, AttendInRingOutput];
  readonly cutDocuments: readonly [CutDocumentsInput, readonly CutDocuments[]];
  readonly inferMixture: readonly [InferMixtureInput, MixtureOfMerges];
  readonly hideWords: readonly [HideWordsInput, HiddenWords];
  readonly packText: readonly [PackTextInput, PackedText];
  readonly transferVocabulary: readonly [TransferVocabularyInput, TransferredVocabulary];
  readonly readRenamed: readonly [ReadRenamedInput, RenamedReading];
  readonly deleteBytes: readonly [DeleteBytesInput, readonly DeletedBytes[]];
}

export type ToolName = keyof Tools;

/** Page to worker. */
export interface ToolRequest {
  readonly id: number;
  readonly name: ToolName;
  readonly input: unknown;
  /** Address of the page's folder, with a slash at its end. */
  readonly base: string;
}

/** Worker to page. */
export type ToolAnswer =
  | { readonly id: number; readonly output: unknown }
  | { readonly id: number; readonly error: WorkerFailure };
