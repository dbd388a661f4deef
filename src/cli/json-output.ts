/**
 * The documents that commands print with `--json`: one type per command. Standard output then holds
 * nothing else: one document on one line, or JSON lines where a command has several results. Numbers
 * are in the unit that their name says; seconds otherwise.
 */
import type { CachedModel } from "../checkpoint/index.ts";
import type { DataFile, FetchedFile } from "../data/index.ts";
import type { EvaluationReport, QtokReport, TokenizerCost } from "../evaluate/index.ts";
import type {
  DraftStatistics,
  FinishReason,
  GeneratedContext,
  ScoredToken,
  TokenOrigin,
} from "../generate/index.ts";
import type { ClassScore, FilledToken, FoundSpan, LabelledSpan } from "../model/encoder/index.ts";
import type { ModelMemory, WeightFormat } from "../model/types.ts";
import type { ReproductionResult } from "../reproduce/index.ts";
import type { System } from "../systems.ts";
import type { InferredMixture } from "../tokenizer/index.ts";
import type {
  TokenizerTrainingProgress,
  TrainedEncoder,
  TrainedLanguageModel,
  TrainedTokenizerFolder,
  TrainingProgress,
} from "../train/index.ts";
import type { Transferred } from "../vocabulary/index.ts";
import type { Output } from "./context.ts";
import type { ModelDescription } from "./inspect/description.ts";
import type {
  ContextCalibrateDocument,
  ContextPackDocument,
  ContextPoliciesDocument,
  TrainCompressorDocument,
} from "./json-context.ts";
import type { IndexDocument, SearchDocument, ServeIndexDocument } from "./retrieval/documents.ts";

export type { IndexDocument, SearchDocument, ServeIndexDocument };

/** Every command, on standard error: why it failed. */
export interface ErrorDocument {
  readonly error: {
    /** Stable code of a `JetonError` or of the system; `"unexpected"` otherwise. */
    readonly code: string;
    readonly message: string;
    readonly details: Readonly<Record<string, unknown>>;
  };
}

/** The model that made a result. */
export interface ModelIdentity {
  /** The folder or hub name as it was given. */
  readonly model: string;
  readonly format: WeightFormat;
  readonly threads: number;
}

/** What `jeton run --logprobs` adds. */
export interface TokenProbabilities {
  readonly logProbabilities?: readonly ScoredToken[];
}

/** `jeton run`: one continuation. */
export interface RunDocument extends ModelIdentity, TokenProbabilities {
  readonly text: string;
  readonly ids: readonly number[];
  readonly promptTokens: number;
  /** Prompt tokens whose keys and values were in the KV cache. */
  readonly reusedTokens: number;
  /** Number of generated tokens. */
  readonly tokens: number;
  /** Null if no time passed. */
  readonly tokensPerSecond: number | null;
  readonly promptTokensPerSecond: number | null;
  readonly prefillSeconds: number;
  readonly decodeSeconds: number;
  readonly finishReason: FinishReason;
  readonly seed: number;
  /** Bytes. */
  readonly memory: ModelMemory;
  /** Present with a drafter. */
  readonly drafting?: DraftStatistics;
  /** Present under `--context-policy`; with `--show-context`, which tokens were attended to. */
  readonly context?: GeneratedContext;
  /**
   * The beginning of `text` that the prompt's last token holds beyond the prompt (`--heal`); absent where it ends
   * with the prompt.
   */
  readonly healed?: string;
  /** With `--show-drafts`: how each token was generated. */
  readonly origins?: readonly (TokenOrigin & { readonly id: number; readonly text: string })[];
}

/** `jeton embed`: one vector for each text, in their order. */
export interface EmbedDocument extends ModelIdentity {
  /** Tokens of all texts, special ones included. */
  readonly tokens: number;
  /** Numbers of a vector. */
  readonly size: number;
  readonly embeddings: readonly (readonly number[])[];
}

/** `jeton embed --tokens`: one vector for each token of each text. */
export interface EmbedTokensDocument extends ModelIdentity {
  readonly size: number;
  readonly texts: readonly {
    readonly tokens: readonly {
      readonly id: number;
      /** Place in the text; both 0 for tokens that are not in it. */
      readonly start: number;
      readonly end: number;
      readonly vector: readonly number[];
    }[];
  }[];
}

/** `jeton embed` with a model of weights of the vocabulary (SPLADE). */
export interface EmbedSparseDocument extends ModelIdentity {
  /** Tokens of the vocabulary. */
  readonly size: number;
  readonly texts: readonly {
    /** Those whose weight is above 0, by id. */
    readonly terms: readonly {
      readonly id: number;
      readonly token: string;
      readonly weight: number;
    }[];
  }[];
}

