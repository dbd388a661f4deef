/** What a lens is asked and what it tells: plain data, which crosses between threads and machines as it is. */
import type {
  DrafterChoice,
  DraftStatistics,
  FinishReason,
  GeneratedContext,
  SamplingOptions,
  TokenOrigin,
} from "../generate/index.ts";
import type { WeightFormat } from "../model/index.ts";
import type { Device } from "../tensor/index.ts";

/** A prompt: text, or token ids as they are. */
export type LensPrompt = string | readonly number[];

/** A token that might have stood in a place. */
export interface LensAlternative {
  readonly id: number;
  /** What the token adds to a text; `bytes:\xe2\x80` where it holds part of a character. */
  readonly text: string;
  /** Natural logarithm. */
  readonly logProbability: number;
}

/** One token of a text. */
export interface LensToken {
  readonly id: number;
  /** What the token adds to a text; `bytes:\xe2\x80` where it holds part of a character. */
  readonly text: string;
  /** True for special tokens, which a text leaves out. */
  readonly special?: true;
  /** Natural logarithm under the model, temperature 1. Absent for the first token of a text. */
  readonly logProbability?: number;
  /** Entropy in nats of the distribution at the token's place, after penalties and before the temperature, where asked for. */
  readonly entropy?: number;
  /** The most probable tokens at its place, most probable first, where asked for. */
  readonly alternatives?: readonly LensAlternative[];
  /** How a generated token came about; absent for tokens of the prompt. */
  readonly origin?: TokenOrigin;
}

/** What of each token is told besides its text. */
export interface LensDetail {
  /** Number of alternatives, at most 20. Default 0. */
  readonly alternatives?: number;
  /** Whether the entropy of each place is told. It needs whole rows of logits. Default false. */
  readonly entropy?: boolean;
}

/** Sampling options that may cross: all of `SamplingOptions`. */
export type LensSampling = Readonly<SamplingOptions>;

/** Asks for a description of the model. */
export interface DescribeRequest {
  readonly kind: "describe";
}

/** Asks for a continuation. */
export interface GenerateRequest extends LensDetail {
  readonly kind: "generate";
  readonly prompt: LensPrompt;
  readonly sampling?: LensSampling;
  /** Default 64. */
  readonly maxTokens?: number;
  /** Default `"none"`. */
  readonly drafter?: DrafterChoice;
  /** True: end tokens are generated like others. Default false. */
  readonly ignoreEos?: boolean;
  /**
   * Which tokens each layer attends to, `NAME` or `NAME:option=value,…` as `parseContextPolicy` reads it. The end
   * then says what was kept, and the text may be longer than the trained context. Default: all tokens.
   */
  readonly contextPolicy?: string;
}

/** Asks for the probability of each token of a text. */
export interface ReadRequest extends LensDetail {
  readonly kind: "read";
  readonly prompt: LensPrompt;
}

/** Asks for the distribution of the next token before and after each step of the sampler. */
export interface StagesRequest {
  readonly kind: "stages";
  /** The text before the place: ids, or text. */
  readonly prompt: LensPrompt;
  /** How many tokens at the end of `prompt` count as generated, for penalties. Default 0. */
  readonly generated?: number;
  readonly sampling?: LensSampling;
  /** How many tokens are listed, at most 64. Default 12. */
  readonly tokens?: number;
}

/** Asks for the exact probabilities of the next byte after a text that may end inside a token. */
export interface BytesRequest {
  readonly kind: "bytes";
  readonly text: string;
  /** How many bytes and coverings are listed, at most 64. Default 12. */
  readonly outcomes?: number;
}

/** Asks for the tokens of a text, those that a prompt gets included. */
export interface TokenizeRequest {
  readonly kind: "tokenize";
  readonly text: string;
}

/** Asks which experts each token of a text is sent to. */
export interface RoutingRequest {
  readonly kind: "routing";
  readonly text: string;
}

/** What a lens can be asked. */
export type LensRequest =
  | DescribeRequest
  | GenerateRequest
  | ReadRequest
  | StagesRequest
  | BytesRequest
  | TokenizeRequest
  | RoutingRequest;

