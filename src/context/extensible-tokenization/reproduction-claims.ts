/** What the paper claims of extensible tokenization, and what of it counts here. */
import type { Claim } from "../../reproduce/index.ts";

const where = "held-out prose (jeton-nano, a compressor of two layers trained for minutes)";

const prose = {
  unit: "nats/token",
  units: "passages",
  direction: "lower",
  effect: "difference",
  control: "embeddings of another passage",
} as const;

const clear = { reproduced: 0.02, partly: 0.002 } as const;
const quick = { reproduced: 0.01, partly: 0.001 } as const;

/** Names of the claims. */
export type Id =
  | "more-text-helps"
  | "beats-window"
  | "beats-nothing"
  | "recovers-the-text"
  | "strided-beats-random"
  | "strided-beats-terminal"
  | "finds-passkeys"
  | "transfers"
  | "faster-reading";

/** The claims, thresholds chosen before the measurement. */
export const claims: readonly Claim<Id>[] = [
  {
    ...prose,
    id: "more-text-helps",
    text: `Lower loss behind eight times as much compressed text, at factor 8: ${where}`,
    paper: {
      value: 0.058,
      unit: "nats/token",
      compares: "effect",
      setting: "PG19, Llama-2-7B, factor 16: perplexity 7.75 behind 4K, 7.31 behind 32K",
    },
    control: "the added text compressed from another passage",
    ...clear,
    quick,
  },
  {
    ...prose,
    id: "beats-window",
    text: `Lower loss behind 4,096 tokens in 256 embeddings than behind sinks and a window of 256 tokens: ${where}`,
    paper: {
      value: 0.09,
      unit: "nats/token",
      compares: "effect",
      setting: "PG19 at 32K: factor 16 7.31, StreamingLLM 8.00",
    },
    ...clear,
    quick,
  },
  {
    ...prose,
    id: "beats-nothing",
    text: `Lower loss behind compressed text than behind none, at factor 8: ${where}`,
    paper: { words: "what is compressed is understood" },
    ...clear,
    quick,
  },
  {
    ...prose,
    id: "recovers-the-text",
    text: `Share of what 512 tokens of text give that 256 embeddings of them give: ${where}`,
    paper: {
      value: 1,
      unit: "share",
      compares: "measured",
      setting: "PG19 at 4K: factor 16 7.75, the text itself 7.77",
    },
    unit: "share",
    direction: "higher",
    effect: "value",
    noEffect: 0,
    reproduced: 0.5,
    partly: 0.15,
    quick: { reproduced: 0.2, partly: 0.05 },
  },
  {
    ...prose,
    id: "strided-beats-random",
    text: `Lower loss with the last output of every group than with random outputs, both trained alike, at factor 8 (mean of three seeds): ${where}`,
    paper: {
      value: 0.059,
      unit: "nats/token",
      compares: "effect",
      setting: "PG19 at 4K: 7.75 and 8.22",
    },
    ...clear,
    quick: "full-only",
  },
  {
    ...prose,
    id: "strided-beats-terminal",
    text: `Lower loss with the last output of every group than with the last outputs of a window, both trained alike, at factor 8 (mean of three seeds): ${where}`,
    paper: {
      value: 0.06,
      unit: "nats/token",
      compares: "effect",
      setting: "PG19 at 4K: 7.75 and 8.23",
    },
    ...clear,
    quick: "full-only",
  },
  {
    id: "finds-passkeys",
    text: "More passkeys found in 768 tokens of prose, compressed twice, than in the tokens that take the same place (jeton-nano)",
    paper: {
      value: 4.32,
      unit: "points",
      compares: "effect",
      setting: "LongBench, multi-document questions: Llama-2-7B in 4K 26.92, without 22.60",
    },
    unit: "% of questions",
    units: "questions",
    direction: "higher",
    effect: "difference",
    control: "embeddings of another question's text",
    reproduced: 10,
    partly: 2,
    quick: { reproduced: 5, partly: 1 },
  },
  {
    ...prose,
    id: "transfers",
    text: "The same compressor lowers the loss of a fine-tuned copy of the model that it was not trained for, at factor 8: held-out prose",
    paper: {
      words:
        "plugged into LongAlpaca-16K and LongChat-32K unchanged, as good as their own long contexts",
    },
    ...clear,
    quick: "full-only",
  },
  {
    id: "faster-reading",
    text: "Time to read 4,096 tokens as 256 stored embeddings beside reading the tokens (jeton-nano, fp32, in turns)",
    paper: {
      value: 28,
      unit: "times",
      compares: "effect",
      setting: "32K tokens: 0.12 s offline, LongChat 3.32 s",
    },
    unit: "s",
    units: "passages",
    direction: "lower",
    effect: "ratio",
    control: "an embedding for every token",
    reproduced: 5,
    partly: 2,
    quick: "full-only",
    speed: true,
  },
];