/** `jeton classify`. */
export interface ClassifyDocument extends ModelIdentity {
  readonly results: readonly {
    readonly text: string;
    /** Classes of the text, the most probable first. */
    readonly classes?: readonly ClassScore[];
    /** Classes of tokens, or with `--question` what answers it. */
    readonly spans?: readonly (LabelledSpan | FoundSpan)[];
  }[];
}

/** `jeton fill`: for each mask of each text the most probable tokens. */
export interface FillDocument extends ModelIdentity {
  readonly results: readonly {
    readonly text: string;
    readonly masks: readonly (readonly FilledToken[])[];
  }[];
}

/** One of the continuations of `jeton run --sequences N`. */
export interface RunSequence extends TokenProbabilities {
  readonly text: string;
  readonly ids: readonly number[];
  readonly tokens: number;
  readonly finishReason: FinishReason;
  /** As in `RunDocument`. */
  readonly healed?: string;
}

/** `jeton run --sequences N`: the fields of the first continuation, and all of them. */
export interface RunSequencesDocument extends RunDocument {
  readonly totalTokens: number;
  readonly totalSeconds: number;
  readonly sequences: readonly RunSequence[];
}

/** `jeton run --bytes` and `--ensemble`. Logarithms are natural. */
export interface RunBytesDocument {
  readonly text: string;
  /** The generated bytes. */
  readonly bytes: readonly number[];
  readonly promptBytes: number;
  /** Null if no time passed. */
  readonly bytesPerSecond: number | null;
  readonly prefillSeconds: number;
  readonly decodeSeconds: number;
  /** Sum over the generated bytes. */
  readonly logProbability: number;
  readonly finishReason: FinishReason;
  readonly seed: number;
  /** One, or the members of an ensemble. */
  readonly models: readonly ModelIdentity[];
  /** With `--logprobs`: of each byte. */
  readonly logProbabilities?: readonly number[];
}

/** `jeton score --bytes`. Logarithms are natural. */
export interface ScoreBytesDocument extends ModelIdentity {
  readonly bitsPerByte: number;
  readonly logProbability: number;
  /** Of the end after the last byte; no part of the sums. */
  readonly endLogProbability: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly logProbabilities: readonly number[];
}

/** `jeton fill-middle`. */
export interface FillMiddleDocument extends ModelIdentity {
  readonly middle: string;
  /** `"prompt"`: the model was asked in its fill-in-the-middle form; `"search"`: it has none. */
  readonly method: "prompt" | "search";
  readonly finishReason: FinishReason;
  readonly seconds: number;
  readonly seed: number;
}

/** `jeton score`. Logarithms are natural. */
export interface ScoreDocument extends ModelIdentity {
  readonly perplexity: number;
  readonly bitsPerByte: number;
  readonly logProbability: number;
  readonly scoredTokens: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly tokens: readonly ScoredToken[];
}

/** A line of `jeton tokenize --jsonl`. */
export interface TokenizedLine {
  readonly ids: readonly number[];
  readonly tokens: readonly string[];
  /** Start and end of each token in the text, in the unit of `--offsets`. */
  readonly offsets: readonly (readonly [number, number])[];
}

/** `jeton tokenize`. */
export interface TokenizeDocument extends TokenizedLine {
  readonly text: string;
  /** Number of ids. */
  readonly count: number;
}

/** `jeton tokenize --decode`. */
export interface DecodeDocument {
  readonly text: string;
}

/** `jeton inspect`: one description, or an array of them for several models. */
export type InspectDocument = ModelDescription | readonly ModelDescription[];

/** The inferred training-data mixture of one tokenizer. */
export interface NamedMixture extends InferredMixture {
  readonly name: string;
}

/** `jeton inspect --mixture`: one mixture, or an array of them for several tokenizers. */
export type MixtureDocument = NamedMixture | readonly NamedMixture[];

/** `jeton inspect --qtok`. */
export type QtokDocument = QtokReport;

/** `jeton evaluate needle-threading` and the other evaluations that ask questions about long contexts. */
export type EvaluateDocument = EvaluationReport;

/** `jeton evaluate needle-threading`, `passkey`, `kv-retrieval` with `--policies`: one report for each. */
export interface EvaluatePoliciesDocument {
  readonly policies: readonly EvaluationReport[];
}

/** `jeton evaluate needle-threading --tokenizers`. */
export type TokenizerStudyDocument = readonly TokenizerCost[];

/** What the router of one sparse layer did. */
export interface LayerRouting {
  /** Index of the layer in the model. */
  readonly layer: number;
  /** `[experts]`: share of the choices that each gets. */
  readonly loads: readonly number[];
  /** Experts that got none. */
  readonly unused: number;
  /**
   * Share of the information about the first expert that each factor holds, 0 to 1; null where the text is too short
   * to say.
   */
  readonly information: {
    readonly token: number | null;
    readonly position: number | null;
    readonly domain: number | null;
  };
  /** Share of first choices in the second half of the text that a table of its first half predicts; null: one has no tokens. */
  readonly tableAgreement: number | null;
  /** `[experts]`: the tokens that each gets most. */
  readonly topTokens: readonly (readonly string[])[];
}

