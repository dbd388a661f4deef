/** The documents of commands that compress long texts or choose what is read of them. */
import type { TrainedCompressor } from "../context/index.ts";

/** `jeton train compressor`. */
export type TrainCompressorDocument = TrainedCompressor;

/** `jeton context calibrate`. */
export interface ContextCalibrateDocument {
  readonly model: string;
  /** The filter layer, from 0. */
  readonly layer: number;
  /** Tokens that a layer chose, of prompts of so many tokens. */
  readonly k: number;
  readonly tokens: number;
  /** For each layer the share of the prompts whose hidden number it chose, in [0, 1]. */
  readonly layers: readonly { readonly layer: number; readonly chosen: number }[];
  /** Whether the layer was written into the model's folder. */
  readonly saved: boolean;
}

/** `jeton context pack`. */
export interface ContextPackDocument {
  /** The packed text. */
  readonly file: string;
  /** Tokens of the text. */
  readonly tokens: number;
  /** Embeddings that are held. */
  readonly embeddings: number;
  /** Tokens for each of them. */
  readonly factor: number;
  /** Of the file. */
  readonly bytes: number;
  readonly seconds: number;
}

/** `jeton context policies`: the policies, or the one that was named. */
export type ContextPoliciesDocument = readonly {
  readonly name: string;
  /** What a layer attends to, in one line. */
  readonly summary: string;
  /** `lossless`, or `refused: ` and why, with the default options. */
  readonly drafters: string;
  readonly options: readonly {
    readonly name: string;
    readonly kind: "integer" | "number" | "flag" | "choice";
    readonly default: string | number | boolean;
    readonly help: string;
    readonly choices?: readonly string[];
    /** Smallest and largest values, where there are such. */
    readonly min?: number;
    readonly max?: number;
  }[];
}[];