/** The model that a lens looks at. */
export interface ModelEvent {
  readonly kind: "model";
  readonly name: string;
  readonly format: WeightFormat;
  /** What computes, where the model says so. */
  readonly device?: Device;
  readonly threads: number;
  readonly contextLength: number;
  readonly vocabSize: number;
  readonly layers: number;
  readonly hiddenSize: number;
  /** Drafters that may be asked for, `none` among them. */
  readonly drafters: readonly DrafterChoice[];
  /** Present where layers have experts. */
  readonly experts?: { readonly count: number; readonly perToken: number };
  /** Present where the model has landmark attention: tokens of a block, and rows of a training window, landmarks among them. */
  readonly landmark?: { readonly block: number; readonly trainLength: number };
}

/** Tokens of the prompt, or of a text that is read. */
export interface TextEvent {
  readonly kind: "text";
  readonly tokens: readonly LensToken[];
}

/** A generated token. */
export interface TokenEvent {
  readonly kind: "token";
  readonly token: LensToken;
}

/** The end of a generation. */
export interface EndEvent {
  readonly kind: "end";
  readonly finishReason: FinishReason;
  readonly seed: number;
  readonly promptTokens: number;
  readonly reusedTokens: number;
  readonly prefillSeconds: number;
  readonly decodeSeconds: number;
  /** Number of generated tokens. */
  readonly tokens: number;
  readonly drafting?: DraftStatistics;
  /**
   * What was kept under a context policy: the prompt's tokens that were read, or what each layer attends to at the
   * first generated token, which is the last of `attended`. Without the latter where one token was generated.
   */
  readonly context?: GeneratedContext;
}

/** One step of the sampler. */
export interface SamplingStage {
  /** `model`, `penalties`, `temperature`, `top-k`, … */
  readonly name: string;
  /** The option's value in words; empty for the model's own distribution. */
  readonly setting: string;
  /** Tokens with a probability above 0. */
  readonly kept: number;
  /** Entropy after the step, in nats. */
  readonly entropy: number;
  /** Probability of each listed token after the step; 0 where it was left out. */
  readonly probabilities: readonly number[];
}

/** The distribution of the next token through the sampler. */
export interface StagesEvent {
  readonly kind: "stages";
  /** The listed tokens: the model's most probable ones, and those that are most probable at the end. */
  readonly tokens: readonly Pick<LensToken, "id" | "text">[];
  readonly stages: readonly SamplingStage[];
}

/** The next byte, exactly. */
export interface BytesEvent {
  readonly kind: "bytes";
  /** The most probable outcomes, most probable first; byte -1 is the end of the text. */
  readonly outcomes: readonly { readonly byte: number; readonly probability: number }[];
  /** Token sequences that spell the text and perhaps go beyond, most probable first; probabilities sum to 1. */
  readonly coverings: readonly {
    readonly tokens: readonly string[];
    /** Text beyond the end, `bytes:…` where it ends inside a character. */
    readonly rest: string;
    readonly probability: number;
  }[];
  /** The most probable next tokens after the text's own encoding, which the model has never seen cut so. */
  readonly byTokens: readonly LensAlternative[];
  /** Forward passes that it took. */
  readonly passes: number;
}

/** Which experts tokens are sent to. */
export interface RoutingEvent {
  readonly kind: "routing";
  /** Experts of a layer. */
  readonly experts: number;
  readonly tokens: readonly LensToken[];
  /** Layers with experts: for each token its experts, the best first, and their weights. */
  readonly layers: readonly {
    /** Number of the layer in the model, from 0. */
    readonly layer: number;
    readonly choices: readonly (readonly number[])[];
    readonly weights: readonly (readonly number[])[];
  }[];
}

/** What a lens tells. */
export type LensEvent =
  | ModelEvent
  | TextEvent
  | TokenEvent
  | EndEvent
  | StagesEvent
  | BytesEvent
  | RoutingEvent;

/** Events by the request that they answer. */
export interface LensAnswers {
  readonly describe: ModelEvent;
  readonly generate: TextEvent | TokenEvent | EndEvent;
  readonly read: TextEvent;
  readonly stages: StagesEvent;
  readonly bytes: BytesEvent;
  readonly tokenize: TextEvent;
  readonly routing: RoutingEvent;
}