/** `jeton inspect --routing`. */
export interface RoutingDocument {
  readonly name: string;
  /** Tokens read. */
  readonly tokens: number;
  readonly experts: number;
  /** Experts of a token. */
  readonly perToken: number;
  /** File names of the texts. */
  readonly domains: readonly string[];
  readonly layers: readonly LayerRouting[];
}

/** `jeton systems`. */
export type SystemsDocument = readonly Omit<System, "reproduction">[];

/** `jeton transfer`. */
export type TransferDocument = Transferred;

/** `jeton serve`: printed when the server accepts requests. */
export interface ServeDocument {
  readonly url: string;
  readonly port: number;
  readonly model: string;
}

/** `jeton train lm`. */
export type TrainLanguageModelDocument = TrainedLanguageModel;

/** `jeton train encoder`. */
export type TrainEncoderDocument = TrainedEncoder;

/** `jeton train lm`, `encoder` and `compressor`, a line on standard error for each report; the last after an interruption. */
export type ResumableTrainingProgress =
  | TrainingProgress
  | {
      readonly stage: "interrupted";
      /** The saved step; 0 if there is none. */
      readonly step: number;
      /** The command line that resumes the run. */
      readonly command: readonly string[];
    };

/** `jeton train tokenizer`. */
export interface TrainTokenizerDocument extends TrainedTokenizerFolder {
  readonly seconds: number;
}

/** `jeton train tokenizer`, a line on standard error for each report. */
export type TrainTokenizerProgressLine = TokenizerTrainingProgress;

/** `jeton reproduce`: a line for each system. */
export type ReproduceDocument =
  | ReproductionResult
  | {
      readonly system: string;
      readonly error: { readonly code: string; readonly message: string };
    };

/** `jeton models list`. */
export type ModelsListDocument = readonly CachedModel[];

/** `jeton models pull`: the folders of the models. */
export type ModelsPullDocument = readonly { readonly name: string; readonly folder: string }[];

/** `jeton models remove`: what was removed. */
export type ModelsRemoveDocument = readonly CachedModel[];

/** A file of the data registry. */
export interface DataListEntry extends DataFile {
  /** Whether the file is in the data folder; its checksum is not read. */
  readonly present: boolean;
}

/** `jeton data list`. */
export interface DataListDocument {
  /** The data folder. */
  readonly folder: string;
  readonly files: readonly DataListEntry[];
}

/** `jeton data fetch`. */
export interface DataFetchDocument {
  /** The data folder. */
  readonly folder: string;
  readonly files: readonly FetchedFile[];
}

/** Every document of a command. */
export type JsonDocument =
  | ErrorDocument
  | RunDocument
  | RunSequencesDocument
  | RunBytesDocument
  | ScoreBytesDocument
  | FillMiddleDocument
  | ScoreDocument
  | EmbedDocument
  | IndexDocument
  | SearchDocument
  | EmbedSparseDocument
  | EmbedTokensDocument
  | ClassifyDocument
  | FillDocument
  | TokenizeDocument
  | TokenizedLine
  | DecodeDocument
  | string
  | InspectDocument
  | MixtureDocument
  | QtokDocument
  | EvaluateDocument
  | EvaluatePoliciesDocument
  | TokenizerStudyDocument
  | RoutingDocument
  | SystemsDocument
  | TransferDocument
  | ServeDocument
  | ServeIndexDocument
  | TrainEncoderDocument
  | TrainCompressorDocument
  | ContextPackDocument
  | ContextCalibrateDocument
  | ContextPoliciesDocument
  | TrainLanguageModelDocument
  | ResumableTrainingProgress
  | TrainTokenizerDocument
  | TrainTokenizerProgressLine
  | ReproduceDocument
  | ModelsListDocument
  | ModelsPullDocument
  | ModelsRemoveDocument
  | DataListDocument
  | DataFetchDocument;

/** A document as one line; bigints, maps and sets of error details become strings, objects and arrays. */
export function formatJson(document: JsonDocument): string {
  return JSON.stringify(document, (_, part: unknown) => {
    if (typeof part === "bigint") return part.toString();
    if (part instanceof Map) return Object.fromEntries(part);
    if (part instanceof Set) return [...part];
    return part;
  });
}

/** Writes a document as one line; name its type: `writeJson<RunDocument>(stdout, …)`. */
export async function writeJson<T extends JsonDocument>(
  output: Output,
  document: T,
): Promise<void> {
  await output.write(`${formatJson(document)}\n`);
}
