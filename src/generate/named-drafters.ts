/** `generate` and `complete` with drafters by name, for the entries `jeton` and `jeton/browser`. */
import { JetonError, suggest } from "../core/index.ts";
import { checkDecoder } from "../model/check-loaded.ts";
import type { LoadedModel } from "../model/types.ts";
import { complete as completeWith, generate as generateWith } from "./generate.ts";
import type { Drafter } from "./speculative/drafter.ts";
import {
  type DrafterChoice,
  type DrafterName,
  drafterChoices,
} from "./speculative/drafter-names.ts";
import type {
  Conversation,
  GeneratedToken,
  GenerateResult,
  GenerateOptions as GenerateWithOptions,
  Prompt,
} from "./types.ts";

/** Options of a generation, with a drafter or its name. */
export interface GenerateOptions extends Omit<GenerateWithOptions, "drafter"> {
  /**
   * Speculative decoding: `"auto"` or another name, or an open drafter. The text is that of the same seed
   * without one. A drafter by name is opened once per model, learns from all requests that name it, and is
   * closed with the model. Default: `"none"`.
   */
  drafter?: Drafter | DrafterChoice;
}

/** Opens a drafter by name. */
export type DrafterOpener = (name: DrafterName, model: LoadedModel) => Drafter | Promise<Drafter>;

/** `generate` and `complete` over one way to open drafters. */
export interface NamedGeneration {
  generate(
    model: LoadedModel,
    prompt: Prompt | Conversation,
    options?: GenerateOptions,
  ): AsyncGenerator<GeneratedToken, GenerateResult, void>;
  complete(
    model: LoadedModel,
    prompt: Prompt | Conversation,
    options?: GenerateOptions,
  ): Promise<GenerateResult & { readonly tokens: readonly GeneratedToken[] }>;
}

/** Adds drafters by name to `generate` and `complete`. */
export function withNamedDrafters(open: DrafterOpener): NamedGeneration {
  const opened = new WeakMap<LoadedModel, Map<DrafterName, Promise<Drafter>>>();

  const drafterOf = (name: DrafterName, model: LoadedModel): Promise<Drafter> => {
    let drafters = opened.get(model);
    if (!drafters) {
      drafters = new Map();
      opened.set(model, drafters);
    }
    let drafter = drafters.get(name);
    if (!drafter) {
      drafter = (async () => open(name, model))();
      drafters.set(name, drafter);
      const known = drafters;
      const pending = drafter;
      // A failure is the request's; the next request tries again.
      pending.catch(() => known.delete(name));
      model.onClose?.(async () => (await pending.catch(() => undefined))?.close());
    }
    return drafter;
  };

  const resolve = async (
    model: LoadedModel,
    options: GenerateOptions = {},
  ): Promise<GenerateWithOptions> => {
    checkDecoder(model);
    if (typeof options !== "object" || options === null) return options;
    const { drafter, ...rest } = options;
    if (typeof drafter !== "string") return drafter === undefined ? rest : { ...rest, drafter };
    checkName(drafter);
    return drafter === "none" ? rest : { ...rest, drafter: await drafterOf(drafter, model) };
  };

  return {
    async *generate(model, prompt, options) {
      return yield* generateWith(model, prompt, await resolve(model, options));
    },
    async complete(model, prompt, options) {
      return completeWith(model, prompt, await resolve(model, options));
    },
  };
}

function checkName(name: string): void {
  if ((drafterChoices as readonly string[]).includes(name)) return;
  const near = suggest(name, drafterChoices);
  throw new JetonError(
    `${name} is no drafter` +
      (near === undefined ? `; there are ${drafterChoices.join(", ")}` : `; did you mean ${near}?`),
    { code: "drafter-unknown", details: { name, expected: near ?? drafterChoices } },
  );
}
