/**
 * The catalogue of the published systems: name, paper, area, and the reproduction that measures the
 * paper's claims. The command, the page and the documentation read it.
 */
import type { Reproduction } from "./reproduce/define-reproduction.ts";
import { systemEntries } from "./systems-table.ts";
import { systemVerdicts, type VerdictCounts } from "./systems-verdicts.ts";

export type { VerdictCounts } from "./systems-verdicts.ts";

/** Areas of the catalogue, in its order; each is the folder of a module. */
export type SystemArea =
  | "tokenizer"
  | "vocabulary"
  | "model"
  | "generate"
  | "context"
  | "retrieve"
  | "match"
  | "extract"
  | "prompt"
  | "code"
  | "image"
  | "curate"
  | "evaluate";

/** The exports of a `reproduction.ts` module. */
export interface ReproductionModule {
  /** The result of `defineReproduction`. */
  readonly reproduction: Reproduction;
}

/** One entry of the catalogue's table. */
export interface SystemEntry {
  /** Name of the folder `src/<area>/<slug>`. */
  readonly slug: string;
  readonly name: string;
  /** Title of the paper. */
  readonly paper: string;
  /** The paper's identifier on arXiv, if it has one. */
  readonly arxiv?: string;
  readonly area: SystemArea;
  /** What the system does, in one sentence. */
  readonly sentence: string;
  /** Loads the reproduction; absent until the system is built. */
  readonly reproduction?: () => Promise<ReproductionModule>;
}

/** A published system. */
export interface System extends SystemEntry {
  /** True if the system has a reproduction. */
  readonly built: boolean;
  /** Counts of the verdicts of the last recorded run, if there is a record. */
  readonly verdicts?: VerdictCounts;
}

/** Every system, by area. */
export const systems: readonly System[] = systemEntries.map((entry) => ({
  ...entry,
  built: entry.reproduction !== undefined,
  ...(systemVerdicts[entry.slug] && { verdicts: systemVerdicts[entry.slug]! }),
}));
