import type { LoadedModel } from "../../model/index.ts";
import type { Drafter } from "../speculative/drafter.ts";
import type { GenerateOptions } from "../types.ts";

/** A drafter whose conformance is tested. */
export interface DrafterSubject {
  readonly name: string;
  /** A fresh drafter for the model. */
  open(model: LoadedModel): Drafter | Promise<Drafter>;
  /** True where trees are sampled when the request samples: the text is equal in distribution only. */
  readonly samples?: boolean;
}

/** The subject with a model and a drafter that all its tests share. */
export interface DrafterUnderTest extends DrafterSubject {
  model: LoadedModel;
  drafter: Drafter;
}

export const conformancePrompts: readonly string[] = [
  "Once upon a time",
  "Lily had a red ball. Tom had a red ball. Sue had a red ball. Ben had a red",
  "The cat sat. The cat sat. The cat",
  "",
];

export const conformanceGreedy: GenerateOptions = { greedy: true, maxTokens: 60, ignoreEos: true };
