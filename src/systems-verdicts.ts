/** Counts of recorded verdicts. Written by `node scripts/systems-verdicts.mjs` from reproductions/*.json. */

/** Verdicts on the claims of a system in its last recorded full run. */
export interface VerdictCounts {
  readonly reproduced: number;
  readonly partly: number;
  readonly notReproduced: number;
  /** `"points"`: the record is from before verdicts were judged by intervals and controls. */
  readonly judgedBy: "intervals" | "points";
  /** Day of the record, where it says it. */
  readonly date?: string;
}

export const systemVerdicts: Readonly<Record<string, VerdictCounts>> = {
  aded: {
    reproduced: 8,
    partly: 2,
    notReproduced: 3,
    judgedBy: "intervals",
    date: "2026-11-29",
  },
  byte2word: {
    reproduced: 3,
    partly: 1,
    notReproduced: 0,
    judgedBy: "intervals",
    date: "2026-11-30",
  },
  coir: {
    reproduced: 2,
    partly: 1,
    notReproduced: 1,
    judgedBy: "intervals",
    date: "2026-11-30",
  },
  "data-mixture-inference": {
    reproduced: 5,
    partly: 3,
    notReproduced: 4,
    judgedBy: "intervals",
    date: "2026-11-30",
  },
  dupmae: {
    reproduced: 2,
    partly: 0,
    notReproduced: 2,
    judgedBy: "intervals",
    date: "2026-11-30",
  },
  "dynamic-tokenization": {
    reproduced: 4,
    partly: 1,
    notReproduced: 6,
    judgedBy: "intervals",
    date: "2026-11-30",
  },
  dyspec: {
    reproduced: 7,
    partly: 1,
    notReproduced: 5,
    judgedBy: "intervals",
    date: "2026-11-30",
  },
  "exact-byte-probabilities": {
    reproduced: 10,
    partly: 0,
    notReproduced: 2,
    judgedBy: "intervals",
    date: "2026-12-01",
  },
  "extensible-tokenization": {
    reproduced: 0,
    partly: 0,
    notReproduced: 8,
    judgedBy: "intervals",
    date: "2026-11-30",
  },
  gemfilter: {
    reproduced: 2,
    partly: 2,
    notReproduced: 3,
    judgedBy: "intervals",
    date: "2026-12-01",
  },
  "hierarchical-transformer": {
    reproduced: 2,
    partly: 0,
    notReproduced: 2,
    judgedBy: "intervals",
    date: "2026-11-30",
  },
  "landmark-attention": {
    reproduced: 5,
    partly: 0,
    notReproduced: 1,
    judgedBy: "intervals",
    date: "2026-11-30",
  },
  lexinvariant: {
    reproduced: 4,
    partly: 2,
    notReproduced: 4,
    judgedBy: "intervals",
    date: "2026-11-29",
  },
  "lib-tokenizer": {
    reproduced: 5,
    partly: 1,
    notReproduced: 2,
    judgedBy: "intervals",
    date: "2026-11-29",
  },
  longheads: {
    reproduced: 4,
    partly: 1,
    notReproduced: 3,
    judgedBy: "intervals",
    date: "2026-11-30",
  },
  lookahead: {
    reproduced: 10,
    partly: 3,
    notReproduced: 0,
    judgedBy: "intervals",
    date: "2026-11-29",
  },
  "m2-bert-loco": {
    reproduced: 1,
    partly: 0,
    notReproduced: 3,
    judgedBy: "intervals",
    date: "2026-11-30",
  },
  mrt5: {
    reproduced: 4,
    partly: 1,
    notReproduced: 3,
    judgedBy: "intervals",
    date: "2026-11-30",
  },
  "needle-threading": {
    reproduced: 9,
    partly: 0,
    notReproduced: 2,
    judgedBy: "intervals",
    date: "2026-11-30",
  },
  openmoe: {
    reproduced: 2,
    partly: 2,
    notReproduced: 1,
    judgedBy: "intervals",
    date: "2026-11-29",
  },
  qtok: {
    reproduced: 1,
    partly: 2,
    notReproduced: 3,
    judgedBy: "intervals",
    date: "2026-11-29",
  },
  "rag-token-metrics": {
    reproduced: 5,
    partly: 0,
    notReproduced: 2,
    judgedBy: "intervals",
    date: "2026-11-29",
  },
  "token-recycling": {
    reproduced: 7,
    partly: 3,
    notReproduced: 1,
    judgedBy: "intervals",
    date: "2026-11-30",
  },
  "token-ring": {
    reproduced: 4,
    partly: 1,
    notReproduced: 0,
    judgedBy: "intervals",
    date: "2026-11-30",
  },
  "token-select": {
    reproduced: 5,
    partly: 0,
    notReproduced: 1,
    judgedBy: "intervals",
    date: "2026-11-30",
  },
  "trans-tokenization": {
    reproduced: 3,
    partly: 2,
    notReproduced: 1,
    judgedBy: "intervals",
    date: "2026-11-29",
  },
  "word-pooled": {
    reproduced: 2,
    partly: 1,
    notReproduced: 2,
    judgedBy: "intervals",
    date: "2026-11-30",
  },
  xtr: {
    reproduced: 3,
    partly: 1,
    notReproduced: 3,
    judgedBy: "intervals",
    date: "2026-11-30",
  },
  zett: {
    reproduced: 4,
    partly: 1,
    notReproduced: 6,
    judgedBy: "intervals",
    date: "2026-11-30",
  },
};
